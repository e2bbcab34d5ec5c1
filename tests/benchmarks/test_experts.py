import json

import pytest

from benchmarks.experts import __main__ as experts
from envs import LEVELS

# Episodes for the test, and a bound that is far above what random players earn on average: 0.8,
# 6.1, 0.9, -0.1, 4.3. The benchmark itself asks for THRESHOLDS in 100 episodes.
CASES = {
    "room_watermaze": (5, 43.0),
    "explore_goal_locations_small": (5, 150.0),
    "seekavoid_arena_01": (2, 35.0),
    "lasertag_three_opponents_small": (2, 4.0),
    "rooms_keys_doors_puzzle": (5, 43.0),
}


@pytest.mark.parametrize("level", LEVELS)
def test_experts_show_that_levels_can_be_won(level):
    episodes, bound = CASES[level]
    assert experts.returns(level, episodes).mean() > bound
    assert bound <= experts.THRESHOLDS[level]


def test_json_is_one_object_with_each_level(capsys):
    experts.main(["room_watermaze", "rooms_keys_doors_puzzle", "--episodes", "2", "--json"])
    results = json.loads(capsys.readouterr().out)
    assert list(results) == ["room_watermaze", "rooms_keys_doors_puzzle"]
    assert results["room_watermaze"]["threshold"] == 43.0
    assert results["room_watermaze"]["mean"] > 20.0
    assert results["room_watermaze"]["standard_error"] >= 0.0
    experts.main(["room_watermaze", "--episodes", "2"])
    assert "asked: 43" in capsys.readouterr().out
