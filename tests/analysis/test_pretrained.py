"""From runs to agents to hand on, and back into the commands."""

import json
from pathlib import Path

import pytest
import torch

import evaluate
from analysis import curves, pretrained
from analysis.references import random_return
from analysis.runs import find_runs
from records.settings import read_config
from records.weights import find_weights, load_weights
from tests.tiny_run import write_run

LEVEL = "seekavoid_arena_01"
AGENT = Path(f"pretrained/{LEVEL}_cpc")
ROOT = Path(__file__).parent.parent.parent
COMMITTED = sorted(path.name for path in (ROOT / "pretrained").iterdir() if path.is_dir())


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def runs():
    """Two seeds with CPC, of which the second is better, and one without."""
    write_run(f"env={LEVEL}", "aux=cpc", "seed=2", f"run_root={Path.cwd()}")
    best = write_run(f"env={LEVEL}", "aux=cpc", "seed=3", last_return=5)
    write_run(f"env={LEVEL}", "aux=none", "seed=2")
    return best


@pytest.mark.slow
def test_best_seed_of_each_becomes_an_agent_that_plays(runs, monkeypatch, capsys):
    monkeypatch.setattr(pretrained, "KEPT_STEPS", (1, 3, 5))
    assert pretrained.main([str(Path.cwd()), "--out", "pretrained", "--episodes", "1"]) == 0
    assert "pretrained/README.md" in capsys.readouterr().out
    assert sorted(path.name for path in Path("pretrained").iterdir()) == [
        "README.md", f"{LEVEL}_a2c", f"{LEVEL}_cpc",
    ]  # fmt: skip
    trained, kept = load_weights(find_weights(runs)), load_weights(find_weights(AGENT))
    assert kept.frames == trained.frames
    assert kept.agent.keys() == trained.agent.keys()
    for name, weight in trained.agent.items():
        assert torch.equal(kept.agent[name], weight.half().float())
    assert kept.aux["steps"].tolist() == [1, 3]
    assert torch.equal(kept.aux["maps"], trained.aux["maps"][[0, 2]].half().float())

    facts = json.loads((AGENT / "agent.json").read_text())
    assert (facts["seed"], facts["final_returns"]) == (3, {"2": 3.0, "3": 5.0})
    assert facts["git"]["commit"] == "f00d"
    assert read_config(AGENT)["run_root"] == "runs"
    score = json.loads((AGENT / "evaluation.json").read_text())["return"]
    (row,) = [line for line in Path("pretrained/README.md").read_text().splitlines()
              if line.startswith(f"| [{LEVEL}_cpc]")]  # fmt: skip
    assert f"| 3 | 5.00 (best of 2) | 4.00 | {score['mean']:.2f}, " in row

    assert evaluate.main([str(AGENT), "episodes=1", "json=one.json"]) == 0
    again = json.loads(Path("one.json").read_text())
    assert again["episodes"] == json.loads((AGENT / "evaluation.json").read_text())["episodes"]


def test_runs_that_do_not_compete_are_refused(capsys):
    write_run(f"env={LEVEL}", "aux=cpc", "seed=2")
    write_run(f"env={LEVEL}", "aux=cpc", "seed=3", "tag=fast", "agent.learning_rate=0.5")
    assert pretrained.main(["runs", "--out", "pretrained"]) == 2
    line = capsys.readouterr().err
    assert f"would both be {LEVEL}_cpc, but differ in agent.learning_rate" in line
    assert not Path("pretrained").exists()


def test_a_run_without_an_episode_at_its_end_has_no_score():
    run = write_run(f"env={LEVEL}")
    (run / "episodes.csv").write_text((run / "episodes.csv").read_text().replace("1000", "13"))
    (run / "progress.csv").write_text("frames\n1000\n")
    with pytest.raises(ValueError, match="no episode in the last tenth"):
        pretrained.best_runs(find_runs([run]))


def test_agents_to_share_have_no_curves(capsys, tmp_path):
    agents = ROOT / "pretrained"
    assert len(find_runs([agents])) == len(COMMITTED)
    assert curves.main([str(agents), "--out", "figure.png"]) == 2
    assert "is an agent without curves; name the run it is of" in capsys.readouterr().err
    assert not Path("figure.png").exists()


@pytest.mark.parametrize("name", [name for name in COMMITTED if name.endswith("_cpc")])
def test_committed_agents_play_far_better_than_at_random(name):
    folder = ROOT / "pretrained" / name
    assert evaluate.main([str(folder), "episodes=8", "json=score.json"]) == 0
    level = read_config(folder)["env"]["level"]
    score = json.loads(Path("score.json").read_text())["return"]["mean"]
    assert score > max(3 * random_return(level), 0.5)  # laser tag's random return is below zero


def test_the_table_of_committed_agents_is_that_of_their_files(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert Path("pretrained/README.md").read_text() == pretrained.table(Path("pretrained"))
    assert len(COMMITTED) == 10
