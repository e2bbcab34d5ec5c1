"""Command lines to runs: settings, sweeps, and what aux=none ignores."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from configs import compose_runs, parse_runs
from configs.compose import options
from envs import frames_per_step
from tests.configs.one_run import error, one


def test_command_line_beats_the_preset():
    config = one("env.num_envs=7", "total_frames=3e6", "agent=a2c", "agent.unroll_length=41")
    assert (config.env.num_envs, config.total_frames, config.agent.unroll_length) == (
        7,
        3_000_000,
        41,
    )


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


@pytest.mark.parametrize(
    ("env_id", "folder"),
    [("ale_py:ALE/Pong-v5", "ALE_Pong-v5"), ("CartPole-v1", "CartPole-v1"), ("a.b:../x", "_x")],
)
def test_folder_is_named_after_the_id(env_id, folder):
    config = one("env=gymnasium", f"env.id={env_id}")
    assert config.folder == Path(f"runs/gymnasium/{folder}/a2c_laptop/none/seed_1")


def test_threads_beyond_this_machines_cores_are_allowed_up_to_what_openmp_can_start():
    assert one("env.num_envs=50000", "threads=1024").threads == 1024
    for threads in (1025, 50_000):
        said = f"threads is {threads}; it must lie between 1 and 1024."
        assert error("env.num_envs=50000", f"threads={threads}") == said
    assert error("env.num_envs=1024", "threads=1025").endswith("env.num_envs = 1024.")


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
    assert error("env.backend=dmlab", "env.hud=half") == "env.hud is 'half'; allowed: none, full."
    assert error("env.renderer=software") == "env.renderer needs env.backend=dmlab"


def test_dmlab_spelling_is_the_same_run():
    assert one("env=rooms_watermaze") == one("env=room_watermaze")
    assert one("env.level=rooms_watermaze") == one()


def test_none_ignores_the_keys_of_the_other_arms():
    assert one("aux=none", "aux.horizon=5", "aux.weight=0.5") == one("aux=none")
    assert error("aux=none", "aux.horizn=5").startswith("aux.horizn is not a setting")
    assert error("aux=none", "aux.horizon=x").startswith("aux.horizon is 'x'; it must be a whole")
    assert error("aux=cpc", "aux.name=[1]").startswith("aux.name is '[1]'; allowed: none, cpc")


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


def test_arguments_ask_for_each_run_of_a_sweep_alone(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("env: seekavoid_arena_01\nseed: 3\naux: {name: cpc, horizon: 7}\n")
    requests = compose_runs([str(path), "seed=4,5"], multirun=True)
    assert [request.arguments for request in requests] == [
        (str(path), "seed=4"),
        (str(path), "seed=5"),
    ]
    assert [one(*request.arguments) for request in requests] == [r.config for r in requests]


@pytest.mark.parametrize("negatives", ["others", "same_step"])
def test_negatives_of_other_environments_need_another_one(negatives):
    settings = ("aux=cpc", f"aux.negatives={negatives}")
    assert error(*settings, "env.num_envs=1").startswith(
        f"aux.negatives={negatives} takes its negatives from other environments and needs at least "
    )
    assert one(*settings, "env.num_envs=2").aux.negatives == negatives


def test_sweep_keeps_good_requests_beside_bad_ones():
    good, bad = compose_runs(["aux=cpc", "aux.horizon=50,51"], multirun=True)
    assert good.error is None
    assert bad.config is None
    assert "aux.horizon is 51; it must be at most agent.unroll_length (50)" in str(bad.error)


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("env=nowhere", "env=nowhere is not known; env can be explore_goal_locations_small, "),
        ("aux=cpcc", f"aux=cpcc is not known; aux can be {', '.join(options('aux'))}."),
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
        ("fast=0", "fast is 0; allowed: auto, false."),
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


@pytest.mark.parametrize("argument", ["seed", "=1", "~seed", "seed=1,2,", "--seed=1", "seed=[1"])
def test_what_is_no_setting_is_refused(argument):
    with pytest.raises(ValueError, match=r"is not a setting; write key=value"):
        compose_runs([argument])


@pytest.mark.parametrize(
    "values",
    [
        "range(3,1)",
        "range(1,5,0)",
        "range(1,2,0.0)",
        "sort(range(3,1))",
        "shuffle(range(3,1))",
        "int(range(3,1))",
    ],
)
def test_a_range_without_a_value_is_refused(values):
    said = f"seed={values} lists no value; write the values, as in seed=1,2,3."
    with pytest.raises(ValueError, match=re.escape(said)):
        compose_runs([f"seed={values}"], multirun=True)


@pytest.mark.parametrize("values", ["range(1,100000)", "range(1,inf)"])
def test_a_range_of_more_values_than_anybody_trains_is_refused(values):
    said = f"seed={values} lists more than 10000 values; each of them is a run."
    with pytest.raises(ValueError, match=re.escape(said)):
        compose_runs([f"seed={values}"], multirun=True)


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
