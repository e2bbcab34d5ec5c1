"""Train an agent, and continue where it was stopped.

    python train_agent.py env=room_watermaze aux=cpc
    python train_agent.py -m env=room_watermaze aux=none,cpc seed=1,2,3
    torchrun --nproc-per-node 2 train_agent.py env=room_watermaze aux=cpc

Settings are key=value, or a YAML file of them, over which those beside it win; the files in
configs/ hold all of them with their defaults and meaning. -m runs all combinations of the listed
values. Repeating a command continues its run. torchrun splits one run over GPUs and machines
(docs/scale.md). The exit code is 0 when all is trained, 2 after a mistake in settings or files,
1 when a run stopped, 130 or 143 after Ctrl-C or SIGTERM.
"""

import os
import signal
import sys

if __name__ == "__main__":  # what is imported below takes seconds, in which there may be a Ctrl-C
    signal.signal(signal.SIGINT, lambda *_: os._exit(os.write(1, b"Ended by SIGINT.\n") and 130))

import dataclasses
from collections.abc import Callable
from pathlib import Path

from agents.devices import available_cores, prepare_cpu
from agents.episodes import Episode
from agents.evaluation import EpisodesLostError
from agents.parallel.process import ShardError
from agents.parallel.ranks import ALONE, RankError, Ranks
from agents.parallel.torchrun import code_after_signal, exit_at_once, first_rank_prints, join_ranks
from analysis.after_training import draw_figures
from analysis.references import random_return
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
from records.evaluating import Evaluating
from records.failures import report, report_unexpected, sentence
from records.metrics import Metrics, is_finished
from records.processes import name_socket_folder, no_main_module
from records.progress import ProgressDisplay, standard_streams
from records.run_folder import FolderLostError, RunFolder, RunStoppedError, require_same_run
from records.saving import Saving
from records.signals import Interrupted, StopSignals

STOPPED, MISTAKE = 1, 2  # exit codes


def main(argv: list[str] | None = None) -> int:
    """Train what the command line asks for; return the exit code."""
    if os.getcwd() not in map(os.path.abspath, sys.path):  # where env.id=module:id may be
        sys.path.append(os.getcwd())
    name_socket_folder()
    with standard_streams(), first_rank_prints(), StopSignals() as signals:
        try:
            with join_ranks() as ranks:
                signals.patient = ranks is not ALONE
                code = run(argv, signals, ranks)
                if code != 0 and ranks is not ALONE:
                    ranks.leave()
                    exit_at_once(code)
                return code
        except Interrupted as interrupted:
            print(f"Ended by {interrupted}; the same command continues.", flush=True)
            return code_after_signal(interrupted.exit_code)


def run(argv: list[str] | None, signals: StopSignals, ranks: Ranks) -> int:
    """Train what the command line asks for, as one of the ranks; return the exit code."""
    try:
        requests = parse_runs(argv, description=str(__doc__))
        if ranks.world_size > 1 and len(requests) > 1:
            raise ValueError(
                f"these settings make {len(requests)} runs; torchrun is started once for each."
            )
        if len(requests) > 1:
            requests = [refused(request) for request in requests]
    except (ValueError, OSError) as error:
        tell(error, "", ranks)
        return MISTAKE
    for request in requests:  # all mistakes, before the first run starts
        if request.error is not None:
            tell(request.error, request.name, ranks)
    settings = requests[0].settings
    unused = [s for s in settings if s.startswith("aux.")]
    if unused and not any(s.startswith(("aux=", "aux.name=")) for s in settings):
        print(f"Without aux=cpc, say, this changes nothing: {' '.join(unused)}", flush=True)
    codes = []
    for number, request in enumerate(requests, 1):
        if request.config is not None and len(requests) > 1:
            print(f"Run {number} of {len(requests)}: {request.name}", flush=True)
        codes.append(run_request(request, signals, ranks))
    if len(requests) > 1:
        without = [r.name for r, code in zip(requests, codes, strict=True) if code != 0]
        but = f", without {'; '.join(without)}" if without else ""
        print(f"{codes.count(0)} of {len(requests)} runs are complete{but}.")
    return max(codes)


def refused(request: RunRequest) -> RunRequest:
    """The request, with its error where its folder holds another run: known before any trains."""
    if request.config is not None:
        config, extend = dataclasses.asdict(request.config), request.config.resume.extend
        try:
            require_same_run(request.config.folder, config, extend)
        except (ValueError, OSError) as error:
            return request._replace(config=None, error=ValueError(sentence(error)))
    return request


def run_request(request: RunRequest, signals: StopSignals, ranks: Ranks) -> int:
    """Train one run to its end, report what fails; return the exit code."""
    composed = request.config
    if composed is None:
        return MISTAKE
    try:
        # The first rank's machine has the files that count.
        config = ranks.broadcast_object(lambda: composed)
        with RunFolder(config.folder, ranks) as folder:
            train(config, folder, signals, ranks)
        if ranks.is_first:
            draw_figures(config.folder, config.level_folder, config.tag, request.arguments)
        return 0
    except (RunStoppedError, FolderLostError, ShardError, RankError) as error:
        tell(error, request.name, ranks)
        return STOPPED
    except (ValueError, OSError, WorkerError) as error:
        tell(error, request.name, ranks)
        return MISTAKE
    except Exception as error:
        return MISTAKE if report_unexpected(error, request.name) else STOPPED


def tell(error: Exception, name: str, ranks: Ranks) -> None:
    """Report what went wrong in run `name`, unless another rank has said the same."""
    if ranks.is_first_to_say(sentence(error)):
        report(error, name)


def train(config: RunConfig, folder: RunFolder, signals: StopSignals, ranks: Ranks) -> None:
    """Build the learner and its records, new or from the run's checkpoint, and train."""
    state = folder.load(dataclasses.asdict(config), config.resume.extend)
    with checkpoint.fitting(folder.checkpoint_path):
        finished = state is not None and is_finished(
            state, config.total_frames, config.log.evaluate_frames
        )
    if finished:
        print(
            f"{folder.path} is finished ({config.total_frames:,} frames). To train it on: a larger "
            "total_frames= and resume.extend=true; to train another: seed= or tag=.",
            flush=True,
        )
        return
    device = ranks.choose_device(config.device)
    own = ranks.part(config.env.num_envs)
    cores = max(1, available_cores() // ranks.local_world_size)
    threads = config.threads or min(cores, own.stop - own.start)
    prepare_cpu(threads, device)
    begin = "starting" if state is None else f"continuing at {state['learner']['frames']:,} frames"
    print(
        f"{folder.path}: {begin} on {device}, "
        f"{f'{ranks.world_size} ranks of ' * (ranks.world_size > 1)}"
        f"{threads} thread{'s' * (threads > 1)}; {first_wait(config.env)} ...",
        flush=True,
    )
    negatives = getattr(config.aux, "negatives", "sequence")
    if ranks.world_size > 1 and config.aux.name != "none" and negatives != "sequence":
        print(f"aux.negatives={negatives}: each rank takes them from its own environments.")
    ranks.more_patience_s = config.env.worker_patience_s
    with no_main_module():
        learner = make_learner(config, device, threads, ranks=ranks)
    try:
        if state is None:
            if config.start_from is not None and ranks.is_first:
                take_weights(learner, Path(config.start_from).expanduser())
            learner.start()  # with the first rank's weights everywhere
        else:
            with checkpoint.fitting(folder.checkpoint_path):
                learner.load_state_dict(state["learner"])
        kept = None if state is None else state["metrics"]
        metrics = Metrics(folder.path, config.log.every_frames, kept, ranks)
        settings = dataclasses.asdict(config)
        folder.write_config(settings, learner.frames, learner.passes, device, threads)
        with signals.deferred():
            loop(config, folder, learner, metrics, signals, ranks)
    finally:
        learner.close()


def loop(
    config: RunConfig,
    folder: RunFolder,
    learner: AnyLearner,
    metrics: Metrics,
    signals: StopSignals,
    ranks: Ranks,
) -> None:
    """Collect, update, log and save until the end or a signal. Raises RunStoppedError.

    All ranks come here; their records are the first one's.
    """

    def play(progress: Callable[[int], None]) -> list[Episode]:
        episodes = play_evaluation(config, learner, progress)
        folder.check_held()  # it may take minutes
        return episodes

    saving = Saving(folder, learner, metrics, config.log, ranks)
    if learner.frames == 0:
        saving.save()
    title = f"{config.env.level} {config.arm} seed {config.seed}"
    try:
        try:
            random = random_return(config.env.level)
            with ProgressDisplay(title, config.total_frames, learner.frames, random) as display:
                every = config.log.evaluate_frames
                evaluating = Evaluating(learner, metrics, display, play, every, signals, ranks)
                evaluating.evaluate_if_due()  # a signal may have cut the last one short
                while not learner.finished and not signals.requested_on(ranks):
                    episodes = learner.collect()
                    learner.update()
                    metrics.add(learner.frames, episodes)
                    display.advance(learner.frames)
                    if metrics.due(learner.frames) or learner.finished:
                        folder.check_held()
                        row = metrics.write(learner.frames, learner.metrics())
                        display.show(row, metrics.recent_return)
                    evaluating.evaluate_if_due()
                    saving.save_if_due()
                saving.save()
        except (WorkerError, EpisodesLostError) as error:  # the parameters are as good as ever
            if ranks.world_size == 1:
                saving.save()
            raise RunStoppedError(error, folder.checkpoint_path, saving.frames) from error
    except (FloatingPointError, ValueError, OSError, ShardError, RankError) as error:
        raise RunStoppedError(error, folder.checkpoint_path, saving.frames) from error


if __name__ == "__main__":
    sys.exit(main())
