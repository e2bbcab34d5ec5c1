import numpy as np
import pytest

from benchmarks import bots
from envs.labsim.levels.lasertag_fighters import BEAM, DISC, ORB


def test_recorded_agents_tagged_themselves_where_there_are_orbs_alone():
    """So a recorded map's gadget is the one that labsim makes of its seed."""
    recorded = bots.recorded_episodes()
    kinds = bots.gadgets(recorded["seeds"].tolist())
    own = [recorded["negative_steps"][kinds == kind].sum() for kind in (ORB, BEAM, DISC)]
    assert own == [27, 0, 0]
    assert [(kinds == kind).sum() for kind in (ORB, BEAM, DISC)] == [37, 42, 27]


def test_the_recorded_standard_errors_are_clustered_by_map():
    recorded = bots.recorded_episodes()
    errors = {"positive_steps": (0.14151, 0.03794), "negative_steps": (0.25472, 0.06439)}
    for name, theirs in errors.items():
        ours = bots.clustered(recorded[name], recorded["seeds"])
        assert ours == pytest.approx(theirs, abs=0.004)


def test_errors_of_clusters_are_those_of_their_sums():
    # Deviations from the mean 3 sum up to -3, 2 and 1 in three clusters.
    values, seeds = np.array([1.0, 2.0, 5.0, 4.0]), np.array([7, 7, 8, 9])
    mean, error = bots.clustered(values, seeds)
    assert mean == 3.0
    assert error == pytest.approx(np.sqrt(14.0 * 3.0 / 2.0) / 4.0)


def test_totals_are_drawn_from_the_same_maps_or_from_all():
    played, seeds = np.array([0, 0, 3, 3, 0, 2]), np.array([1, 1, 5, 5, 9, 9])
    same = bots.drawn_totals(played, seeds, np.array([1, 5, 5]), seed=0)
    assert set(same.tolist()) == {6}
    either = bots.drawn_totals(played, seeds, np.array([9, 9]), seed=0)
    assert set(either.tolist()) == {0, 2, 4}
    assert (either == 2).mean() == pytest.approx(0.5, abs=0.03)
    all_of_them = bots.drawn_totals(played, seeds, 600, seed=0)
    assert all_of_them.mean() == pytest.approx(800.0, rel=0.01)
    assert bots.chance(either, 4) == pytest.approx(0.25, abs=0.03)
    assert bots.chance(either, -1) == 0.0


@pytest.mark.parametrize("policy", bots.KEPT)
def test_the_comparison_is_printed(monkeypatch, capsys, policy):
    def play(policy, seeds, seed):
        nothing = {name: np.zeros(len(seeds), np.int64) for name in (*bots.TAGS, "bot_deaths")}
        return nothing | {"seeds": seeds, "gadgets": np.resize([ORB, BEAM, DISC], len(seeds))}

    monkeypatch.setattr(bots, "play", play)
    bots.main(["--policy", policy, "--repeats", "3"])
    printed = capsys.readouterr().out
    assert "labsim, all: 210 episodes" in printed
    assert ("recorded, Orb: 37 episodes" in printed) == (policy == "uniform")
    total = {"uniform": 27, "sticky": 14}[policy]
    assert f"negative_steps: {total} recorded, labsim 0.000 an episode, chance 0.0000" in printed
    with pytest.raises(SystemExit):
        bots.main(["--repeats", "0"])
    assert "--repeats is 0; allowed is 1 or more" in capsys.readouterr().err


def test_sticky_actions_are_kept(monkeypatch):
    taken = []

    class Games(bots.Games):
        def step(self, actions):
            taken.append(actions)
            self.running[:] = len(taken) < 300
            return np.zeros(len(actions), np.float32)

    monkeypatch.setattr(bots, "Games", Games)
    played = bots.play("sticky", np.arange(7), seed=1)
    kept = np.diff(taken, axis=0) == 0
    assert kept.mean() == pytest.approx(7.0 / 8.0 + 1.0 / 72.0, abs=0.02)
    assert sorted(set(np.ravel(taken))) == list(range(9))
    assert played["seeds"].tolist() == list(range(7))
    assert played["deaths_Leonis"].tolist() == [0] * 7
