"""Return curves, CPC curves, tables and probes, drawn from the folders that training runs write.

`runs` finds and reads run folders, `statistics` holds the arithmetic and `scores` what a run
reached. `curves`, `cpc_curves` and `table` show any runs; `figure6` compares A2C with A2C + CPC on
the paper's levels, `search` over hyper-parameters, and `rank` ranks variants over levels. `export`
shrinks a run to the few kilobytes that are kept in `benchmarks/results`, `pretrained` to an agent
to share. `linear_probes` fits probes, `probe_table` and `probe_figure` show them. The package reads
files only: it needs neither torch nor an environment. The exceptions are the commands `probes` and
`pretrained`, which let agents play.
"""
