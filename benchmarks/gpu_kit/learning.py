"""The step that learns: a whole run on the GPU, beside seeds that were trained on a CPU."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from analysis.curves import COMMITTED_RESULTS, seed_curves
from analysis.export import export_run
from analysis.runs import Run, find_runs
from benchmarks.gpu_kit.checks import ROOT, SMALL
from benchmarks.gpu_kit.kit import Kit
from records.file_names import CONFIG_FILE

CPU_SEEDS = COMMITTED_RESULTS / "study/room_watermaze/a2c_laptop/none"
SETTINGS = ("env=room_watermaze", "aux=none", "seed=6")  # the study's, but for the seed
FRAMES = 40_000_000
PARTS = 10
SAVE_S = 20.0  # to save and compare, when the time is up
RUNS = ROOT / "runs" / "gpu_kit"  # kept: the same command continues what was cut off


class Part(NamedTuple):
    """Mean returns in one tenth of a run."""

    frames_to: float
    gpu: float  # NaN: not reached
    cpu: float  # mean of the seeds
    low: float  # where another seed lies with 95 % probability
    high: float

    @property
    def inside(self) -> bool:
        """Whether the GPU's return is one that another CPU seed may have."""
        return self.low <= self.gpu <= self.high


def learn(kit: Kit) -> None:
    """Train 40 million frames, as far as time allows, and compare. Raises RuntimeError."""
    runs = kit.out / "runs" if kit.tiny else RUNS
    settings = [*SETTINGS, f"device={kit.device}", f"run_root={runs}"]
    settings += [*SMALL, "total_frames=1000"] if kit.tiny else [f"total_frames={FRAMES}"]
    # Compiled, because it may be faster; the switch changes rounding only. If it fails, without.
    for compiled in (True, False) if kit.device == "cuda" else (False,):
        code = train_for(kit.seconds_left - SAVE_S, [*settings, f"agent.compile={compiled}"])
        if code in (0, 128 + signal.SIGTERM):
            break
    else:
        raise RuntimeError(f"train_agent.py ended with {code}")
    (run,) = find_runs(path.parent for path in runs.rglob(CONFIG_FILE))
    kit.record("learn", frames=run.frames, finished=code == 0, compile=compiled)
    if len(run.returns.frames):
        small = export_run(run, kit.out / "export")
        shutil.copy(small / "curves.csv", kit.out / "gpu_curves.csv")
        shutil.copy(small / "progress.csv", kit.out / "gpu_progress.csv")
        shutil.rmtree(kit.out / "export")
    for part in compare(run, find_runs([CPU_SEEDS])):
        if np.isfinite(part.gpu):
            kit.record("curve", **part._asdict(), inside=part.inside)


def train_for(seconds: float, settings: Sequence[str]) -> int:
    """Run train_agent.py for at most so long, then let it save; return its exit code."""
    process = subprocess.Popen([sys.executable, "train_agent.py", *settings], cwd=ROOT)
    try:
        return process.wait(max(seconds, 1.0))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        return process.wait()


def compare(run: Run, seeds: Sequence[Run], parts: int = PARTS) -> list[Part]:
    """The run's mean return in each tenth of its frames, and what the seeds say of another seed.

    The 95 % prediction interval of one more seed, of normally distributed ones whose standard
    deviation is the same in all tenths: of two seeds alone each tenth would say next to nothing.
    """
    width = seeds[0].total_frames / parts
    curves = seed_curves(seeds, width, parts)  # [seeds, parts]
    (own,) = seed_curves([run], width, parts)
    n = len(seeds)
    deviation = np.sqrt(curves.var(axis=0, ddof=1).mean())
    reach = stats.t.ppf(0.975, parts * (n - 1)) * deviation * np.sqrt(1 + 1 / n)
    mean = curves.mean(axis=0)
    ends = width * np.arange(1, parts + 1)
    rows = zip(ends, own, mean, mean - reach, mean + reach, strict=True)
    return [Part(*map(float, row)) for row in rows]
