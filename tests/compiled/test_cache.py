import errno
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numba
import pytest

from agents.fast import rmsprop
from compiled import cache
from envs import labsim
from envs.labsim import physics

ROOT = cache.ROOT
LABSIM = ROOT / "envs" / "labsim"
NOT_SOURCES = shutil.ignore_patterns("__pycache__")  # other processes write there
# `cell_of` is in lasertag_walking.py; the size of a cell, which it uses, in text_maze.py.
CELL_OF = """
from envs.labsim.levels.lasertag_walking import cell_of
print(cell_of(850.0, 0.0))
"""


def run(program: str, tree: Path, cache_home: Path) -> int:
    environment = os.environ | {"XDG_CACHE_HOME": str(cache_home), "PYTHONPATH": str(tree)}
    environment.pop("NUMBA_CACHE_DIR", None)
    output = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(output.stdout)


@pytest.mark.slow  # starts processes
def test_a_changed_constant_in_another_file_gives_new_kernels_of_labsim(tmp_path):
    """Numba alone would reuse the old ones: the file of the kernel has not changed."""
    tree, home = tmp_path / "tree", tmp_path / "cache"
    for package in ("envs", "compiled"):
        shutil.copytree(ROOT / package, tree / package, ignore=NOT_SOURCES)
    assert run(CELL_OF, tree, home) == 8
    maze = tree / "envs" / "labsim" / "text_maze.py"
    maze.write_text(maze.read_text().replace("CELL = 100.0 ", "CELL = 50.0 "))
    assert run(CELL_OF, tree, home) == 17
    folders = list((home / "labsim").iterdir())
    assert len(folders) == 2
    assert all(list(folder.rglob("*.nbi")) for folder in folders)


def test_what_kernels_of_labsim_import_from_elsewhere_is_in_their_caches_key():
    """Numba would go on with the constants that it compiled."""
    outside = set()
    for text in [file.read_text() for file in LABSIM.rglob("*.py")]:
        if "@kernel" in text:
            names = re.findall(r"^from ([a-z_.]+) import", text, re.MULTILINE)
            outside |= {ROOT / f"{name.replace('.', '/')}.py" for name in names}
    outside = {path for path in outside if path.exists() and LABSIM not in path.parents}
    assert ROOT / "envs" / "frame_rate.py" in outside
    assert outside <= set(labsim.SOURCES)


@pytest.mark.slow  # starts processes
def test_a_changed_constant_in_another_file_gives_a_new_kernel(tmp_path):
    tree, home = tmp_path / "tree", tmp_path / "cache"
    (tree / "inner").mkdir(parents=True)
    shutil.copytree(ROOT / "compiled", tree / "compiled", ignore=NOT_SOURCES)
    constant = tree / "inner" / "constant.py"
    constant.write_text("NUMBER = 1\n")
    (tree / "between.py").write_text("from inner import constant\nNUMBER = constant.NUMBER\n")
    (tree / "loops.py").write_text(
        "from between import NUMBER\n"
        "from compiled.cache import kernel\n"
        "@kernel\n"
        "def number():\n"
        "    return NUMBER\n"
    )
    program = "import loops; print(loops.number())"
    assert run(program, tree, home) == 1
    (tree / "beside.py").write_text("is not imported\n")
    assert run(program, tree, home) == 1
    assert len(list((home / "cpc_a2c").iterdir())) == 1
    constant.write_text("NUMBER = 2\n")
    assert run(program, tree, home) == 2
    assert len(list((home / "cpc_a2c").iterdir())) == 2


def test_imports_are_followed():
    files = cache.imported_files(ROOT / "cpc_aux" / "fast" / "horizons.py")
    names = {path.relative_to(ROOT).as_posix() for path in files}
    assert {"cpc_aux/fast/scores.py", "cpc_aux/infonce.py"} <= names
    assert {f"compiled/{name}.py" for name in ("products", "blocks", "cache")} <= names
    assert not any(name.startswith(("agents", "envs")) for name in names)


def test_the_hash_sees_names_and_contents_of_all_files(tmp_path):
    (tmp_path / "levels").mkdir()
    (tmp_path / "a.py").write_text("ONE = 1\n")
    (tmp_path / "levels" / "b.py").write_text("TWO = 2\n")
    hashes = [cache.source_hash(tmp_path.rglob("*.py"))]
    (tmp_path / "levels" / "b.py").write_text("TWO = 3\n")
    hashes.append(cache.source_hash(tmp_path.rglob("*.py")))
    (tmp_path / "levels" / "b.py").rename(tmp_path / "levels" / "c.py")
    hashes.append(cache.source_hash(tmp_path.rglob("*.py")))
    (tmp_path / "a.py").write_text("ONE = 1\nTWO = 3\n")
    hashes.append(cache.source_hash(tmp_path.rglob("*.py")))
    assert len(set(hashes)) == 4


def test_other_peoples_kernels_keep_their_cache_folder():
    before, folder = numba.config.CACHE_DIR, str(cache.cache_folder("mine", []))
    with cache.kernel_cache("mine", []):
        inside = numba.config.CACHE_DIR
    assert inside == folder
    assert before == numba.config.CACHE_DIR


def test_the_kernels_of_this_process_use_the_folders():
    state = cache.source_hash(labsim.SOURCES)
    assert state in Path(physics.move._cache.cache_path).parts
    state = cache.source_hash(cache.imported_files(Path(rmsprop.__file__)))
    assert state in Path(rmsprop._step._cache.cache_path).parts


def test_an_unwritable_home_is_no_obstacle(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    folder = cache.cache_folder("mine", [])
    assert folder.name == cache.source_hash([])
    assert blocked not in folder.parents


def test_states_that_no_start_used_for_long_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    used, mine = cache.source_hash([]), tmp_path / "mine"
    old, recent, file, link = ("0123456789abcdef"[k:] + "0" * k for k in range(4))
    for name in (used, old, recent, "others", "0" * 17):
        (mine / name / "within").mkdir(parents=True)
    (mine / file).touch()  # cannot be removed as a folder is
    (mine / link).symlink_to(tmp_path)
    for path in mine.iterdir():
        days = 29 if path.name == recent else 31
        os.utime(path, (time.time() - days * 24 * 3600,) * 2, follow_symlinks=False)
    mine.chmod(0o700)
    (mine / used).chmod(0o700)
    assert cache.cache_folder("mine", []) == mine / used
    assert {path.name for path in mine.iterdir()} == {
        used, recent, file, link, "others", "0" * 17
    }  # fmt: skip
    assert time.time() - (mine / used).stat().st_mtime < 3600


def load_kernel(path: Path):
    """Import the module anew, as another start would."""
    spec = importlib.util.spec_from_file_location("loops", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.number


@pytest.fixture
def one_kernel(tmp_path, monkeypatch):
    """A file with a kernel that gives 7, and the folder that it is kept in."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    cache._say.cache_clear()
    path = tmp_path / "loops.py"
    path.write_text("from compiled.cache import kernel\n@kernel\ndef number():\n    return 7\n")
    assert load_kernel(path)() == 7
    return path, cache.cache_folder("cpc_a2c", cache.imported_files(path))


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize(
    "damage", [lambda x: b"", lambda x: x[:-7], lambda x: x[:90] + bytes([x[90] ^ 4]) + x[91:]]
)
def test_a_damaged_cache_is_made_anew(kind, damage, one_kernel, capsys):
    path, folder = one_kernel
    (file,) = folder.rglob(f"*.{kind}")
    good = file.read_bytes()
    file.write_bytes(damage(good))
    assert load_kernel(path)() == 7
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"The kernel cache {folder} is damaged: compiling anew."
    kernel = load_kernel(path)
    assert kernel() == 7
    assert capsys.readouterr().err == ""
    assert sum(kernel.stats.cache_hits.values()) == 1


def test_two_processes_that_save_at_once_write_two_files(tmp_path, monkeypatch):
    """The second has read the index before the first wrote it, and ends in between."""
    first, second = (cache._CheckedFiles(str(tmp_path), "number", "stamp") for _ in range(2))
    save_data = first._save_data
    monkeypatch.setattr(second, "_load_index", dict)

    def interrupted(*arguments):
        second.save("float64", 2)
        save_data(*arguments)

    monkeypatch.setattr(first, "_save_data", interrupted)
    first.save("float32", 1)
    later = cache._CheckedFiles(str(tmp_path), "number", "stamp")
    assert later.load("float64") == 2
    assert later.load("float32") in (1, None)


def test_a_cache_without_room_is_done_without(one_kernel, monkeypatch, capsys):
    path, folder = one_kernel
    for file in [*folder.rglob("*.nbc"), *folder.rglob("*.nbi")]:
        file.unlink()

    def full_disk(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(cache._CheckedFiles, "_save_index", full_disk)
    assert load_kernel(path)() == 7
    line = capsys.readouterr().err
    assert line == f"The kernel cache {folder} cannot be written: No space left on device.\n"


@pytest.mark.parametrize("others_may_write", ["mine", "mine/state"])
def test_a_folder_that_others_may_write_to_is_not_used(others_may_write, tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    state = cache.source_hash([])
    first = tmp_path / "mine" / state
    assert cache.cache_folder("mine", []) == first
    assert first.stat().st_mode & 0o777 == 0o700
    (first if "state" in others_may_write else first.parent).chmod(0o777)
    second = cache.cache_folder("mine", [])
    assert second == tmp_path / "temporary" / f"mine-{os.getuid()}" / state
    second.rmdir()
    second.symlink_to(first)
    third = cache.cache_folder("mine", [])
    assert third.parent == tmp_path / "temporary"
    assert third.stat().st_mode & 0o777 == 0o700
    assert third != cache.cache_folder("mine", [])


def test_somebody_elses_folder_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    assert not cache.is_own(tmp_path)
