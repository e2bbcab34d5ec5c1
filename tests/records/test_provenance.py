"""Versions and commit of a run's code."""

import os
import subprocess

from records.provenance import git_state


def test_the_commit_is_read_without_writing_into_the_repository(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert git_state(tmp_path) == {"commit": None, "dirty": None}
    git("init")
    (tmp_path / "code.py").write_text("1")
    git("add", "code.py")
    git("commit", "-m", "one")
    os.utime(tmp_path / "code.py", (0, 0))  # `git status` alone would write the index anew
    index = (tmp_path / ".git" / "index").read_bytes()
    assert git_state(tmp_path) == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    assert (tmp_path / ".git" / "index").read_bytes() == index
    (tmp_path / "code.py").write_text("2")
    assert git_state(tmp_path)["dirty"] is True
