"""What is drawn where a run ends, without a command of its own."""

import shlex
from collections.abc import Sequence
from pathlib import Path


def draw_figures(
    folder: Path, level_folder: Path, tag: str | None, arguments: Sequence[str]
) -> None:
    """Redraw the level's figure from all comparable runs, and this run's figure by horizon.

    `folder`: the run's; `level_folder`: of the runs of its level and preset; `arguments`: what it
    was started with, files of settings and key=value. What there is to see is printed.
    """
    # Here, because SciPy and Matplotlib would take a third of the start, of worker processes too.
    from analysis.cpc_curves import plot_cpc
    from analysis.curves import plot_level
    from analysis.runs import matching_runs, open_run, readable_runs
    from records.file_names import HORIZON_FILE

    runs, damaged = readable_runs(matching_runs(folder))
    for why in damaged:
        print(f"Left out of the figure: {why}.")
    if not runs:
        return
    if any(len(open_run(run).returns.frames) for run in runs):
        figure = level_folder / f"returns{'' if tag is None else '-' + tag}.png"
        plot_level(runs, figure)
        print(f"Return curves of {len(runs)} run{'s' * (len(runs) > 1)}: {figure}")
    else:
        print("No episode has ended yet: there are no return curves.")
    if (folder / HORIZON_FILE).is_file():  # CPC's, and what records as it does
        plot_cpc([folder], folder / "cpc.png")
        print(f"CPC accuracy and loss by horizon: {folder / 'cpc.png'}")
    print(f"To evaluate the agent: python evaluate.py {shlex.quote(str(folder))}")
    if all(open_run(run).aux != "none" for run in runs):
        kept = [a for a in arguments if not a.startswith(("aux=", "aux.", "resume."))]
        print(f"To train the baseline: python train_agent.py {shlex.join([*kept, 'aux=none'])}")
    print(f"In TensorBoard: tensorboard --logdir {shlex.quote(str(level_folder))}")
