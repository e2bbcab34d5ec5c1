"""labsim behind Stable-Baselines3's interface: same trajectories, ends as SB3 wants them."""

import gymnasium
import numpy as np
import pytest
from sb3_contrib import RecurrentPPO
from stable_baselines3 import A2C
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecMonitor

import envs  # noqa: F401 - registers labsim with Gymnasium
from envs.labsim.vector_env import LabsimVectorEnv
from envs.sb3_vec_env import SB3VecEnv
from tests.known_answer_envs import CueMemory, RandomEnds

B = 3
LEVEL = "seekavoid_arena_01"


def shorten(batch: LabsimVectorEnv, steps: int) -> LabsimVectorEnv:
    """Let every episode have that many agent steps."""
    begin = batch.level.begin
    setattr(batch.level, "begin", lambda i, length_steps=0: begin(i, steps))  # noqa: B010
    return batch


def short_episodes(steps: int) -> LabsimVectorEnv:
    return shorten(LabsimVectorEnv(LEVEL, B), steps)


def test_trajectories_equal_those_of_the_vector_env():
    """Same seeds, same actions: pictures, rewards and ends are the same to the bit."""
    ours, theirs = short_episodes(7), SB3VecEnv(short_episodes(7))
    assert theirs.seed(41) == [41, 42, 43]
    expected, _ = ours.reset(seed=41)
    obs = theirs.reset()
    rng = np.random.default_rng(1)
    for step in range(1, 18):
        np.testing.assert_array_equal(obs, expected)
        kept = obs.copy()
        actions = rng.integers(9, size=B)
        expected, reward, terminated, truncated, info = ours.step(actions)
        new_obs, rewards, dones, infos = theirs.step(actions)
        np.testing.assert_array_equal(obs, kept, "SB3 still reads the last step's array")
        obs = new_obs
        np.testing.assert_array_equal(rewards, reward)
        np.testing.assert_array_equal(dones, terminated | truncated)
        assert rewards.dtype == np.float32
        assert dones.all() == (step % 7 == 0)
        for i in range(B):
            assert infos[i]["TimeLimit.truncated"] == (step % 7 == 0)
            assert ("terminal_observation" in infos[i]) == dones[i]
            if dones[i]:
                np.testing.assert_array_equal(
                    infos[i]["terminal_observation"], info["final_obs"][i]
                )
                assert (infos[i]["terminal_observation"] != obs[i]).any()
    theirs.close()


class Recorded(RandomEnds):
    """Remembers what the last step returned."""

    def step_into(self, actions, obs):
        self.result = super().step_into(actions, obs)
        return self.result


def test_ends_and_successes_are_told_apart():
    vec_env = SB3VecEnv(Recorded(B))
    vec_env.seed(5)
    vec_env.reset()
    seen = set()
    for _ in range(60):
        _, rewards, dones, infos = vec_env.step(np.ones(B, np.int64))
        result = vec_env.batched_env.result
        assert not np.shares_memory(rewards, result.reward), "SB3 adds values to its rewards"
        for i in range(B):
            terminated, truncated = bool(result.terminated[i]), bool(result.truncated[i])
            assert infos[i]["TimeLimit.truncated"] is truncated
            assert dones[i] == (terminated or truncated)
            seconds = result.success_seconds[i]
            assert infos[i].get("success_seconds") == (None if np.isnan(seconds) else seconds)
            seen.add((terminated, truncated, bool(np.isnan(seconds))))
    assert {(True, False, True), (False, True, True), (False, False, False)} <= seen


def test_terminated_wins_over_truncated():
    """As in SB3's own environments: what has ended for good has no future value."""

    class Both(RandomEnds):
        def step_into(self, actions, obs):
            ends = np.ones(self.num_envs, bool)
            return super().step_into(actions, obs)._replace(terminated=ends, truncated=ends)

    vec_env = SB3VecEnv(Both(B))
    vec_env.reset()
    _, _, dones, infos = vec_env.step(np.zeros(B))
    assert dones.all()
    assert not any(info["TimeLimit.truncated"] for info in infos)


def test_resets_without_a_seed_differ_and_follow_from_the_last_seed():
    def three_resets():
        vec_env = SB3VecEnv(RandomEnds(B))
        vec_env.seed(3)
        return [vec_env.reset() for _ in range(3)]

    one, two = three_resets(), three_resets()
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one[0], one[1])
    assert not np.array_equal(one[1], one[2])
    assert not np.array_equal(SB3VecEnv(RandomEnds(B)).reset(), SB3VecEnv(RandomEnds(B)).reset())


def test_wrong_use_is_refused():
    vec_env = SB3VecEnv(CueMemory(B))
    vec_env.reset()
    for _ in range(CueMemory.delay):
        vec_env.step(np.zeros(B))
    with pytest.raises(ValueError, match="keep_final_obs=True"):
        vec_env.step(np.zeros(B))
    with pytest.raises(ValueError, match="without indices"):
        vec_env.set_attr("delay", 7, indices=[0])
    vec_env.set_options({"pose": (0, 0, 0)})
    with pytest.raises(ValueError, match="reset options"):
        vec_env.reset()


def test_attributes_methods_and_pictures():
    vec_env = SB3VecEnv(LabsimVectorEnv(LEVEL, B, render_mode="rgb_array"))
    vec_env.seed(2)
    obs = vec_env.reset()
    assert vec_env.get_attr("render_mode") == ["rgb_array"] * B
    assert vec_env.get_attr("num_envs", indices=[0, 2]) == [B, B]
    assert vec_env.has_attr("level")
    assert not vec_env.has_attr("nothing")
    maps = vec_env.env_method("get_top_down", indices=2)
    np.testing.assert_array_equal(maps, [vec_env.batched_env.get_top_down(2)])
    assert vec_env.env_is_wrapped(gymnasium.Wrapper) == [False] * B
    vec_env.set_attr("name", "ours")
    assert vec_env.batched_env.name == "ours"
    picture = vec_env.render()
    np.testing.assert_array_equal(picture[:72, :96], obs[0])
    vec_env.close()


def test_is_what_sb3_makes_of_the_single_environment():
    """SB3's own way, one by one, sees the same observations, ends and infos."""
    length = 5

    def single():
        env = gymnasium.make(f"labsim/{LEVEL}-v0")
        shorten(env.unwrapped._vector_env, length)
        return env

    reference, ours = (
        DummyVecEnv([single] * B),
        SB3VecEnv(short_episodes(length)),
    )
    for vec_env in (reference, ours):
        vec_env.seed(13)
    np.testing.assert_array_equal(reference.reset(), ours.reset())
    assert reference.observation_space == ours.observation_space
    assert reference.action_space == ours.action_space
    for step in range(1, 12):
        actions = np.full(B, step % 9)
        *expected, expected_infos = reference.step(actions)
        *got, infos = ours.step(actions)
        for a, b in zip(expected, got, strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
        for a, b in zip(expected_infos, infos, strict=True):
            assert a["TimeLimit.truncated"] == b["TimeLimit.truncated"]
            assert ("terminal_observation" in a) == ("terminal_observation" in b) == (step % 5 == 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "policy", "settings"),
    [
        (A2C, "CnnPolicy", {"n_steps": 5}),
        (RecurrentPPO, "CnnLstmPolicy", {"n_steps": 20, "batch_size": 30, "n_epochs": 1}),
    ],
)
def test_sb3_algorithms_train_in_labsim(algorithm, policy, settings):
    vec_env = VecMonitor(SB3VecEnv(short_episodes(23)))
    if algorithm is RecurrentPPO:
        settings = settings | {"policy_kwargs": {"lstm_hidden_size": 32}}
    model = algorithm(policy, vec_env, seed=1, device="cpu", **settings)
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(180)
    assert any((p != q).any() for p, q in zip(before, model.policy.parameters(), strict=True))
    assert len(model.ep_info_buffer) == B * (180 // B // 23)
    assert {episode["l"] for episode in model.ep_info_buffer} == {23}
    returns, lengths = evaluate_policy(model, vec_env, B, return_episode_rewards=True)
    assert lengths == [23] * B
    assert np.isfinite(returns).all()
    vec_env.close()


def test_frames_stack_across_steps_but_not_across_episodes():
    """SB3's own wrapper relies on ends and terminal observations."""
    vec_env = VecFrameStack(SB3VecEnv(short_episodes(3)), 2)
    vec_env.seed(3)
    obs = vec_env.reset()
    assert obs.shape == (B, 72, 96, 6)
    for step in range(1, 4):
        last, (obs, _, dones, infos) = obs, vec_env.step(np.full(B, 1))
        assert dones.all() == (step == 3)
        if step < 3:
            np.testing.assert_array_equal(obs[..., :3], last[..., 3:])
    assert not obs[..., :3].any(), "the first frame of an episode has none before it"
    np.testing.assert_array_equal(infos[0]["terminal_observation"][..., :3], last[0, ..., 3:])
    vec_env.close()
