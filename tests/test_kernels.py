import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba

import kernels
from agents import rmsprop
from envs.labsim import physics

ROOT = kernels.ROOT
LABSIM = ROOT / "envs" / "labsim"
# `run_timers` is in lasertag_fighters.py; the length of a frame, which it uses, in world.py.
TIMERS = """
import numpy as np
from envs.labsim.levels.lasertag_fighters import FIGHTER, run_timers
fighter = np.zeros(1, FIGHTER)
run_timers(fighter[0])
print(int(fighter["decay_ms"][0]))
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


def test_a_changed_constant_in_another_file_gives_new_kernels_of_labsim(tmp_path):
    """Numba alone would reuse the old ones: the file of the kernel has not changed."""
    tree, home = tmp_path / "tree", tmp_path / "cache"
    shutil.copytree(ROOT / "envs", tree / "envs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "kernels.py", tree)
    assert run(TIMERS, tree, home) == 16
    world = tree / "envs" / "labsim" / "world.py"
    world.write_text(world.read_text().replace("FRAME_MS = 16 ", "FRAME_MS = 25 "))
    assert run(TIMERS, tree, home) == 25
    folders = list((home / "labsim").iterdir())
    assert len(folders) == 2
    assert all(list(folder.rglob("*.nbi")) for folder in folders)


def test_a_changed_constant_in_another_file_gives_a_new_kernel(tmp_path):
    tree, home = tmp_path / "tree", tmp_path / "cache"
    (tree / "inner").mkdir(parents=True)
    shutil.copy(ROOT / "kernels.py", tree)
    constant = tree / "inner" / "constant.py"
    constant.write_text("NUMBER = 1\n")
    (tree / "between.py").write_text("from inner import constant\nNUMBER = constant.NUMBER\n")
    (tree / "loops.py").write_text(
        "from between import NUMBER\n"
        "from kernels import kernel\n"
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
    files = kernels.imported_files(ROOT / "cpc_aux" / "fast" / "horizons.py")
    names = {path.relative_to(ROOT).as_posix() for path in files}
    assert {"cpc_aux/fast/scores.py", "cpc_aux/infonce.py", "simd.py", "kernels.py"} <= names
    assert not any(name.startswith(("agents", "envs")) for name in names)


def test_the_hash_sees_names_and_contents_of_all_files(tmp_path):
    (tmp_path / "levels").mkdir()
    (tmp_path / "a.py").write_text("ONE = 1\n")
    (tmp_path / "levels" / "b.py").write_text("TWO = 2\n")
    hashes = [kernels.source_hash(tmp_path.rglob("*.py"))]
    (tmp_path / "levels" / "b.py").write_text("TWO = 3\n")
    hashes.append(kernels.source_hash(tmp_path.rglob("*.py")))
    (tmp_path / "levels" / "b.py").rename(tmp_path / "levels" / "c.py")
    hashes.append(kernels.source_hash(tmp_path.rglob("*.py")))
    (tmp_path / "a.py").write_text("ONE = 1\nTWO = 3\n")
    hashes.append(kernels.source_hash(tmp_path.rglob("*.py")))
    assert len(set(hashes)) == 4


def test_other_peoples_kernels_keep_their_cache_folder():
    before, folder = numba.config.CACHE_DIR, str(kernels.cache_folder("mine", []))
    with kernels.kernel_cache("mine", []):
        inside = numba.config.CACHE_DIR
    assert inside == folder
    assert before == numba.config.CACHE_DIR


def test_the_kernels_of_this_process_use_the_folders():
    state = kernels.source_hash(LABSIM.rglob("*.py"))
    assert state in Path(physics.move._cache.cache_path).parts
    state = kernels.source_hash(kernels.imported_files(Path(rmsprop.__file__)))
    assert state in Path(rmsprop._update._cache.cache_path).parts


def test_an_unwritable_home_is_no_obstacle(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    folder = kernels.cache_folder("mine", [])
    assert folder.name == kernels.source_hash([])
    assert blocked not in folder.parents
