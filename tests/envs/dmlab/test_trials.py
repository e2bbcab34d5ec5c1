import pytest

from envs.dmlab.trials import TrialClock


def play(level, rewards, loads=(), steps=20, ends=False):
    """Success seconds by step, of an episode whose rewards and map loads come at given frames."""
    clock = TrialClock(level)
    clock.begin(0)
    loaded, found = 0, {}
    for step in range(steps):
        frames = range(4 * step + 1, 4 * step + 5)
        for frame in frames:
            loaded = frame - 1 if frame in loads else loaded
        ended = ends and step == steps - 1
        reward = sum(rewards.get(frame, 0.0) for frame in frames)
        seconds = clock.tick(frames[-1], reward, None if ended else frames[-1] - loaded)
        if seconds is not None:
            found[step] = seconds * 60
    return found


def test_first_reward_of_a_visit_counts_and_the_next_trial_begins_with_the_map():
    # 5 rewards of a visit, the map again in frame 31, and the next visit.
    rewards = dict.fromkeys((6, 11, 16, 21, 26, 53, 58), 1.0)
    found = play("room_watermaze", rewards, loads={31})
    # The step that ends with frame 8; the one that ends with frame 56, 25 after the map's.
    assert found == {1: pytest.approx(8), 13: pytest.approx(25)}


@pytest.mark.parametrize("frame", [5, 6, 7, 8])
def test_goal_is_dated_exactly_where_the_map_loads_in_the_next_frame(frame):
    # DeepMind Lab counts the goal's reward in the frame that loads the map.
    found = play("explore_goal_locations_small", {frame + 1: 10.0}, loads={frame + 1})
    assert found == {frame // 4: pytest.approx(frame)}


def test_two_goals_are_two_trials():
    found = play("explore_goal_locations_small", {6: 10.0, 30: 10.0}, loads={6, 30})
    assert found == {1: pytest.approx(5), 7: pytest.approx(29 - 6)}


def test_only_the_goal_of_the_puzzle_is_a_success():
    found = play("rooms_keys_doors_puzzle", {3: 1.0, 10: 1.0, 11: 50.0})
    assert found == {2: pytest.approx(12)}


@pytest.mark.parametrize("level", ["seekavoid_arena_01", "lasertag_three_opponents_small"])
def test_other_levels_have_no_trials(level):
    assert play(level, {5: 1.0, 9: 13.0}, loads={17}) == {}


def test_success_in_the_last_step_of_an_episode():
    found = play("room_watermaze", {78: 1.0}, loads={31}, ends=True)
    assert found == {19: pytest.approx(80 - 31)}


def test_an_episode_forgets_the_one_before():
    clock = TrialClock("room_watermaze")
    clock.begin(0)
    assert clock.tick(4, 1.0, 4) == pytest.approx(4 / 60)
    clock.begin(0)
    assert clock.tick(8, 1.0, 8) == pytest.approx(8 / 60)
