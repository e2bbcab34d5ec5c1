"""Files of settings: what they say, and what stands beside them on the command line."""

import dataclasses

import pytest
import yaml

from configs import compose_runs
from tests.configs.one_run import one


def test_file_of_settings_comes_before_those_beside_it(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "env: gymnasium\nenv.id: X-v0\nseed: 3\nthreads: null\naux: {name: cpc, horizon: 7}\n"
        "env.wrappers: {extra: [a.B, c.D], greyscale: true}\nenv.kwargs: {mode: it's, size: 1e-3}\n"
    )
    config = one("aux.horizon=11", str(path), "seed=5")
    assert (config.seed, config.threads, config.aux.name, config.aux.horizon) == (
        5,
        None,
        "cpc",
        11,
    )
    assert (config.env.wrappers.extra, config.env.wrappers.greyscale) == (["a.B", "c.D"], True)
    assert config.env.kwargs == {"mode": "it's", "size": 1e-3}
    config = one("agent=sb3_a2c", "agent.gamma=0.5", "tag=x")
    path.write_text(yaml.safe_dump(dataclasses.asdict(config) | {"starts": [{"frames": 0}]}))
    assert one(str(path)) == config
    config = one("aux=cpc", "preset=own", "agent.unroll_length=41")
    path.write_text(yaml.safe_dump(dataclasses.asdict(config)))
    assert one(str(path)) == config


def test_a_group_beside_a_file_takes_the_place_of_the_files(tmp_path):
    """A run's own config.yaml, say: what is chosen on the command line is what is trained."""
    config = one("env=gymnasium", "env.id=X-v0", "aux=cpc", "aux.horizon=7", "seed=3")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(dataclasses.asdict(config)))
    env = "env=seekavoid_arena_01"
    assert one(str(path), env, "aux=none", "agent=a2c") == one(
        env, "aux=none", "agent=a2c", "seed=3", "total_frames=2e7", "env.num_envs=32"
    )
    assert one(str(path), "aux=cpc_action").aux == one("aux=cpc_action").aux
    assert one(str(path), "aux.horizon=9").aux == dataclasses.replace(config.aux, horizon=9)
    assert one(str(path), "agent.discount=0.9").preset == config.preset
    assert (
        one(str(path), "agent=a2c").agent == one("env=gymnasium", "env.id=X-v0", "agent=a2c").agent
    )


def test_numbers_in_a_file_are_those_of_the_command_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("total_frames: 2e6\nagent.learning_rate: 1e-3\nagent: a2c\ntag: '1e-3'\n")
    config = one(str(path))
    assert (config.total_frames, config.agent.learning_rate, config.tag) == (
        2_000_000,
        1e-3,
        "1e-3",
    )


def test_a_run_of_sb3s_agent_under_a_name_of_its_own_is_a_file_of_settings(tmp_path):
    config = one("agent=sb3_a2c", "agent.n_steps=7", "preset=mine")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(dataclasses.asdict(config)))
    assert one(str(path)) == config


@pytest.mark.parametrize(
    "content",
    [
        b"\xff", b"a: [", b"- 1", b"seed", b"3: 4", b"[" * 1500, b"a b: 1",
        b"env: &e {x: *e}", b"env.kwargs: &k {x: [*k]}", b"env.wrappers.extra: &l [*l]",
    ],
)  # fmt: skip
def test_what_is_no_file_of_settings_is_refused(content, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"mine\.yaml") as caught:
        compose_runs([str(path)])
    assert "\n" not in str(caught.value)


def test_a_value_may_stand_in_a_file_of_settings_twice(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("env: gymnasium\nenv.id: X-v0\nenv.kwargs: {one: &x {size: 7}, two: *x}\n")
    assert one(str(path)).env.kwargs == {"one": {"size": 7}, "two": {"size": 7}}


def test_mappings_in_a_list_keep_their_keys(tmp_path):
    """Hydra's grammar has no quoted keys."""
    kwargs = {"many": [{"size": 7, "a b": {"c:d": "it's"}}, {"x": [{"y,{": None}]}], "none": [{}]}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"env": "gymnasium", "env.id": "X-v0", "env.kwargs": kwargs}))
    assert one(str(path)).env.kwargs == kwargs
