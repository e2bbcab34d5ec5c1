import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba

import envs.labsim
from envs.labsim import cache, physics

ROOT = Path(envs.__file__).parent.parent
# `run_timers` is in lasertag_fighters.py; the length of a frame, which it uses, in world.py.
PROGRAM = """
import numpy as np
from envs.labsim import cache
from envs.labsim.levels.lasertag_fighters import FIGHTER, run_timers
fighter = np.zeros(1, FIGHTER)
run_timers(fighter[0])
print(cache.source_hash(), int(fighter["decay_ms"][0]))
"""


def run(tree: Path, cache_home: Path) -> tuple[str, int]:
    environment = os.environ | {"XDG_CACHE_HOME": str(cache_home), "PYTHONPATH": str(tree)}
    environment.pop("NUMBA_CACHE_DIR", None)
    output = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return output[0], int(output[1])


def test_a_changed_constant_in_another_file_gives_new_kernels(tmp_path):
    """Numba alone would reuse the old ones: the file of the kernel has not changed."""
    tree, home = tmp_path / "tree", tmp_path / "cache"
    shutil.copytree(ROOT / "envs", tree / "envs", ignore=shutil.ignore_patterns("__pycache__"))
    first_hash, first = run(tree, home)
    assert first == 16
    world = tree / "envs" / "labsim" / "world.py"
    source = world.read_text()
    world.write_text(source.replace("FRAME_MS = 16 ", "FRAME_MS = 25 "))
    changed_hash, changed = run(tree, home)
    assert changed == 25
    assert changed_hash != first_hash
    assert {path.name for path in (home / "labsim").iterdir()} == {first_hash, changed_hash}
    for name in (first_hash, changed_hash):
        assert list((home / "labsim" / name).rglob("*.nbi"))


def test_the_hash_sees_names_and_contents_of_all_files(tmp_path):
    (tmp_path / "levels").mkdir()
    (tmp_path / "a.py").write_text("ONE = 1\n")
    (tmp_path / "levels" / "b.py").write_text("TWO = 2\n")
    hashes = [cache.source_hash(tmp_path)]
    (tmp_path / "levels" / "b.py").write_text("TWO = 3\n")
    hashes.append(cache.source_hash(tmp_path))
    (tmp_path / "levels" / "b.py").rename(tmp_path / "levels" / "c.py")
    hashes.append(cache.source_hash(tmp_path))
    (tmp_path / "a.py").write_text("ONE = 1\nTWO = 3\n")
    hashes.append(cache.source_hash(tmp_path))
    assert len(set(hashes)) == 4


def test_other_peoples_kernels_keep_their_cache_folder():
    before, folder = numba.config.CACHE_DIR, str(cache.cache_folder())
    with cache.kernel_cache():
        inside = numba.config.CACHE_DIR
    assert inside == folder
    assert before == numba.config.CACHE_DIR


def test_the_kernels_of_this_process_use_the_folder():
    folder = physics.move._cache.cache_path
    assert cache.source_hash() in Path(folder).parts


def test_an_unwritable_home_is_no_obstacle(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert cache.cache_folder().name == cache.source_hash()
    assert blocked not in cache.cache_folder().parents
