import os

import pytest

import envs.miniworld
from envs.miniworld.headless import load_opengl


@pytest.fixture(scope="session", autouse=True)
def _opengl():
    """Skips without MiniWorld or OpenGL, except where MINIWORLD=required, as in CI."""
    try:
        load_opengl()
    except ValueError as error:
        if os.environ.get("MINIWORLD") == "required":
            raise
        pytest.skip(str(error))
    envs.miniworld.register()
