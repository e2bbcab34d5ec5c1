"""A run's folder that somebody else made: reading it runs nothing, and writes nowhere else."""

import dataclasses
import sys
from pathlib import Path

import pytest
import yaml

import evaluate
from analysis import export
from configs import compose_runs, config_of_run
from records import checkpoint

PAYLOAD = "from pathlib import Path\nPath('executed').touch()\ndef wrap(env):\n    return env\n"
RUN = Path("runs/gymnasium/CartPole-v1/a2c_laptop/none/seed_1")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The current folder is on Python's path, as it is where `python evaluate.py` lies in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


def make_run(run=RUN, **changes):
    """Write the folder of a run with these settings (env__id for env.id) and no parameters."""
    (request,) = compose_runs(["env=gymnasium", "env.id=CartPole-v1"])
    config = yaml.safe_load(yaml.safe_dump(dataclasses.asdict(request.config)))
    for path, value in changes.items():
        *groups, key = path.split("__")
        place = config
        for group in groups:
            place = place[group]
        place[key] = value
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    state = {"learner": {"agent": {}, "frames": 3}, "metrics": {}}
    checkpoint.save(run / "latest.pt", state)
    return run


def said(arguments, capsys):
    assert evaluate.main(arguments) == 2
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    (line,) = err.splitlines()
    assert not Path("executed").exists()
    return line


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("where", [RUN, RUN.parent, Path("runs")])
@pytest.mark.parametrize("through", ["id", "wrappers__extra"])
def test_a_program_that_comes_with_the_run_is_never_imported(through, where, trust, capsys):
    module = ".".join([*where.parts, "payload"])
    value = f"{module}:CartPole-v1" if through == "id" else [f"{module}.wrap"]
    run = make_run(**{f"env__{through}": value})
    (where / "payload.py").write_text(PAYLOAD)
    line = said([str(run), *(["trust=true"] if trust else [])], capsys)
    assert f"names the module {module}, which comes with the run" in line


def test_a_file_beside_the_run_is_refused_by_its_own_name(capsys):
    run = make_run(run=Path("seed_1"), env__id="payload:CartPole-v1")
    Path("payload.py").write_text(PAYLOAD)
    assert "names the module payload, which comes with" in said([str(run), "trust=true"], capsys)


def test_another_module_is_named_and_asked_for(capsys, tmp_path):
    run = make_run(env__id="payload:CartPole-v1", env__wrappers__extra=["json.JSONEncoder"])
    Path("payload.py").write_text(PAYLOAD)
    line = said([str(run)], capsys)
    assert f"import payload ({tmp_path / 'payload.py'})" in line
    assert "import json (" in line
    assert line.endswith("if you trust whoever made it, add trust=true.")
    assert config_of_run(run, trust=True).env.id == "payload:CartPole-v1"
    assert "payload" not in sys.modules


@pytest.mark.parametrize(
    "changes",
    [
        {"env__kwargs": {"a": 1}},
        {"env__backend": "dmlab", "env__lab_settings": {"a": 1}, "env__level": "room_watermaze"},
        {"env__backend": "dmlab", "env__level_cache": "/x", "env__level": "room_watermaze"},
    ],
)
def test_what_is_handed_on_is_asked_for(changes, capsys):
    if "env__backend" in changes:
        changes = changes | {"env__id": None, "env__wrappers": None, "env__kwargs": None}
    assert "asks to use env." in said([str(make_run(**changes))], capsys)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"agent__network__hidden_size": -4}, "agent.network.hidden_size is -4"),
        ({"agent__network__encoder": "vgg"}, "agent.network.encoder is 'vgg'; allowed"),
        ({"env__num_envs": "many"}, "env.num_envs is 'many'; it must be a whole number"),
        ({"preset": "../x"}, "preset is '../x'; it names a folder"),
        ({"total_frames": 0}, "total_frames is 0"),
    ],
)
def test_settings_are_checked_as_those_of_a_command(changes, expected, capsys):
    assert expected in said([str(make_run(**changes))], capsys)


def test_settings_without_end(capsys):
    run = make_run()
    (run / "config.yaml").write_text("a: " + "[" * 5000)
    assert "cannot be read as settings" in said([str(run)], capsys)


def test_parameters_of_another_network(capsys):
    line = said([str(make_run()), "episodes=1"], capsys)
    assert "latest.pt cannot be used: agent must have the parts encoder" in line


@pytest.mark.parametrize("key", ["env__level", "preset", "tag"])
@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a/../../../x", "x y"])
def test_export_does_not_leave_its_folder(key, name, capsys):
    run = make_run(**{key: name})
    (run / "episodes.csv").write_text(
        "frames,return,length,successes,first_success_seconds,later_success_seconds\n7,1,2,0,,\n"
    )
    before = set(Path().rglob("*"))
    assert export.main([str(run), "--out", "out/deep"]) == 2
    assert "cannot name a folder of --out" in capsys.readouterr().err
    assert set(Path().rglob("*")) == before
