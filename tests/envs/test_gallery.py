import numpy as np
import pytest
from PIL import Image

from envs import gallery
from envs.config import LEVELS


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(gallery, "STEPS_BETWEEN", 2)


@pytest.mark.usefixtures("small")
def test_a_sheet_is_written_for_each_level_asked_for(tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    gallery.main(["rooms_watermaze", "seekavoid_arena_01", "--out", str(out)])
    names = ["gallery_room_watermaze.png", "gallery_seekavoid_arena_01.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    wait, *written = capsys.readouterr().out.splitlines()
    assert wait == "Compiling the engine takes about 30 s the first time ..."
    assert written == [str(out / name) for name in names]
    rows = []
    for name in names:
        with Image.open(out / name) as image:
            rows.append(
                image.height / (gallery.LABEL + gallery.HEIGHT * gallery.ZOOM + gallery.GAP)
            )
            assert np.asarray(image).std() > 20
    assert rows == [4, 6]  # the watermaze has no things, the arena two kinds


def test_all_levels_are_drawn_if_none_is_named(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        gallery, "contact_sheet", lambda level: drawn.append(level) or np.zeros((2, 2, 3), np.uint8)
    )
    gallery.main(["--out", str(tmp_path)])
    assert tuple(drawn) == LEVELS


def test_an_unknown_level_is_refused_before_anything_is_drawn(tmp_path, capsys):
    with pytest.raises(SystemExit):
        gallery.main(["nowhere", "--out", str(tmp_path / "out")])
    assert "unknown level 'nowhere'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_folders_place_is_told(tmp_path, capsys):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SystemExit):
            gallery.main(["room_watermaze", "--out", str(out)])
        assert f"--out {out}: " in capsys.readouterr().err


def test_an_unfinished_file_never_has_the_final_name(tmp_path, monkeypatch):
    path = tmp_path / "gallery_x.png"
    gallery.save(np.zeros((3, 5, 3), np.uint8), path)

    def fail(self, target, **kwargs):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        gallery.save(np.ones((3, 5, 3), np.uint8), path)
    with Image.open(path) as image:
        assert image.size == (5, 3)
