"""Links, anchors and headings of the Markdown files, and what the site says of each page.

`make docs` builds the site, strictly; this is the part of it that needs nothing installed.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import train_agent

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FILES = [*PAGES, *sorted(ROOT.glob("*.md")), *sorted((ROOT / "benchmarks").rglob("*.md"))]
LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]+))?\)")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def prose(file: Path) -> str:
    """A file without its blocks of code."""
    return re.sub(r"^( *)```.*?^\1```", "", file.read_text(), flags=re.DOTALL | re.MULTILINE)


@cache
def anchors(file: Path) -> set[str]:
    """The anchors that GitHub gives to a file's headings; so does the site (mkdocs.yml)."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(file), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


@pytest.mark.parametrize("file", FILES, ids=name)
def test_links_lead_somewhere(file):
    for path, anchor in LINK.findall(prose(file)):
        target = Path(os.path.normpath(file.parent / path)) if path else file
        assert target.exists(), f"{name(file)} links to {path}, which is not there"
        assert target.is_relative_to(ROOT), f"{name(file)} links to {path}, outside the repository"
        if anchor:
            assert anchor in anchors(target), (
                f"{name(file)} links to {path}#{anchor}: no such heading"
            )


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_says_whom_it_is_for(page):
    title, empty, whom = page.read_text().split("\n")[:3]
    assert title.startswith("# ")
    assert empty == ""
    assert re.fullmatch(r"\*For .+\.\*", whom), f"{name(page)}, third line: *For those who ...*"
    assert len(whom) <= 105  # one line


def test_the_navigation_has_every_page_once():
    listed = re.findall(r"^ +- .*?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(page.relative_to(DOCS).as_posix() for page in PAGES)


def test_the_api_pages_name_modules_that_exist():
    modules = [
        module
        for page in (DOCS / "api").glob("*.md")
        for module in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE)
    ]
    assert len(modules) > 53
    for module in modules:
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__init__.py").exists(), module


def test_the_example_of_cpc_in_other_code_runs():
    (code,) = re.findall(r"^```python\n(.*?)^```", (DOCS / "cpc.md").read_text(), re.DOTALL | re.M)
    names = {}
    exec(code, names)
    assert 0 < names["loss"].item() < 31


@pytest.mark.slow
def test_the_code_that_trains_an_agent_runs(tmp_path):
    _, code = re.findall(
        r"^```python\n(.*?)^```", (DOCS / "start.md").read_text(), re.DOTALL | re.M
    )
    (tmp_path / "sweep.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "sweep.py"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    mean_return, accuracy = map(float, done.stdout.split())
    assert -5 < mean_return < 5  # 0.9 at random
    assert 0 < accuracy < 0.5


@pytest.mark.slow
def test_the_code_that_plays_an_agent_runs(monkeypatch, tmp_path, capsys):
    code, _ = re.findall(
        r"^```python\n(.*?)^```", (DOCS / "start.md").read_text(), re.DOTALL | re.M
    )
    monkeypatch.chdir(tmp_path)
    small = ("env.num_envs=2", "agent.network.hidden_size=11", "agent.unroll_length=5")
    cpc = ("aux=cpc", "aux.horizon=2", "threads=1")
    assert train_agent.main(["env=room_watermaze", "total_frames=40", *small, *cpc]) == 0
    capsys.readouterr()
    exec(code, {})
    out = capsys.readouterr().out
    assert re.match(r"mean return \d+\.\d\d, 95 % interval .* \(16 episodes\)", out)
