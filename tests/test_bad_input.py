"""Whatever is wrong: one sentence, a non-zero exit, no traceback, and nothing lost."""

import itertools
import resource
import shutil
from pathlib import Path

import pytest
import torch

import evaluate
import train_agent
from agents.encoders import ENCODER_CLASSES
from configs import learners
from configs.compose import options
from tests.campaigns import bad_input
from tests.known_answer_envs import RandomEnds
from tests.test_train_agent import FOLDER, train

RUN = FOLDER / "none" / "seed_1"


def tiny_env(config, num_envs, **keywords):
    return RandomEnds(num_envs)


@pytest.fixture(autouse=True)
def tiny_world(monkeypatch, tmp_path, no_figures):
    for module in (learners, evaluate):
        monkeypatch.setattr(module, "make_vec_env", tiny_env)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A finished run, trained once."""
    folder = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learners, "make_vec_env", tiny_env)
        patch.setattr(train_agent, "draw_figures", lambda *run: None)
        patch.chdir(folder)
        assert train() == 0
    return folder


@pytest.fixture
def sentence(capsys):
    """The one line that was said, after checking that it is one and that nothing else was."""

    def said():
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        (line,) = err.splitlines()
        return line

    return said


@pytest.fixture
def finished_run(template, tmp_path, capsys):
    """The files of a finished run below the current folder."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    capsys.readouterr()
    return {path: path.read_bytes() for path in RUN.iterdir()}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["env=nowhere"], "env=nowhere is not known; env can be explore_goal"),
        (["aux=cpcc"], f"aux=cpcc is not known; aux can be {', '.join(options('aux'))}."),
        (["agent.lr=1"], "agent.lr is not a setting"),
        (["total_frames=-5"], "total_frames is -5; it must be at least 1 and at most"),
        (["agent.unroll_length=0"], "agent.unroll_length is 0; it must be at least 1 agent step"),
        (["aux=cpc", "aux.horizon=6"], "aux.horizon is 6; it must be at most agent.unroll_length"),
        (["env.backend=doom"], "doom"),
        (["env.num_envs=0"], "num_envs is 0"),
        (["env.num_envs=1e5", "agent.unroll_length=1e6"], "in 1000000 steps would take 1,931,"),
        (
            ["agent.network.hidden_size=65536"],
            "(agent.network.hidden_size) would take 384 GiB, but",
        ),
        (["threads=5"], "threads is 5; it must lie between 1 and env.num_envs = 3."),
        (["run_root="], "run_root is empty; it names a folder."),
        (["hydra.job.name=x"], "hydra.job.name is not a setting; allowed here: env, agent, aux"),
        (["tuned=a2c"], "tuned is not a setting; allowed here: env, agent, aux"),
        (["log=[]"], "log is []; set its parts, as in log.NAME=VALUE."),
        (["env=gymnasium", "env.id=X-v0", "env.level=abc"], "env.level is 'abc', but"),
        (
            ["env=gymnasium", "env.id=X-v0", "env.level=room_watermaze"],
            "env.level is 'room_watermaze', but",
        ),
        (["env=gymnasium", "env.id=X-v0", "agent.n_steps=5"], "agent.n_steps is not a setting"),
        (
            ["env=gymnasium", "env.id=X-v0", "env.worker_timeout_s=1e10"],
            "must lie between 0.1 and",
        ),
        (
            ["env=gymnasium", "env.id=X-v0", "env.worker_timeout_s=1e-300"],
            "must lie between 0.1 and",
        ),
        (
            ["agent.network.encoder=vgg"],
            f"agent.network.encoder is 'vgg'; allowed: auto, {', '.join(ENCODER_CLASSES)}.",
        ),
        (["agent.network.encoder=shallow"], "cannot read observations of shape (5,)"),
        (["seed=1,2"], "add -m"),
        (["seed"], "'seed' is not a setting; write key=value"),
        (["device=cuda"], "device is 'cuda', but PyTorch finds no GPU here"),
        (["agent.compile=true"], "agent.compile is true, but this run is on a CPU, which it makes"),
    ],
)
def test_bad_setting(settings, expected, sentence, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert train(*settings) != 0
    assert expected in sentence()
    assert not list(Path().glob("**/*.pt"))


def test_traceback_on_request(monkeypatch, capsys):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert train("env=nowhere") != 0
    assert "Traceback" in capsys.readouterr().err


def test_unwritable_run_folder(sentence):
    Path("file").write_text("in the way")
    assert train("run_root=file") != 0
    assert sentence().startswith("Not a directory: file/labsim")


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a checkpoint"])
def test_truncated_checkpoint(damage, finished_run, sentence):
    path = RUN / "latest.pt"
    path.write_bytes(damage)
    assert train() != 0
    assert "latest.pt cannot be read: it is truncated, damaged" in sentence()
    assert evaluate.main([str(RUN)]) != 0
    assert "latest.pt cannot be read: it is truncated, damaged" in sentence()
    assert path.read_bytes() == damage
    assert (RUN / "episodes.csv").read_bytes() == finished_run[RUN / "episodes.csv"]


def test_missing_checkpoint(finished_run, sentence):
    (RUN / "latest.pt").unlink()
    assert train() != 0
    assert "has results but no latest.pt" in sentence()
    assert evaluate.main([str(RUN)]) != 0
    assert "There is no checkpoint" in sentence()
    assert (RUN / "episodes.csv").read_bytes() == finished_run[RUN / "episodes.csv"]


def test_no_space_left(finished_run, sentence):
    """The file-size limit stands in for a full disk: the kernel refuses the same writes."""
    files = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(finished_run[RUN / "latest.pt"]) - 1, files[1]))
    try:
        assert train("total_frames=3600", "resume.extend=true") != 0
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, files)
    assert "File too large: runs/labsim" in sentence()
    assert (RUN / "latest.pt").read_bytes() == finished_run[RUN / "latest.pt"]
    assert train("total_frames=3600", "resume.extend=true") == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["episodes=0"], "episodes is 0; it must be at least 1."),
        (["episodes=many"], "episodes is 'many'; it must be a whole number."),
        (["greedy=2"], "greedy is 2; it must be true or false."),
        (["film=a.mp4"], "film is not a setting; allowed here: episodes, greedy, video"),
        (["fast"], "'fast' is not a setting; write key=value"),
        (["video=a.avi"], "its name must end in .mp4."),
        (["video=nowhere/a.mp4"], "No such file or directory: nowhere/a.mp4"),
        (["seed=-1"], "seed is -1; it must lie between 0 and"),
        (["episodes=[1"], "'episodes=[1' cannot be read; write key=value"),
        (["device=gpu"], "device is 'gpu'; allowed: auto, cpu, cuda."),
        (["num_envs=0"], "num_envs is 0; it must be at least 1."),
        (["threads=0"], "threads is 0; it must lie between 1 and 1024."),
        (["threads=1025"], "threads is 1025; it must lie between 1 and 1024."),
        (["threads=3000000000"], "threads is 3000000000; it must lie between 1 and 1024."),
        (["json=nowhere/a.json"], "json is 'nowhere/a.json'; it must be a file in a folder"),
        (["env=nowhere"], "unknown level 'nowhere': allowed are"),
        (["env.levle=x"], "env.levle is not a setting; allowed here: env.level, "),
    ],
)
def test_bad_evaluation_setting(arguments, expected, finished_run, sentence):
    assert evaluate.main([str(RUN), *arguments]) == 2
    assert expected in sentence()


def test_evaluating_what_is_no_run(sentence):
    assert evaluate.main(["nowhere"]) == 2
    assert sentence() == "nowhere is not the folder of a run: it has no config.yaml."


def test_short_campaign():
    """Each setting with one bad value, in turn; `python -m tests.campaigns.bad_input` has all."""
    values = itertools.cycle(bad_input.VALUES)
    refused = 0
    for key in bad_input.all_keys():
        said = bad_input.refused(bad_input.command(key, next(values)))
        assert said is None or ("\n" not in said and said)
        refused += said is not None
    assert refused > 30
