import sys
from pathlib import Path

import pytest

from envs.dmlab import DMLabEnv

STAND_IN = Path(__file__).parent / "stand_in"


@pytest.fixture
def deepmind_lab(monkeypatch):
    """The stand-in module, imported as the environment will import it."""
    monkeypatch.syspath_prepend(STAND_IN)
    monkeypatch.delitem(sys.modules, "deepmind_lab", raising=False)
    import deepmind_lab

    yield deepmind_lab
    del sys.modules["deepmind_lab"]  # not by monkeypatch, which would put it back


@pytest.fixture
def make_env(deepmind_lab):
    """Make environments on the stand-in, one at a time; all are closed after the test."""
    made = []

    def make(level="room_watermaze", plan=None, **keywords):
        for env in made:
            env.close()
        if plan is not None:
            deepmind_lab.Lab.plan = plan
        made.append(DMLabEnv(level, **keywords))
        return made[-1]

    yield make
    for env in made:
        env.close()
