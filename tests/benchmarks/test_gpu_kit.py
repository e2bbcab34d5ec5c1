"""The GPU kit as far as a CPU can try it: its runner, its report, and its cheapest steps."""

import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu_kit import __main__ as runner
from benchmarks.gpu_kit import checks, learning, speed
from benchmarks.gpu_kit.kit import Kit, read_results
from benchmarks.gpu_kit.report import markdown
from benchmarks.gpu_kit.steps import STEPS


@pytest.fixture
def kit(tmp_path) -> Kit:
    return Kit("cpu", True, tmp_path, time.monotonic() + 1000)


def test_a_failed_and_a_slow_step_are_reported_and_the_rest_goes_on(tmp_path, monkeypatch, capsys):
    def command(program: str) -> list[str]:
        return [sys.executable, "-c", program]

    assert not runner.run_step(command("exit('no such level')"), 60, tmp_path, "failing")
    assert not runner.run_step(command("import time; time.sleep(60)"), 0.5, tmp_path, "slow")
    assert runner.run_step(command("print('fine')"), 60, tmp_path, "good")
    ends = {row["name"]: row["end"] for row in read_results(tmp_path)}
    assert ends == {"failing": "exit 1", "slow": "over its 0 s", "good": "ok"}
    assert "    no such level" in capsys.readouterr().out
    assert "fine" in (tmp_path / "log.txt").read_text()


def test_time_is_up_and_what_is_asked_for_is_checked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner.signal, "signal", lambda *_: None)  # this process keeps its own
    asked = ["check", "--tiny", "--minutes", "0", "--out", str(tmp_path)]
    assert runner.main(asked) == 1
    names = [row["name"] for row in read_results(tmp_path)]
    assert names == [name for name, step in STEPS.items() if step.part == "check"]
    assert "| trace | no time left | 0 |" in (tmp_path / "report.md").read_text()
    with pytest.raises(SystemExit):
        runner.main(["chekc", "--tiny"])
    assert "unknown part chekc; allowed: check, speed, learn" in capsys.readouterr().err


def test_checkpoint_and_speed_in_their_smallest_sizes(kit, monkeypatch):
    checks.checkpoint_trip(kit)
    monkeypatch.setattr(speed, "SMALL", (*checks.SMALL, checks.PLAIN))
    monkeypatch.setattr(speed, "NETWORKS", (("shallow", "cpc"),))
    speed.plain(kit)
    *trips, row = read_results(kit.out)
    assert [(trip["to"], trip["changed"]) for trip in trips] == [("cpu", []), ("cpu", [])]
    assert trips[0]["tensors"] > 20
    assert row["agent_steps_per_s"] > 0
    text = markdown(read_results(kit.out))
    assert "to cpu: 0 of" in text
    assert f"| 3 | shallow | no | cpc | {row['agent_steps_per_s']:,} |" in text


@pytest.mark.slow  # starts pytest
def test_the_tests_that_need_a_gpu_are_found(kit):
    checks.tests(kit)
    (counts,) = read_results(kit.out)
    ran = {name: count for name, count in counts.items() if name in ("passed", "skipped")}
    assert sum(ran.values()) >= 3, counts


def test_a_size_that_fails_is_recorded_and_the_others_go_on(kit, monkeypatch):
    def measure(kit, num_envs, aux, settings):
        if aux == "cpc":
            raise MemoryError("out of memory | at once\nwith details")
        return {"agent_steps_per_s": 7}

    monkeypatch.setattr(speed, "measure", measure)
    speed.plain(kit)
    late = kit._replace(deadline=time.monotonic())
    speed.plain(late)
    errors = [row.get("error") for row in read_results(kit.out)]
    assert errors == 2 * [None, "MemoryError: out of memory / at once"] + 4 * ["no time left"]
    with pytest.raises(RuntimeError, match=r"agent\.compile needs a GPU"):
        speed.compiled(kit)


def test_a_curve_like_the_seeds_is_inside_and_another_is_not(monkeypatch):
    seeds = learning.find_runs([learning.CPU_SEEDS])
    own = learning.seed_curves

    def typical(runs, width, bins):
        curves = own(seeds, width, bins)
        return curves.mean(axis=0, keepdims=True) if len(runs) == 1 else curves

    monkeypatch.setattr(learning, "seed_curves", typical)
    parts = learning.compare(seeds[0], seeds)
    assert [part.frames_to for part in parts] == [4e6 * k for k in range(1, 11)]
    assert all(part.inside for part in parts)

    def shifted(runs, width, bins):
        curves = typical(runs, width, bins)
        return np.where(np.arange(bins) < 7, curves + 30, np.nan) if len(runs) == 1 else curves

    monkeypatch.setattr(learning, "seed_curves", shifted)
    parts = learning.compare(seeds[0], seeds)
    assert not any(part.inside for part in parts)
    assert [math.isnan(part.gpu) for part in parts] == 7 * [False] + 3 * [True]


def test_report_says_what_was_found():
    speeds = {"kind": "speed", "num_envs": 32, "encoder": "deep", "compile": True}
    found = {"collect_ms": 1.0, "update_ms": 2.0, "ready_s": 3.0, "gpu_mib": 4}
    text = markdown(
        [
            {"kind": "machine", "gpu": "a GPU"},
            {"kind": "tests", "passed": 5},
            {**speeds, "aux": "none", "agent_steps_per_s": 1100, **found},
            {**speeds, "aux": "cpc", "agent_steps_per_s": 1000, **found},
            {**speeds, "aux": "none", "num_envs": 1024, "error": "no time left"},
            {"kind": "learn", "frames": 2e6, "finished": False, "compile": True},
            {"kind": "curve", "frames_to": 2e6, "gpu": 1, "cpu": 2, "low": 3, "high": 4,
             "inside": False},
            {"kind": "trace", "num_envs": 32, "wall_ms": 5, "busy_ms": 2, "launches": 7000,
             "longest": [["sgemm", 1.5, 11]]},
        ]
    )  # fmt: skip
    assert "gpu a GPU" in text
    assert "GPU tests: 5 passed." in text
    assert "| 32 | deep | yes | cpc | 1,000 | 4,000 | 10.0 % | 1.0 | 2.0 | 4 | 3.0 |" in text
    assert "| 1024 | deep | yes | none | no time left |" in text
    assert "cut off at 2,000,000 frames, agent.compile=True: 0 of 1 tenths" in text
    assert "| 2,000,000 | 1.00 | 2.00 | 3.00 to 4.00 | NO |" in text
    assert "| sgemm | 1.5 | 11 |" in text


@pytest.mark.parametrize("script", ["gpu_kit.sh", "gpu_wheels.sh"])
def test_scripts_can_be_read(script):
    path = Path(runner.ROOT) / "benchmarks" / script
    subprocess.run(["bash", "-n", str(path)], check=True)
