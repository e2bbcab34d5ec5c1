"""The presets in configs/: their values, what is tuned for a level, and that all go together."""

import dataclasses
import inspect
import shutil
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from stable_baselines3 import A2C

import configs
from agents.config import SB3A2CConfig
from configs.compose import options
from tests.configs.one_run import error, one


def test_defaults():
    config = one()
    assert (config.env.level, config.preset, config.aux.name) == (
        "room_watermaze",
        "a2c_laptop",
        "none",
    )
    assert config.total_frames == 20_000_000
    assert config.folder == Path("runs/labsim/room_watermaze/a2c_laptop/none/seed_1")
    with pytest.raises(FrozenInstanceError):
        config.seed = 2


def test_paper_preset_is_the_papers():
    """CPC paper, section 3.4; IMPALA, tables D.1 and D.3; paper's figure 6."""
    config = one("agent=a2c", "aux=cpc")
    assert config.env.num_envs == 32
    assert config.total_frames == 10**9
    agent = config.agent
    assert (agent.network.encoder, agent.network.hidden_size) == ("shallow", 256)
    assert (agent.unroll_length, agent.discount, agent.gae_lambda) == (100, 0.99, 1.0)
    assert (agent.learning_rate, agent.entropy_cost, agent.value_cost) == (4.8e-4, 2.5e-4, 0.5)
    assert (agent.rmsprop_epsilon, agent.max_grad_norm, agent.clip_rewards) == (0.1, None, True)
    assert (agent.normalize_advantages, agent.bootstrap_on_timeout) == (False, False)
    assert not agent.compile
    assert (config.aux.horizon, config.aux.anchors) == (30, 5)


@pytest.mark.parametrize("aux", ["cpc", "cpc_action"])
def test_cpc_predicts_from_five_time_steps_unless_told_otherwise(aux):
    for preset in ("a2c", "a2c_laptop"):
        assert one(f"agent={preset}", f"aux={aux}").aux.anchors == 5
    assert one(f"aux={aux}", "aux.anchors=7").aux.anchors == 7
    assert one(f"aux={aux}", "aux.anchors=null").aux.anchors is None


def test_sb3_preset_has_sb3s_names_and_defaults():
    """All but what its authors use for images: 16 environments, ent_coef 0.01, vf_coef 0.25."""
    config = one("agent=sb3_a2c", "agent.gamma=0.97", "preset=mine")
    assert config.env.num_envs == 16
    assert config.agent == SB3A2CConfig(gamma=0.97, ent_coef=0.01, vf_coef=0.25)
    defaults = {k: v.default for k, v in inspect.signature(A2C).parameters.items()}
    for field in dataclasses.fields(SB3A2CConfig):
        assert field.default == defaults[field.name], field.name
    allowed = "agent.unroll_length is not a setting; allowed here: agent.n_steps, "
    assert error("agent=sb3_a2c", "agent.unroll_length=7").startswith(allowed)
    allowed = "agent.n_steps is not a setting; allowed here: agent.network, "
    assert error("agent=a2c", "agent.n_steps=7").startswith(allowed)


def tuned():
    return sorted((Path(configs.__file__).parent / "tuned").glob("*.yaml"))


@pytest.mark.parametrize("path", tuned(), ids=lambda path: path.stem)
def test_what_is_tuned_for_a_level_holds_for_all_arms_and_yields_to_the_command_line(path):
    (env,) = (name for name in options("env") if path.stem.endswith(f"_{name}"))
    agent = path.stem.removesuffix(f"_{env}")
    which = [f"agent={agent}", f"env={env}"]
    values = OmegaConf.to_container(OmegaConf.load(path))
    searched = {"entropy_cost", "learning_rate", "rmsprop_epsilon", "max_grad_norm"}
    assert set(values) == {"agent"}
    assert set(values["agent"]) == searched
    for aux in options("aux"):
        config = one(*which, f"aux={aux}")
        assert {key: getattr(config.agent, key) for key in searched} == values["agent"]
    assert one(*which, "agent.learning_rate=7e-7").agent.learning_rate == 7e-7
    assert one("agent.learning_rate=7e-7", *which).agent.learning_rate == 7e-7
    assert one(f"agent={agent}", f"env.level={env}") == one(*which)
    other = one(f"agent={agent}", "env=gymnasium", "env.id=CartPole-v1")
    assert other.agent.learning_rate != values["agent"]["learning_rate"]


@pytest.mark.parametrize("env", options("env"))
@pytest.mark.parametrize("agent", options("agent"))
@pytest.mark.parametrize("aux", options("aux"))
def test_every_combination_composes_and_is_named_after_itself(env, agent, aux):
    which = ["env.id=Some-v0"] if env == "gymnasium" else []
    settings = [f"env={env}", f"agent={agent}", f"aux={aux}", *which]
    if agent == "sb3_a2c" and env == "gymnasium":
        assert error(*settings).startswith(
            "agent=sb3_a2c trains in labsim only, but env.backend is "
        )
        return
    if agent == "sb3_a2c" and aux != "none":
        expected = f"aux is {aux}, but agent=sb3_a2c is Stable-Baselines3's own A2C, "
        assert error(*settings).startswith(expected)
        return
    config = one(*settings)
    assert config.aux.name == aux
    assert config.preset == agent


def test_general_environments_keep_rewards_and_bootstrap_with_every_preset():
    for agent in set(options("agent")) - {"sb3_a2c"}:  # which trains in labsim only
        config = one("env=gymnasium", "env.id=CartPole-v1", f"agent={agent}")
        assert config.agent.clip_rewards is False
        assert config.agent.bootstrap_on_timeout is True
        assert config.agent.network.encoder == "auto"
    asked = one("env=gymnasium", "env.id=CartPole-v1", "agent.clip_rewards=true")
    assert asked.agent.clip_rewards is True
    assert one().agent.clip_rewards is True
    assert one().agent.network.encoder == "shallow"


def test_copied_preset_has_folders_of_its_own(monkeypatch, tmp_path):
    folder = tmp_path / "configs"
    shutil.copytree(configs.compose.FOLDER, folder)
    shutil.copy(folder / "agent/a2c.yaml", folder / "agent/mine.yaml")
    monkeypatch.setattr(configs.compose, "FOLDER", folder)
    assert one("agent=mine").folder == Path("runs/labsim/room_watermaze/mine/none/seed_1")
    assert one("agent=mine", "preset=x").preset == "x"
    assert one().preset == "a2c_laptop"
