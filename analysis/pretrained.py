"""Make trained agents to hand on: of each level and algorithm the best of the finished runs.

Run as `python -m analysis.pretrained RUN... --out FOLDER [--episodes 100]`. Runs that differ
in nothing but the seed compete by their mean return in the last tenth of training, and the best
one becomes `<out>/<level>_<a2c or the auxiliary loss>/`:

- agent.safetensors: its weights in float16, see `records.weights`;
- config.yaml: its settings, and the versions and commits that it was trained with;
- agent.json: which run it was, the returns of all seeds, and this command;
- evaluation.json: what `evaluate.py` says of these files: the agent's score, episode by episode.

`<out>/README.md` is a table of all agents there. The folders serve `evaluate.py`, `envs.watch` and
`start_from=` as runs do.
"""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

import evaluate
from agents.evaluation import EpisodesLostError
from analysis.command_line import CommandLine
from analysis.export import FOLDER_NAME
from analysis.runs import Run
from analysis.scores import final_return, finished_runs
from configs import EvaluationSettings
from envs.pool import WorkerError
from records import checkpoint
from records.file_names import AGENT_FILE, CONFIG_FILE
from records.settings import read_config
from records.weights import Weights, find_weights, load_weights, save_weights
from records.whole_files import replace_file

# Of CPC's linear maps, one for each step ahead, these are kept: all of them are two thirds of an
# agent's numbers.
KEPT_STEPS = (1, 2, 3, 5, 8, 12, 16, 20, 25, 30)
FACTS, EVALUATION = "agent.json", "evaluation.json"
INTRODUCTION = """# Trained agents

Made by `python -m analysis.pretrained`; each folder's agent.json has the command. They are data:
reading them runs no code (../SECURITY.md).

```
python evaluate.py {out}/{name} episodes=100 video=watch.mp4
python -m envs.watch {out}/{name}
python train_agent.py env={level} aux={aux} start_from={out}/{name} tag=tuned
python train_agent.py {out}/{name}/config.yaml    # trains such an agent anew
```

Of several seeds the one with the highest return in the last tenth of training was taken: its
return there is that of the best of so many, and higher than a new seed's would be. The evaluation
is of the files here, in other episodes, actions sampled; its interval (95 %) covers the chance in
the episodes alone. The numbers are returns per episode.

| agent | frames | seed | last tenth of training | mean of all seeds | evaluation | commit |
|---|---|---|---|---|---|---|
"""


def best_runs(runs: Iterable[Run]) -> dict[str, tuple[Run, dict[int, float]]]:
    """Of each level and auxiliary loss the run with the highest final return, by the agent's name.

    Beside it stand the final returns of its competitors and itself, by seed. Raises ValueError:
    competitors differ in more than the seed, or a run has no return or names no folder.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        name = f"{run.level}_{'a2c' if run.aux == 'none' else run.aux}"
        if not FOLDER_NAME.fullmatch(name):  # someone else's run could name any folder
            raise ValueError(f"{run.folder / CONFIG_FILE}: {name!r} cannot name a folder of --out")
        groups.setdefault(name, []).append(run)
    best = {}
    for name, members in groups.items():
        returns = {run.seed: final_return(run) for run in members}
        for run in members:
            if differing := _differences(members[0], run):
                raise ValueError(
                    f"{members[0].folder} and {run.folder} would both be {name}, but differ in "
                    f"{differing[0]}; name the runs of one of them"
                )
            if math.isnan(returns[run.seed]):
                raise ValueError(f"{run.folder} has no episode in the last tenth of its training")
        if len(returns) < len(members):
            raise ValueError(f"{name}: several runs have the same seed; name one of them")
        best[name] = max(members, key=final_return), dict(sorted(returns.items()))
    return best


def _differences(run: Run, other: Run) -> list[str]:
    one, two = run.settings | {"seed": 0}, other.settings | {"seed": 0}
    return [key for key in sorted(one.keys() | two.keys()) if one.get(key) != two.get(key)]


def write_agent(run: Run, returns: dict[int, float], folder: Path, command: str) -> None:
    """Write the agent of `run` to `folder`; `returns`: of all seeds that it was chosen from.

    Raises ValueError: the run's checkpoint cannot be read. OSError.
    """
    path = find_weights(run.folder)
    weights = load_weights(path)
    config = read_config(run.folder) | {"run_root": "runs"}  # not a place on one machine
    starts = config.get("starts")
    last = starts[-1] if isinstance(starts, list) and starts else {}
    facts = {
        "command": command,
        "run": f"{run.backend}/{run.level}/{run.preset}/{run.arm}/seed_{run.seed}",
        "frames": weights.frames,
        "seed": run.seed,
        "final_returns": {str(seed): round(value, 4) for seed, value in returns.items()},
        "git": last.get("git") if isinstance(last, dict) else None,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / EVALUATION).unlink(missing_ok=True)  # of weights that were there before
    with checkpoint.fitting(path):
        save_weights(
            folder / AGENT_FILE, Weights(weights.frames, weights.agent, thinned(weights.aux))
        )
    replace_file(folder / FACTS, (json.dumps(facts, indent=1) + "\n").encode())
    replace_file(folder / CONFIG_FILE, yaml.safe_dump(config, sort_keys=False).encode())


def thinned(aux: dict[str, Tensor]) -> dict[str, Tensor]:
    """CPC's parameters with the maps of KEPT_STEPS alone, and those steps beside them, "steps".

    Parameters that are not one map for each step are returned as they are.
    """
    maps = aux.get("maps")
    if set(aux) != {"maps"} or maps is None or len(maps) == 1:
        return aux
    steps = [k for k in KEPT_STEPS if k <= len(maps)]
    return {"maps": maps[[k - 1 for k in steps]], "steps": torch.tensor(steps)}


def table(out: Path) -> str:
    """The README of the agents in `out` that have been evaluated.

    Raises ValueError: files there are not as written.
    """
    rows, name, level, aux = [], "", "", ""
    for path in sorted(out.glob(f"*/{FACTS}")):
        if not path.with_name(EVALUATION).is_file():
            continue
        facts, name = _read(path), path.parent.name
        score = _read(path.with_name(EVALUATION))["return"]
        low, high = (math.nan if end is None else end for end in score["interval"])
        returns = facts["final_returns"]
        git = facts["git"] or {}
        commit = str(git.get("commit"))[:10] + (", changed" if git.get("dirty") else "")
        rows.append(
            f"| [{name}]({name}) | {facts['frames']:,} | {facts['seed']} | "
            f"{returns[str(facts['seed'])]:.2f} (best of {len(returns)}) | "
            f"{sum(returns.values()) / len(returns):.2f} | {score['mean']:.2f}, "
            f"{low:.2f} to {high:.2f} ({score['count']} episodes) | {commit} |"
        )
        _, level, _, arm, _ = facts["run"].split("/")
        aux = arm.split("-")[0]
    return INTRODUCTION.format(out=out, name=name, level=level, aux=aux) + "\n".join(rows) + "\n"


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} cannot be read") from error


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    given = shlex.join(["python", "-m", "analysis.pretrained", *(argv or sys.argv[1:])])
    parser = CommandLine("python -m analysis.pretrained", "Make trained agents to hand on.")
    folder = "where to write them; those of the same name are replaced"
    parser.add_argument("--out", metavar="FOLDER", type=Path, required=True, help=folder)
    episodes = "of the evaluation (default: %(default)s)"
    parser.add_argument("--episodes", metavar="N", type=int, default=100, help=episodes)
    return parser.execute(lambda arguments: _command(arguments, given), argv)


def _command(arguments: argparse.Namespace, given: str) -> None:
    EvaluationSettings(arguments.episodes).validate()  # before anything is written
    runs, left_out = finished_runs(arguments.runs)
    for line in left_out:
        print(line)
    for name, (run, returns) in best_runs(runs).items():
        folder = arguments.out / name
        write_agent(run, returns, folder, given)
        settings = EvaluationSettings(arguments.episodes, json=str(folder / EVALUATION))
        try:
            evaluate.report(folder, settings)
        except (EpisodesLostError, WorkerError) as error:
            raise ValueError(f"{folder} could not be evaluated: {error}") from error
    replace_file(arguments.out / "README.md", table(arguments.out).encode())
    print(f"{arguments.out / 'README.md'}")


if __name__ == "__main__":
    sys.exit(main())
