"""General Gymnasium environments: what the wrappers make of their observations and episodes."""

import gymnasium
import numpy as np
import pytest

from envs.config import EnvConfig, WrapperConfig
from envs.make_env import make_env, wrap
from envs.pool.worker import _episode_steps
from tests.envs.pool_envs import Clock, Walk


class Numbered(gymnasium.Env):
    """Pictures [37, 29, 3] that show the number of their frame; episodes of 11 frames."""

    def __init__(self, space=None) -> None:
        self.observation_space = space or gymnasium.spaces.Box(0, 255, (37, 29, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(2)

    def look(self):
        return np.full((37, 29, 3), 20 * self.frame, np.uint8)

    def reset(self, *, seed=None, options=None):
        self.frame = 0
        return self.look(), {}

    def step(self, action):
        self.frame += 1
        return self.look(), 1.0, False, self.frame == 11, {}


class InADict(Numbered):
    def __init__(self) -> None:
        picture = gymnasium.spaces.Box(0, 255, (37, 29, 3), np.uint8)
        super().__init__(gymnasium.spaces.Dict(view=picture, clock=gymnasium.spaces.Discrete(12)))

    def look(self):
        return {"view": super().look(), "clock": self.frame}


def config(env_id="CartPole-v1", kwargs=None, **wrappers):
    return EnvConfig(
        backend="gymnasium", id=env_id, kwargs=kwargs, wrappers=WrapperConfig(**wrappers)
    )


def test_everything_at_once_as_on_atari():
    pytest.importorskip("cv2")
    wrappers = WrapperConfig(frame_skip=4, resize=[13, 17], greyscale=True, frame_stack=3)
    env = wrap(Numbered(), wrappers)
    assert env.observation_space == gymnasium.spaces.Box(0, 255, (13, 17, 3), np.uint8)
    obs, _ = env.reset(seed=1)
    assert (obs == 0).all()
    obs, reward, _, truncated, _ = env.step(1)
    assert reward == 4
    assert obs.dtype == np.uint8
    np.testing.assert_allclose(obs[5, 5], [0, 0, 80], atol=1)  # the newest last
    assert not truncated
    env.step(1)
    obs, reward, _, truncated, _ = env.step(1)
    assert (reward, truncated) == (3, True)  # the last frames of an episode
    np.testing.assert_allclose(obs[5, 5], [80, 160, 220], atol=1)


def test_vectors_are_repeated_and_stacked_along_their_only_axis():
    env = wrap(Clock(), WrapperConfig(frame_skip=3, frame_stack=2))
    assert env.observation_space.shape == (4,)
    env.reset(seed=1)
    obs, reward, *_ = env.step(1)
    assert (obs[2], reward) == (3, 3)


@pytest.mark.parametrize("skip", [2, 3, 5])
@pytest.mark.parametrize("last", range(1, 13))
def test_an_episode_can_end_at_every_frame_of_a_step(skip, last):
    """Even frames are dark, and odd ones ever darker: what is too old would outshine them."""

    def light(frame):
        return (20 - frame) * (frame % 2)

    class Blinking(Numbered):
        picture = np.zeros((37, 29, 3), np.uint8)  # drawn into again and again

        def look(self):
            self.picture[:] = light(self.frame)
            return self.picture

        def step(self, action):
            self.frame += 1
            return self.look(), 1.0, self.frame == last, False, {}

    env = wrap(Blinking(), WrapperConfig(frame_skip=skip))
    env.reset(seed=1)
    terminated, frame = False, 0
    while not terminated:
        before, frame = frame, min(frame + skip, last)
        obs, reward, terminated, _, _ = env.step(1)
        assert (obs == max(map(light, range(max(before + 1, frame - 1), frame + 1)))).all()
        assert (reward, terminated) == (frame - before, frame == last)


@pytest.mark.parametrize(
    ("env", "skip", "steps"),
    [
        (lambda: gymnasium.make("MountainCar-v0"), 1, 200),
        (lambda: gymnasium.make("MountainCar-v0"), 4, 50),
        (lambda: gymnasium.make("MountainCar-v0"), 7, 29),  # the last one has four frames
        (Walk, 1, 23),
        (Walk, 5, 5),  # pictures
        (Numbered, 3, 1000),
    ],
)
def test_longest_episode_in_agent_steps(env, skip, steps):
    assert _episode_steps(wrap(env(), WrapperConfig(frame_skip=skip))) == steps


def test_one_entry_of_a_dict():
    env = wrap(InADict(), WrapperConfig(obs_key="view"))
    assert env.observation_space.shape == (37, 29, 3)
    assert env.reset(seed=0)[0].shape == (37, 29, 3)
    env = wrap(InADict(), WrapperConfig(obs_key="clock"))
    assert env.reset(seed=0)[0].shape == (12,)
    with pytest.raises(ValueError, match=r"choose an entry with env.wrappers.obs_key=view\|clock"):
        wrap(InADict(), WrapperConfig())
    with pytest.raises(ValueError, match=r"obs_key is 'image', but .* entries \['view', 'clock'\]"):
        wrap(InADict(), WrapperConfig(obs_key="image"))


def test_grey_pictures_without_channels_get_one():
    space = gymnasium.spaces.Box(0, 255, (37, 29), np.uint8)
    assert wrap(Numbered(space), WrapperConfig()).observation_space.shape == (37, 29, 1)


def test_choices_become_vectors():
    env = make_env(config("FrozenLake-v1", {"is_slippery": False}))
    assert env.observation_space.shape == (16,)
    assert env.reset(seed=0)[0].sum() == 1


def test_pictures_of_floats_are_refused():
    space = gymnasium.spaces.Box(0, 1, (37, 29, 3), np.float32)
    with pytest.raises(ValueError, match="neither images"):
        wrap(Numbered(space), WrapperConfig())


def test_more_wrappers_by_their_name():
    env = make_env(config(extra=["gymnasium.wrappers.TimeAwareObservation"]))
    assert env.observation_space.shape == (5,)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"env_id": "CartPool-v1"}, "env.id=CartPool-v1 cannot be made as configured: .*CartPole"),
        ({"env_id": "MiniGrid-X-v0"}, "Write env.id=minigrid:MiniGrid-X-v0, where minigrid"),
        ({"env_id": "Mine-v0"}, "One that a module registers is env.id=MODULE:ID"),
        ({"channels_first": True}, "channels_first needs images"),
        ({"env_id": "no_module:X-v0"}, "No module named 'no_module'"),
        ({"kwargs": {"wings": 2}}, "unexpected keyword argument 'wings'"),
        ({"extra": ["gymnasium.wrappers.Nothing"]}, "has no attribute 'Nothing'"),
        ({"greyscale": True}, "env.id=CartPole-v1 cannot be made as configured"),
    ],
)
def test_what_does_not_fit_is_told_in_one_sentence(settings, words):
    with pytest.raises(ValueError, match=words) as error:
        make_env(config(**settings))
    assert "\n" not in str(error.value)


class Unfinished(Numbered):
    """Cannot be made, for want of what `fault` says."""

    def __init__(self, fault) -> None:
        assert fault != "assert"
        if fault == "value":
            raise ValueError("the table\nis empty")
        {}[fault]


gymnasium.register("Unfinished-v0", entry_point=f"{__name__}:Unfinished")


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("size", r"KeyError: 'size' \(test_make_env.py:\d+\)"),
        ("assert", r"AssertionError(: .*)? \(test_make_env.py:\d+\)"),
        ("value", "the table is empty"),
    ],
)
def test_a_bug_in_an_environment_is_told_with_its_place(fault, why):
    with pytest.raises(ValueError, match=f"Unfinished-v0 cannot be made as configured: {why}$"):
        make_env(config("Unfinished-v0", {"fault": fault}))


@pytest.mark.parametrize(
    ("env_id", "wrappers", "shape"),
    [
        ("minigrid:MiniGrid-Empty-5x5-v0", {"obs_key": "image"}, (7, 7, 3)),
        (
            "minigrid:MiniGrid-Empty-5x5-v0",
            {"extra": ["minigrid.wrappers.RGBImgPartialObsWrapper"], "obs_key": "image"},
            (56, 56, 3),
        ),
        (
            "ale_py:ALE/Pong-v5",
            {"frame_skip": 4, "resize": [84, 84], "greyscale": True, "frame_stack": 4},
            (84, 84, 4),
        ),
    ],
)
def test_environments_of_other_packages(env_id, wrappers, shape):
    pytest.importorskip(env_id.split(":")[0])
    env = make_env(config(env_id, {"frameskip": 1} if "ALE" in env_id else None, **wrappers))
    obs, _ = env.reset(seed=0)
    assert env.observation_space.shape == obs.shape == shape
    env.step(0)
    env.close()


def test_pictures_with_their_channels_first_are_turned_and_it_is_said():
    class Torch(Numbered):
        def look(self):
            return super().look().transpose(2, 0, 1)

    env = wrap(
        Torch(gymnasium.spaces.Box(0, 255, (3, 37, 29), np.uint8)), WrapperConfig(frame_stack=2)
    )
    assert env.observation_space.shape == (37, 29, 6)
    assert env.reset(seed=1)[0].shape == (37, 29, 6)
    assert "(3, 37, 29) are read as images with their channels first" in env.env.env.note


@pytest.mark.parametrize(
    ("shape", "asked", "read_as"),
    [
        ((3, 37, 29), None, (37, 29, 3)),
        ((12, 84, 96), None, (84, 96, 12)),
        ((37, 29, 3), None, (37, 29, 3)),
        ((7, 7, 3), None, (7, 7, 3)),
        ((5, 7, 11), None, (5, 7, 11)),  # a board with planes
        ((5, 7, 11), True, (7, 11, 5)),
        ((3, 37, 29), False, (3, 37, 29)),
    ],
)
def test_where_the_channels_are(shape, asked, read_as):
    env = Numbered(gymnasium.spaces.Box(0, 255, shape, np.uint8))
    assert wrap(env, WrapperConfig(channels_first=asked)).observation_space.shape == read_as


def test_walk_counts_as_a_picture():
    assert wrap(Walk(), WrapperConfig()).observation_space.shape == (5, 7, 3)
