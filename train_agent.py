"""Train an agent, and continue where it was stopped.

    python train_agent.py env=room_watermaze aux=cpc
    python train_agent.py -m env=room_watermaze aux=none,cpc seed=1,2,3

Settings are key=value, or a YAML file of them, over which those beside it win; the files in
configs/ hold all of them with their defaults and meaning. -m runs all combinations of the listed
values. Repeating a command continues its run. The exit code is 0 when all is trained, 2 after a
mistake in settings or files, 1 when a run stopped, 130 or 143 after Ctrl-C or SIGTERM.
"""

import os
import signal
import sys

if __name__ == "__main__":  # what is imported below takes seconds, in which there may be a Ctrl-C
    signal.signal(signal.SIGINT, lambda *_: os._exit(os.write(1, b"Ended by SIGINT.\n") and 130))

import dataclasses
import re
import shlex
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agents.devices import available_cores, choose_device, prepare_cpu
from agents.parallel.process import ShardError
from configs import (
    AnyLearner,
    RunConfig,
    RunRequest,
    make_learner,
    requests_from_command_line,
    take_weights,
)
from envs import first_wait
from envs.pool import WorkerError
from records import checkpoint
from records.failures import sentence
from records.metrics import Metrics
from records.progress import ProgressDisplay, standard_streams
from records.run_folder import FolderLostError, RunFolder, RunStoppedError
from records.saving import Saving
from records.signals import Interrupted, StopSignals
from records.sockets import name_socket_folder

STOPPED, MISTAKE = 1, 2  # exit codes


def main(argv: list[str] | None = None) -> int:
    """Train what the command line asks for; return the exit code."""
    if os.getcwd() not in map(os.path.abspath, sys.path):  # where env.id=module:id may be
        sys.path.append(os.getcwd())
    name_socket_folder()
    with standard_streams(), StopSignals() as signals:
        try:
            requests = requests_from_command_line(argv, description=str(__doc__))
            codes = run_requests(requests, signals)
        except Interrupted as interrupted:
            print(f"Ended by {interrupted}; the same command continues.", flush=True)
            return interrupted.exit_code
        except (ValueError, OSError) as error:
            print(sentence(error), file=sys.stderr)
            return MISTAKE
    if len(requests) > 1:
        print(f"{codes.count(0)} of {len(requests)} runs are complete.")
    return max(codes)


def run_requests(requests: list[RunRequest], signals: StopSignals) -> list[int]:
    """Train all runs, one after the other; return the exit code of each.

    Mistakes are told before the first one starts.
    """
    common = set(requests[0].settings).intersection(*(request.settings for request in requests))
    names = [shlex.join(s for s in request.settings if s not in common) for request in requests]
    for request, name in zip(requests, names, strict=True):
        try:
            if request.config is None:
                raise ValueError(request.error)
        except ValueError as error:
            report(error, name)
    codes = []
    for number, (request, name) in enumerate(zip(requests, names, strict=True), 1):
        if request.config is not None and len(requests) > 1:
            print(f"Run {number} of {len(requests)}: {name}", flush=True)
        codes.append(run_request(request, name, signals))
    return codes


def run_request(request: RunRequest, name: str, signals: StopSignals) -> int:
    """Train one run to its end, report what fails; return the exit code."""
    if request.config is None:
        return MISTAKE
    try:
        with RunFolder(request.config.folder) as folder:
            train(request.config, folder, signals)
        draw_figures(request.config, request.settings)
        return 0
    except (RunStoppedError, FolderLostError, ShardError) as error:
        report(error, name)
        return STOPPED
    except (ValueError, OSError, WorkerError) as error:
        report(error, name)
        return MISTAKE
    except (MemoryError, RuntimeError) as error:
        short = shortage(error)
        if short is not None:
            report(ValueError(short), name)
            return MISTAKE
        traceback.print_exc()  # a fault in the program, which the next run may not meet
    except Exception:
        traceback.print_exc()
    return STOPPED


def report(error: Exception, name: str) -> None:
    """Print what went wrong in one sentence, with the run's name where there are several."""
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        traceback.print_exception(error)
    print(f"{name}: " * bool(name) + sentence(error), file=sys.stderr, flush=True)


def shortage(error: Exception) -> str | None:
    """Say what this machine has too little of, if that is the error; PyTorch has no type for it."""
    text = str(error)
    too_little = re.search(r"(can't allocate|Cannot allocate|CUDA out of) memory", text)
    if isinstance(error, MemoryError) or too_little:
        return (
            "There is not enough memory; smaller are env.num_envs, agent.unroll_length, "
            "agent.network.hidden_size and the observations."
        )
    if "Too many open files" in text:
        return "Too many open files (`ulimit -n` allows more)."
    return None


def train(config: RunConfig, folder: RunFolder, signals: StopSignals) -> None:
    """Build the learner and its records, new or from the run's checkpoint, and train."""
    state = folder.load(dataclasses.asdict(config), config.resume.extend)
    if state is not None and state["learner"]["frames"] >= config.total_frames:
        print(f"{folder.path} is finished ({config.total_frames:,} frames).", flush=True)
        return
    device = choose_device(config.device)
    threads = config.threads or min(available_cores(), config.env.num_envs)
    prepare_cpu(threads)
    print(
        f"{folder.path}: {'starting' if state is None else 'continuing'} on {device}, {threads} "
        f"threads; {first_wait(config.env)} ...",
        flush=True,
    )
    with no_main_module():
        learner = make_learner(config, device, threads)
    try:
        if state is None:
            learner.start()
            if config.start_from is not None:
                take_weights(learner, Path(config.start_from).expanduser())
        else:
            with checkpoint.fitting(folder.checkpoint_path):
                learner.load_state_dict(state["learner"])
        metrics = Metrics(folder.path, config.log.every_frames, state and state["metrics"])
        folder.write_config(dataclasses.asdict(config), learner.frames, learner.passes)
        with signals.deferred():
            loop(config, folder, learner, metrics, signals)
    finally:
        learner.close()


@contextmanager
def no_main_module() -> Iterator[None]:
    """Let processes that are started inside not import the main script again.

    They need nothing of it; and what calls `main` may come from standard input, which cannot be
    imported, or lack the `if __name__ == "__main__":` that an import needs.
    """
    main_module = vars(sys.modules["__main__"])
    before: dict[str, Any]
    before = {name: main_module[name] for name in ("__file__", "__spec__") if name in main_module}
    main_module.pop("__file__", None)
    main_module["__spec__"] = None
    try:
        yield
    finally:
        main_module.update(before)


def loop(
    config: RunConfig,
    folder: RunFolder,
    learner: AnyLearner,
    metrics: Metrics,
    signals: StopSignals,
) -> None:
    """Collect, update, log and save until the end or a signal. Raises RunStoppedError."""
    saving = Saving(
        folder,
        learner,
        metrics,
        every_frames=config.log.checkpoint_frames,
        every_minutes=config.log.checkpoint_minutes,
        keep=config.log.keep_checkpoints,
    )
    if not folder.checkpoint_path.exists():
        saving.save()
    title = f"{config.env.level} {config.arm} seed {config.seed}"
    try:
        try:
            with ProgressDisplay(title, config.total_frames, learner.frames) as display:
                while not learner.finished and signals.requested is None:
                    episodes = learner.collect()
                    learner.update()
                    metrics.add(learner.frames, episodes)
                    display.advance(learner.frames)
                    if metrics.due(learner.frames) or learner.finished:
                        folder.check_held()
                        row = metrics.write(learner.frames, learner.metrics())
                        display.show(row, metrics.recent_returns)
                    saving.save_if_due()
                saving.save()
        except WorkerError as error:  # the parameters are as good as ever
            saving.save()
            raise RunStoppedError(error, folder.checkpoint_path, saving.frames) from error
    except (FloatingPointError, ValueError, OSError, ShardError) as error:
        raise RunStoppedError(error, folder.checkpoint_path, saving.frames) from error


def draw_figures(config: RunConfig, settings: tuple[str, ...]) -> None:
    """Redraw the level's figure from all comparable runs, and this run's CPC figure."""
    # Here, because SciPy and Matplotlib would take a third of the start, of worker processes too.
    from analysis.cpc_curves import plot_cpc
    from analysis.curves import plot_level
    from analysis.runs import HORIZON_FILE, matching_runs, open_run, readable_runs

    runs, damaged = readable_runs(matching_runs(config.folder))
    for why in damaged:
        print(f"Left out of the figure: {why}.")
    if not runs:
        return
    figure = config.level_folder / f"returns{'' if config.tag is None else '-' + config.tag}.png"
    plot_level(runs, figure)
    print(f"Return curves of {len(runs)} run(s): {figure}")
    if (config.folder / HORIZON_FILE).is_file():  # CPC's, and what records as it does
        plot_cpc([config.folder], config.folder / "cpc.png")
        print(f"CPC accuracy and loss by horizon: {config.folder / 'cpc.png'}")
    if all(open_run(run).aux != "none" for run in runs):
        kept = [s for s in settings if not s.startswith(("aux=", "aux.", "resume."))]
        print(f"To train the baseline: python train_agent.py {shlex.join([*kept, 'aux=none'])}")
    print(f"In TensorBoard: tensorboard --logdir {shlex.quote(str(config.level_folder))}")


if __name__ == "__main__":
    sys.exit(main())
