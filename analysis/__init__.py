"""Return curves, CPC curves and tables, drawn from the folders that training runs write.

`runs` finds and reads run folders, `statistics` holds the arithmetic, `curves`, `cpc_curves` and
`table` show it, and `export` shrinks a run to the few kilobytes that are kept in
`benchmarks/results`. The package reads files only: it needs neither torch nor an environment.
"""
