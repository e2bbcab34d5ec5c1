"""What the benchmark of training prints."""

import json
import math

from benchmarks import train_speed


def test_json_has_the_papers_preset_at_the_top(monkeypatch, capsys):
    monkeypatch.setattr(train_speed, "STEPS_PER_BLOCK", 1)
    monkeypatch.setattr(train_speed, "prepare_cpu", lambda threads: "a backend")
    small = ["env.num_envs=2", "agent.unroll_length=31"]
    assert train_speed.main(["--json", "--blocks", "1", "--threads", "1", *small]) == 0
    result = json.loads(capsys.readouterr().out)
    for speeds in (result, result["laptop"]):
        assert speeds["agent_steps_per_s"] > 0
        assert abs(speeds["frames_per_s"] - 4 * speeds["agent_steps_per_s"]) <= 2
        assert 0 < speeds["sgemm_fraction"] < 1.5
        assert -1 < speeds["cpc_overhead"] < math.inf
    assert result["mflop_per_agent_step"] == 20.66
    assert (result["threads"], result["backend"]) == (1, "a backend")
