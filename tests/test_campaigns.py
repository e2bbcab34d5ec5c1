"""Short forms of tests/campaigns, which run by command."""

import subprocess
import sys

import pytest

COMMANDS = (
    ["damaged_files", "--worlds", "vectors", "--trials", "1", "--sample", "9"],
    ["full_disk", "--limits", "2"],
    ["kills", "--worlds", "pool", "--kills", "1"],
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_campaign(command):
    """In a process of its own, which forks: the threads of other tests are not in its way."""
    module, *arguments = command
    program = [sys.executable, "-m", f"tests.campaigns.{module}", *arguments]
    ended = subprocess.run(program, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "0 mishandled" in ended.stdout or "equal to the bit" in ended.stdout
