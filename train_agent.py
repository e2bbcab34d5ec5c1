"""Train an agent, and continue where it was stopped.

    python train_agent.py env=room_watermaze aux=cpc
    python train_agent.py -m env=room_watermaze aux=none,cpc seed=1,2,3

Settings are key=value; the files in configs/ hold all of them with their defaults and meaning.
-m runs all combinations of the listed values. Repeating a command continues its run.
"""

import dataclasses
import os
import sys
import traceback

from agents import checkpoint
from agents.devices import available_cores, choose_device, prepare_cpu
from agents.files import sentence
from agents.metrics import Metrics
from agents.progress import ProgressDisplay, standard_streams
from agents.run_folder import FolderLostError, RunFolder, RunStoppedError
from agents.saving import Saving
from agents.signals import Interrupted, StopSignals
from agents.sockets import name_socket_folder
from configs import AnyLearner, Job, RunConfig, jobs_from_command_line, make_learner
from envs import first_wait
from envs.pool import WorkerError


def main(argv: list[str] | None = None) -> int:
    """Train what the command line asks for; return the exit code."""
    name_socket_folder()
    with standard_streams(), StopSignals() as signals:
        try:
            jobs = jobs_from_command_line(argv, description=str(__doc__))
            complete = sum(run_job(job, signals, alone=len(jobs) == 1) for job in jobs)
        except Interrupted as interrupted:
            print(f"Ended by {interrupted}; the same command continues.", flush=True)
            return interrupted.exit_code
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
    if len(jobs) > 1:
        print(f"{complete} of {len(jobs)} runs are complete.")
    return 0 if complete == len(jobs) else 1


def run_job(job: Job, signals: StopSignals, alone: bool) -> bool:
    """Train one run to its end, report what fails; return whether it is complete."""
    try:
        if job.config is None:
            raise ValueError(job.error)
        with RunFolder(job.config.folder) as folder:
            train(job.config, folder, signals)
        draw_figures(job.config, job.settings)
        return True
    except (ValueError, OSError, RunStoppedError, FolderLostError) as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            traceback.print_exc()
        which = "" if alone else f"{' '.join(job.settings)}: "
        print(f"{which}{sentence(error)}", file=sys.stderr, flush=True)
    except Exception:  # a fault in the program, which the next run may not meet
        traceback.print_exc()
    return False


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
    learner = make_learner(config, device, threads)
    try:
        if state is None:
            learner.start()
        else:
            with checkpoint.fitting(folder.checkpoint_path):
                learner.load_state_dict(state["learner"])
        metrics = Metrics(folder.path, config.log.every_frames, state and state["metrics"])
        folder.write_config(dataclasses.asdict(config), learner.frames)
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
    except (FloatingPointError, ValueError, OSError) as error:
        raise RunStoppedError(error, folder.checkpoint_path, saving.frames) from error


def draw_figures(config: RunConfig, settings: tuple[str, ...]) -> None:
    """Redraw the level's figure from all comparable runs, and this run's CPC figure."""
    # Here, because SciPy and Matplotlib would take a third of the start, of worker processes too.
    from analysis.cpc_curves import plot_cpc
    from analysis.curves import plot_level
    from analysis.runs import matching_runs, open_run, readable_runs

    runs, damaged = readable_runs(matching_runs(config.folder))
    for why in damaged:
        print(f"Left out of the figure: {why}.")
    if not runs:
        return
    figure = config.level_folder / f"returns{'' if config.tag is None else '-' + config.tag}.png"
    plot_level(runs, figure)
    print(f"Return curves of {len(runs)} run(s): {figure}")
    if config.aux.name != "none":
        plot_cpc([config.folder], config.folder / "cpc.png")
        print(f"CPC accuracy and loss by horizon: {config.folder / 'cpc.png'}")
    if all(open_run(run).aux != "none" for run in runs):
        kept = [s for s in settings if not s.startswith(("aux=", "aux.", "resume."))]
        print(f"To train the baseline: python train_agent.py {' '.join(kept)} aux=none")


if __name__ == "__main__":
    sys.exit(main())
