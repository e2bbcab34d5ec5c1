"""Command lines to runs: presets, sweeps, and what aux=none ignores."""

import dataclasses
import inspect
import re
import shutil
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from stable_baselines3 import A2C

import configs
from agents.config import SB3A2CConfig
from configs import compose_runs, parse_runs
from configs.compose import options
from envs import frames_per_step


def one(*arguments):
    (request,) = compose_runs(list(arguments))
    assert request.error is None, request.error
    return request.config


def error(*arguments):
    (request,) = compose_runs(list(arguments))
    assert "\n" not in str(request.error)
    return str(request.error)


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


def test_command_line_beats_the_preset():
    config = one("env.num_envs=7", "total_frames=3e6", "agent=a2c", "agent.unroll_length=41")
    assert (config.env.num_envs, config.total_frames, config.agent.unroll_length) == (
        7,
        3_000_000,
        41,
    )


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
    other = one(f"agent={agent}", "env=gymnasium", "env.id=CartPole-v1")
    assert other.agent.learning_rate != values["agent"]["learning_rate"]


@pytest.mark.parametrize(
    ("text", "frames"), [("1e9", 10**9), ("20_000_000", 20_000_000), ("5000", 5000)]
)
def test_forms_of_whole_numbers(text, frames):
    assert one(f"total_frames={text}").total_frames == frames


def test_fast_is_auto_or_false_and_false_excludes_the_graph():
    assert one().fast == "auto"
    assert one("fast=auto").fast == "auto"
    assert one("fast=false").fast is False
    assert one("agent.compile=true").agent.compile
    refused = "agent.compile is true, but fast=false is plain PyTorch alone; set one of them."
    assert error("agent.compile=true", "fast=false") == refused


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


@pytest.mark.parametrize(
    ("env_id", "folder"),
    [("ale_py:ALE/Pong-v5", "ALE_Pong-v5"), ("CartPole-v1", "CartPole-v1"), ("a.b:../x", "_x")],
)
def test_folder_is_named_after_the_id(env_id, folder):
    config = one("env=gymnasium", f"env.id={env_id}")
    assert config.folder == Path(f"runs/gymnasium/{folder}/a2c_laptop/none/seed_1")


def test_options_of_a_general_environment():
    config = one(
        "env=gymnasium", "env.id=X-v0", "env.wrappers.resize=[84,96]", "env.wrappers.frame_skip=4",
        "env.kwargs.size=7", "env.kwargs.mode=fast",
    )  # fmt: skip
    assert config.env.kwargs == {"size": 7, "mode": "fast"}
    assert config.env.wrappers.resize == [84, 96]
    assert frames_per_step(config.env) == 4
    assert frames_per_step(one().env) == 4
    assert frames_per_step(one("env=gymnasium", "env.id=X-v0").env) == 1


def test_options_of_dmlab():
    config = one("env.backend=dmlab", "env.hud=full", "env.lab_settings.logLevel=warn")
    assert config.env.lab_settings == {"logLevel": "warn"}
    assert config.folder == Path("runs/dmlab/room_watermaze/a2c_laptop/none/seed_1")
    assert error("env.backend=dmlab", "env.hud=half") == (
        "env.hud is 'half': allowed are none, full"
    )
    assert error("env.renderer=software") == "env.renderer needs env.backend=dmlab"


def test_dmlab_spelling_is_the_same_run():
    assert one("env=rooms_watermaze") == one("env=room_watermaze")
    assert one("env.level=rooms_watermaze") == one()


def test_none_ignores_the_keys_of_the_other_arms():
    assert one("aux=none", "aux.horizon=5", "aux.weight=0.5") == one("aux=none")
    assert error("aux=none", "aux.horizn=5").startswith("aux.horizn is not a setting")


def test_sweep_is_every_combination_last_key_fastest():
    requests = compose_runs(["aux=none,cpc", "seed=1,2,3", "aux.horizon=5"], multirun=True)
    found = [(request.config.aux.name, request.config.seed) for request in requests]
    assert found == [(aux, seed) for aux in ("none", "cpc") for seed in (1, 2, 3)]
    assert [r.config.aux.horizon for r in requests if r.config.aux.name == "cpc"] == [5] * 3
    assert requests[4].settings == ("aux=cpc", "seed=2", "aux.horizon=5")
    assert requests[4].name == "aux=cpc seed=2"
    assert len(compose_runs(["seed=range(1,4)"], multirun=True)) == 3
    again = compose_runs(["seed=1", "seed=1,2"], multirun=True)  # the later one wins
    assert [request.name for request in again] == ["seed=1", "seed=2"]


def test_sweep_keeps_good_requests_beside_bad_ones():
    good, bad = compose_runs(["aux=cpc", "aux.horizon=7,50"], multirun=True)
    assert good.error is None
    assert bad.config is None
    assert "aux.horizon is 50; it must be below agent.unroll_length (50)" in str(bad.error)


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("env=nowhere", "env=nowhere is not known; env can be explore_goal_locations_small, "),
        ("aux=cpcc", "aux=cpcc is not known; aux can be cpc, cpc_action, none."),
        ("agent={a: 1}", "agent={a: 1} is not known; agent can be a2c, a2c_laptop, sb3_a2c."),
        ("sed=1", "sed is not a setting; allowed here: env, agent,"),
        ("+sed=1", "sed is not a setting"),
        ("agent.lr=1", "agent.lr is not a setting; allowed here: agent.network,"),
        ("seed.x=1", "seed is {'x': 1}; it must be a whole number."),
        ("total_frames=-1", "total_frames is -1; it must be at least 1"),
        ("total_frames=1e300", "total_frames is 1e+300; it must be at most 9007199254740992."),
        ("total_frames=2e15", "total_frames is 2000000000000000; it must be at least 1 and at"),
        ("total_frames=1.5", "total_frames is 1.5; it must be a whole number."),
        ("agent.unroll_length=0", "agent.unroll_length is 0; it must be at least 1"),
        ("agent.network.core=gru", "agent.network.core is 'gru'; allowed: lstm, none."),
        ("agent=7", "agent=7 is not known"),
        ("run_root=~nobodys/x", "run_root is '~nobodys/x', but there is no such home folder."),
        ("start_from=~nobodys/x", "start_from is '~nobodys/x', but there is no such home folder."),
        ("agent.compile=fast", "agent.compile is 'fast'; it must be true or false."),
        ("fast=yes_please", "fast is 'yes_please'; allowed: auto, false."),
        ("fast=true", "fast is True; allowed: auto, false."),
        ("agent.learning_rate=fast", "agent.learning_rate is 'fast'; it must be a finite number."),
        ("seed=-1", "seed is -1; it must lie between 0 and"),
        ("threads=0", "threads is 0; it must lie between 1 and env.num_envs = 16."),
        ("log.every_frames=0", "log.every_frames is 0; it must be at least 1"),
        ("log=[]", "log is []; set its parts, as in log.NAME=VALUE."),
        ("agent.network=3", "agent.network is 3; set its parts"),
        ("hydra.run.dir=x", "hydra.run.dir is not a setting; allowed here: env, agent, aux,"),
        ("run_root=", "run_root is empty; it names a folder."),
        ("device=tpu", "device is 'tpu'; allowed: auto, cpu, cuda."),
        ("tag=a/b", "tag is 'a/b'; it names a folder"),
        ("tag=..", "tag is '..'; it names a folder"),
        ("run_root=${nothing}", "run_root=${nothing}: "),
    ],
)
def test_bad_values_get_one_sentence(argument, sentence):
    assert error(argument).startswith(sentence)


@pytest.mark.parametrize(
    ("argument", "hint"),
    [
        ("env=Pong-v5", "seekavoid_arena_01; others are env=gymnasium env.id=CartPole-v1, say."),
        ("env.id=Pong-v5", "env.id needs env=gymnasium"),
        ("total_frames=2,000,000", "one after the other, or write total_frames=2_000_000."),
        ("seed=1,200", "seed=1,200 lists several values; add -m to run one after the other."),
        ("learning_rate=1", "log, resume. Did you mean agent.learning_rate?"),
        ("negatives=pool", "log, resume. Did you mean aux.negatives?"),
    ],
)
def test_common_mistakes_get_a_hint(argument, hint):
    try:
        said = error(argument)
    except ValueError as cannot_be_read:
        said = str(cannot_be_read)
    assert said.endswith(hint)


@given(st.text(st.characters(exclude_characters="$,", exclude_categories=["C"]), min_size=1))
@settings(max_examples=13, deadline=None)
@example("my runs")
@example("ünï/a=b")
@example("x (1) {1}")
@example("it's")
@example("\\'")
@example("1e3")
@example("null'")
def test_names_of_folders_need_no_quotes(name):
    """All but what Hydra's grammar gives a meaning: commas, ${...}, and quotes around it all."""
    special = name.strip() != name or name[0] in "'\"" or name.lower() in ("null", "true", "false")
    (setting,) = compose_runs([f"run_root={name}"]) if not special else ([None])
    if setting is not None:
        assert setting.error is None
        assert setting.config.run_root == name


def test_copied_preset_has_folders_of_its_own(monkeypatch, tmp_path):
    folder = tmp_path / "configs"
    shutil.copytree(configs.compose.FOLDER, folder)
    shutil.copy(folder / "agent/a2c.yaml", folder / "agent/mine.yaml")
    monkeypatch.setattr(configs.compose, "FOLDER", folder)
    assert one("agent=mine").folder == Path("runs/labsim/room_watermaze/mine/none/seed_1")
    assert one("agent=mine", "preset=x").preset == "x"
    assert one().preset == "a2c_laptop"


def test_two_runs_of_a_sweep_in_one_folder_are_refused():
    with pytest.raises(
        ValueError, match=r"in runs/.*; tell them apart with a tag, as in"
    ) as caught:
        compose_runs(["log.every_frames=7,11", "seed=1,2", "total_frames=5,7"], multirun=True)
    suggested = re.search(r"'(tag=.*)'", str(caught.value))[1]
    assert suggested == "tag=total_frames${total_frames}"
    requests = compose_runs(["seed=1,2", "total_frames=5,7", suggested], multirun=True)
    assert len({request.config.folder for request in requests}) == 4
    same = compose_runs(["env=room_watermaze,rooms_watermaze"], multirun=True)
    assert same[0].config == same[1].config, "one run that is named twice"


def test_pattern_is_answered_with_the_list():
    with pytest.raises(ValueError, match=r"is a pattern; list the values: aux=cpc,cpc_action,none"):
        compose_runs(["aux=glob(*)"], multirun=True)


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
    assert config.env.kwargs == {"mode": "it's", "size": "1e-3"}  # a text in YAML
    config = one("agent=sb3_a2c", "agent.gamma=0.5", "tag=x")
    path.write_text(yaml.safe_dump(dataclasses.asdict(config) | {"starts": [{"frames": 0}]}))
    assert one(str(path)) == config
    config = one("aux=cpc", "preset=own", "agent.unroll_length=41")
    path.write_text(yaml.safe_dump(dataclasses.asdict(config)))
    assert one(str(path)) == config


@pytest.mark.parametrize(
    "content", [b"\xff", b"a: [", b"- 1", b"seed", b"3: 4", b"[" * 1500, b"a b: 1"]
)
def test_what_is_no_file_of_settings_is_refused(content, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"mine\.yaml") as caught:
        compose_runs([str(path)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("argument", ["seed", "=1", "~seed", "seed=1,2,", "--seed=1", "seed=[1"])
def test_what_is_no_setting_is_refused(argument):
    with pytest.raises(ValueError, match=r"is not a setting; write key=value"):
        compose_runs([argument])


def test_several_values_need_multirun():
    with pytest.raises(ValueError, match="add -m"):
        compose_runs(["seed=1,2"])
    with pytest.raises(ValueError, match="list the values"):
        compose_runs(["agent.learning_rate=interval(0,1)"], multirun=True)


def test_options_may_stand_anywhere(capsys):
    for argv in (["-m", "aux=none", "seed=1,2"], ["aux=none", "-m", "seed=1,2"]):
        assert [request.config.seed for request in parse_runs(argv, "")] == [1, 2]
    with pytest.raises(ValueError, match="--fast is not an option; allowed: -m, -h"):
        parse_runs(["seed=1", "--fast"], "")
    with pytest.raises(SystemExit):
        parse_runs(["-h"], "What it does.")
    printed = capsys.readouterr().out
    assert "What it does." in printed
    assert "aux=cpc | cpc_action | none" in printed
