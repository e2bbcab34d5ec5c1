"""Where DeepMind Lab's module is missing, broken, or lacks what it imports."""

import sys

import pytest

from envs.dmlab import DMLabEnv, loading


def test_without_the_module_the_user_is_told_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "deepmind_lab", None)
    with pytest.raises(
        ValueError, match=r"docs/backends_dmlab\.md .*labsim has the same levels"
    ) as raised:
        DMLabEnv("room_watermaze")
    assert "\n" not in str(raised.value)


def test_a_module_that_cannot_be_loaded_says_why(monkeypatch, tmp_path):
    (tmp_path / "deepmind_lab.py").write_text("import another_module_that_is_missing\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "deepmind_lab", raising=False)
    with pytest.raises(ValueError, match="cannot be loaded: No module named 'another"):
        DMLabEnv("room_watermaze")
    (tmp_path / "deepmind_lab.py").write_text("raise ImportError('libOSMesa.so.8 is missing')\n")
    with pytest.raises(ValueError, match="cannot be loaded: libOSMesa"):
        DMLabEnv("room_watermaze")


@pytest.mark.parametrize(
    ("absent", "words"),
    [
        ({"six"}, "imports six, which .*; pip install six, or put the folder that holds"),
        (
            {"dm_env", "six", "pkg_resources"},
            "imports dm_env, six, pkg_resources, .*; pip install dm-env six 'setuptools<81', or",
        ),
        ({"pkg_resources", "imp"}, "imports pkg_resources, imp, .* lacks; put the folder"),
    ],
)
def test_what_the_pip_package_lacks_is_named_at_once(monkeypatch, tmp_path, absent, words):
    for name in loading.NEEDED:
        (tmp_path / f"{name}.py").touch()
        monkeypatch.delitem(sys.modules, name, raising=False)
    imports = "\n".join(f"import {name}" for name in sorted(absent))
    (tmp_path / "deepmind_lab.py").write_text(imports)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "deepmind_lab", raising=False)
    for name in absent:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=words) as raised:
        DMLabEnv("room_watermaze")
    assert str(raised.value).endswith("(see docs/backends_dmlab.md)")
    assert "\n" not in str(raised.value)
