"""The import of the module `deepmind_lab`, and what is wrong where it fails."""

from importlib.util import find_spec
from types import ModuleType

PAGE = "docs/backends_dmlab.md"
# What upstream's pip package imports first (python/pip_package/__init__.py, dmenv_module.py), and
# how to get it. `imp` was Python's own until 3.12.
NEEDED = {"dm_env": "dm-env", "six": "six", "pkg_resources": "'setuptools<81'", "imp": None}


def load_lab() -> ModuleType:
    """Import the module `deepmind_lab`; raise ValueError, in one sentence, if that fails."""
    try:
        import deepmind_lab
    except ImportError as error:
        if error.name == "deepmind_lab" and isinstance(error, ModuleNotFoundError):
            raise ValueError(
                f"env.backend=dmlab needs the Python module deepmind_lab, which {PAGE} says how to "
                "build; env.backend=labsim has the same levels and needs nothing"
            ) from error
        why = str(error) if error.name not in NEEDED else _missing()
        raise ValueError(f"DeepMind Lab cannot be loaded: {why} (see {PAGE})") from error
    return deepmind_lab


def _missing() -> str:
    """Name all that is missing at once, and what helps."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    packages = [package for name in missing if (package := NEEDED[name]) is not None]
    so = "put the folder that holds deepmind_lab.so itself on PYTHONPATH"
    cure = so if None in map(NEEDED.get, missing) else f"pip install {' '.join(packages)}, or {so}"
    return f"its pip package imports {', '.join(missing)}, which this Python lacks; {cure}"
