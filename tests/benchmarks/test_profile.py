import json
import time

import pytest

import agents.actor
from benchmarks import profile
from benchmarks.profile import ORDER, PARTS, Training, part_of
from benchmarks.stopwatch import Stopwatch

SMALL = ("env.num_envs=5", "agent.unroll_length=7", "aux.horizon=3", "aux.anchors=2")


@pytest.fixture(scope="module")
def profiled():
    """Stopwatch, seconds and agent steps of a few updates of a small learner with CPC."""
    training, watch = Training("a2c", "cpc", 1, SMALL), Stopwatch(time.process_time)
    collect = agents.actor.collect
    training.block(0.2, watch.clock)
    elapsed, steps = training.watched_block(watch, 0.5)
    assert agents.actor.collect is collect
    assert "collect" not in vars(training.learner)
    training.close()
    return watch, elapsed, steps


def test_parts_sum_to_the_whole(profiled):
    watch, elapsed, _ = profiled
    sums = watch.by_part(part_of)
    assert sum(sums.values()) == pytest.approx(elapsed, rel=0.03)
    assert sums["other"] < 0.25 * elapsed  # tiny updates: much of the time is between the parts


def test_every_part_of_one_shard_is_seen(profiled):
    watch, *_ = profiled
    sums = watch.by_part(part_of)
    # No episode begins in so short a time, and there is no other shard.
    assert set(sums) | {"maps and respawns", "waiting for other shards"} == set(ORDER)
    assert set(PARTS.values()) < set(ORDER)


def test_acting_is_told_from_learning(profiled):
    watch, _, steps = profiled
    updates = steps // 35
    acting = sum(n for path, n in watch.calls.items() if part_of(path) == "LSTM, acting")
    learning = sum(n for path, n in watch.calls.items() if part_of(path) == "LSTM, backward")
    assert acting == (7 + 1) * updates  # the rollout's last row, too
    assert learning == updates


def test_waiting_for_another_process_is_timed():
    training, watch = Training("a2c", "none", 2, SMALL[:2]), Stopwatch()
    training.watched_block(watch, 0.0)
    training.close()
    assert watch.by_part(part_of)["waiting for other shards"] > 0.0


def test_trace_is_a_chrome_trace_of_the_same_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(
        profile, "Training", lambda *args, **_: Training("a2c", "none", 1, SMALL[:2])
    )
    monkeypatch.setattr(profile, "prepare_cpu", lambda threads: None)
    profile.main(["--trace", str(tmp_path / "trace.json")])
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    names = {event["name"] for event in events}
    assert {"render", "encode", "encoder_backward", "lstm"} <= names  # in the shard's own thread
    assert {"a2c_loss", "optimiser", "aten::mm"} <= names


def test_json_and_table(monkeypatch, capsys):
    monkeypatch.setattr(
        profile, "Training", lambda *args, **_: Training("a2c", "none", 1, SMALL[:2])
    )
    monkeypatch.setattr(profile, "prepare_cpu", lambda threads: None)
    arguments = ["--presets", "a2c", "--aux", "none", "--threads", "1", "--seconds", "0.1"]
    profile.main([*arguments, "--json"])
    result = json.loads(capsys.readouterr().out)["a2c"]["none"]
    assert sum(result["us_per_agent_step"].values()) == pytest.approx(result["total_us"], rel=0.05)
    profile.main(arguments)
    assert "encoder, backward" in capsys.readouterr().out
