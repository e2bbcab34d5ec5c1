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
from contextlib import suppress
from pathlib import Path

from agents.devices import available_cores, choose_device, prepare_cpu
from agents.parallel.process import ShardError
from analysis.after_training import draw_figures
from configs import (
    AnyLearner,
    RunConfig,
    RunRequest,
    make_learner,
    parse_runs,
    play_evaluation,
    take_weights,
)
from envs import first_wait
from envs.pool import WorkerError
from records import checkpoint
from records.failures import report, report_unexpected, sentence
from records.metrics import Metrics
from records.processes import name_socket_folder, no_main_module
from records.progress import ProgressDisplay, standard_streams
from records.run_folder import FolderLostError, RunFolder, RunStoppedError
from records.saving import Saving
from records.signals import Interrupted, StopSignals

STOPPED, MISTAKE = 1, 2  # exit codes


def main(argv: list[str] | None = None) -> int:
    """Train what the command line asks for; return the exit code."""
    if os.getcwd() not in map(os.path.abspath, sys.path):  # where env.id=module:id may be
        sys.path.append(os.getcwd())
    name_socket_folder()
    with standard_streams(), StopSignals() as signals:
        try:
            requests = parse_runs(argv, description=str(__doc__))
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
    for request in requests:
        if request.error is not None:
            report(request.error, request.name)
    codes = []
    for number, request in enumerate(requests, 1):
        if request.config is not None and len(requests) > 1:
            print(f"Run {number} of {len(requests)}: {request.name}", flush=True)
        codes.append(run_request(request, signals))
    return codes


def run_request(request: RunRequest, signals: StopSignals) -> int:
    """Train one run to its end, report what fails; return the exit code."""
    config = request.config
    if config is None:
        return MISTAKE
    try:
        with RunFolder(config.folder) as folder:
            train(config, folder, signals)
        draw_figures(config.folder, config.level_folder, config.tag, request.settings)
        return 0
    except (RunStoppedError, FolderLostError, ShardError) as error:
        report(error, request.name)
        return STOPPED
    except (ValueError, OSError, WorkerError) as error:
        report(error, request.name)
        return MISTAKE
    except Exception as error:
        return MISTAKE if report_unexpected(error, request.name) else STOPPED


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
                evaluate_if_due(config, learner, metrics, display, signals)  # a signal cut it short
                while not learner.finished and signals.requested is None:
                    episodes = learner.collect()
                    learner.update()
                    metrics.add(learner.frames, episodes)
                    display.advance(learner.frames)
                    if metrics.due(learner.frames) or learner.finished:
                        folder.check_held()
                        row = metrics.write(learner.frames, learner.metrics())
                        display.show(row, metrics.recent_returns)
                    evaluate_if_due(config, learner, metrics, display, signals)
                    saving.save_if_due()
                saving.save()
        except WorkerError as error:  # the parameters are as good as ever
            saving.save()
            raise RunStoppedError(error, folder.checkpoint_path, saving.frames) from error
    except (FloatingPointError, ValueError, OSError, ShardError) as error:
        raise RunStoppedError(error, folder.checkpoint_path, saving.frames) from error


def evaluate_if_due(
    config: RunConfig,
    learner: AnyLearner,
    metrics: Metrics,
    display: ProgressDisplay,
    signals: StopSignals,
) -> None:
    """Play and record evaluation's episodes where it is time to.

    A signal ends them without a row, except at the run's end; the run that continues plays them.
    """

    def stop_at_signal(_: int) -> None:
        if not learner.finished:
            signals.raise_if_requested()

    if not metrics.evaluation_due(learner.frames, config.log.evaluate_frames):
        return
    with suppress(Interrupted), metrics.paused(), no_main_module():
        episodes = play_evaluation(config, learner, stop_at_signal)
        display.show_evaluation(metrics.write_evaluation(learner.frames, episodes))


if __name__ == "__main__":
    sys.exit(main())
