"""What do z and c know? Linear probes of trained agents, and of networks that were never trained.

Run as `python -m analysis.probes RUN... [--out FOLDER]`. Each run's latest checkpoint plays some
episodes on labsim, and probes are fitted to read what was true at a step (position, heading, where
the goal is, whether a reward is near, ...) from the encoder's embedding z and from the recurrent
core's context c at that step. This carries over what the CPC paper did with speech, where a linear
classifier reads phones and speakers from c (van den Oord et al. 2018, section 3.1): what does c
know that z does not, and what does CPC add to either?

A network of the run's settings that was never trained sees the same steps. Arms differ in what they
see, too: an agent that seldom finds its goal shows a probe few rewards. Probes of fewer than
`linear_probes.MIN_EPISODES` episodes are not fitted.

Writes probes.csv, probes.md and probes.png; `analysis.probe_figure` prints and draws the last two
anew. First, `representations` plays the episodes.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from analysis.arms import group_arms
from analysis.command_line import CommandLine
from analysis.linear_probes import MIN_EPISODES, probe
from analysis.probe_figure import plot_probes
from analysis.probe_table import Row, markdown_table, write_rows
from analysis.representations import EPISODES, ROWS, load_run, record
from analysis.runs import Run, find_runs
from records.whole_files import check_replaceable, replace_file


def labelled_runs(folders: list[Path]) -> list[tuple[str, Run]]:
    """The runs in `folders`, taken as `find_runs` does, each with the label of its arm.

    Raises ValueError: as `find_runs`, or one of them cannot be played.
    """
    runs = find_runs(folders)
    for run in runs:
        load_run(run.folder)
    return [
        (arm.label, run)
        for level in dict.fromkeys(run.level for run in runs)
        for arm in group_arms(run for run in runs if run.level == level)
        for run in arm.runs
    ]


def probe_run(label: str, run: Run, episodes: int, rows: int, device: str) -> Iterator[Row]:
    """Play `run`, and give the score of each of its probes; `label` is its arm's."""
    played = record(run.folder, episodes=episodes, rows=rows, device=device)
    for fact, truth in played.facts.items():
        for (network, code), features in played.codes.items():
            score = probe(features, truth, played.episode)
            yield Row(
                run.level, label, run.aux, run.seed, played.frames, network, code, fact, *score
            )


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = CommandLine(
        "python -m analysis.probes",
        "Fit linear probes to what trained agents compute while they play on labsim.",
    )
    for name, default, text in (
        ("episodes", EPISODES, f"that each run plays, at least {MIN_EPISODES}"),
        ("rows", ROWS, "agent steps of a run that are kept, at most: every n-th of an episode"),
    ):
        parser.add_argument(
            f"--{name}", metavar="N", type=int, default=default, help=f"{text} (default: {default})"
        )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--out",
        metavar="FOLDER",
        type=Path,
        default=Path("probes"),
        help="where probes.csv, probes.md and probes.png are written (default: %(default)s)",
    )
    return parser.execute(_command, argv)


def _command(arguments: argparse.Namespace) -> None:
    if arguments.episodes < MIN_EPISODES:
        raise ValueError(f"--episodes is {arguments.episodes}; it must be at least {MIN_EPISODES}")
    if arguments.rows < arguments.episodes:
        raise ValueError(
            f"--rows is {arguments.rows}; it must be at least --episodes, {arguments.episodes}"
        )
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows_path, table, figure = (arguments.out / f"probes.{kind}" for kind in ("csv", "md", "png"))
    for path in (rows_path, table, figure):
        check_replaceable(path)  # rather fail now than when all is played
    rows: list[Row] = []
    for label, run in labelled_runs(arguments.runs):
        print(f"{run.folder}: {label}, {run.level} ...", flush=True)
        rows += probe_run(label, run, arguments.episodes, arguments.rows, arguments.device)
    write_rows(rows_path, rows)
    replace_file(table, markdown_table(rows).encode())
    plot_probes(rows, figure)
    print(f"{markdown_table(rows)}\n{rows_path}\n{table}\n{figure}")


if __name__ == "__main__":
    sys.exit(main())
