import os

import imageio.v2 as imageio
import numpy as np
import pygame
import pytest

from envs import ACTION_NAMES, play
from envs.labsim.vector_env import LabsimVectorEnv


@pytest.fixture
def dummy_window(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(play, "STEPS_PER_SECOND", 10_000)


@pytest.fixture
def typed(monkeypatch):
    """Lists of keys by tick: "w" presses, "-w" lets go; after the last tick Q is pressed."""

    def type_keys(*ticks):
        waiting = [*ticks, ["q"]]

        def post():
            pygame.event.clear(pygame.WINDOWFOCUSLOST)  # SDL's own, at any time: lets go of keys
            for name in waiting.pop(0):
                kind = pygame.KEYUP if name.startswith("-") else pygame.KEYDOWN
                key = pygame.key.key_code(name.removeprefix("-"))
                pygame.event.post(pygame.event.Event(kind, key=key))

        flip = pygame.display.flip
        monkeypatch.setattr(pygame.display, "flip", lambda: (flip(), post()))

    return type_keys


@pytest.mark.parametrize(
    ("keys", "action"),
    [
        ({"up"}, "forward"),
        ({"w"}, "forward"),
        ({"down"}, "backward"),
        ({"s"}, "backward"),
        ({"a"}, "strafe left"),
        ({"d"}, "strafe right"),
        ({"left"}, "look left"),
        ({"right"}, "look right"),
        ({"w", "left"}, "forward + look left"),
        ({"up", "right"}, "forward + look right"),
        ({"space", "w"}, "fire"),
        ({"left", "right", "w"}, "forward"),
    ],
)
def test_keys_mean_the_nine_actions(keys, action):
    assert ACTION_NAMES[play.action_of(keys)] == action


def test_other_keys_mean_nothing():
    assert play.action_of(set()) is None
    assert play.action_of({"x"}) is None
    assert play.action_of({"w", "s"}) is None


def test_keys_move_the_player_as_their_actions_do(dummy_window, typed, monkeypatch):
    actions = []
    step = play.Game.step
    monkeypatch.setattr(
        play.Game, "step", lambda g, action: (actions.append(action), step(g, action))
    )
    # Held over two ticks; a tap within one tick counts; without a key nothing happens.
    typed(["w"], [], ["-w", "left", "-left"], [], ["space", "-space"])
    assert play.main(["env=room_watermaze", "--seed", "5", "--scale", "2"]) == 0
    assert [ACTION_NAMES[a] for a in actions] == ["forward", "forward", "look left", "fire"]


def test_the_film_shows_each_step(dummy_window, typed, tmp_path):
    path = tmp_path / "played.mp4"
    typed(["w"], [], ["-w"], ["r"])
    arguments = ["env=seekavoid_arena_01", "--top-down", "--scale", "2", "--record", str(path)]
    assert play.main(arguments) == 0
    assert os.listdir(tmp_path) == ["played.mp4"]
    frames = imageio.mimread(path)
    assert len(frames) == 4  # the first picture, two steps, the second episode's first
    assert frames[0].shape == (144, 192 + 144, 3)
    expected = LabsimVectorEnv("seekavoid_arena_01", 1).reset(seed=0)[0][0]
    assert np.abs(frames[0][::2, :192:2].astype(float) - expected).mean() < 12


def test_return_and_time_are_shown_and_the_end_waits_for_r():
    game = play.Game("seekavoid_arena_01", 3, top_down=True, scale=1)
    game.begin()
    assert game.status() == "return 0    0.0 of 20 s"
    game._env.level.players["frame"][0] = 1200 - 8
    game._env.level.place(0, np.array([288.0, -128.0, 0.0]), np.zeros(2))
    game.step(8)
    assert game.status() == "return 1    0.1 of 20 s"
    above = game.picture[:, 96:].copy()
    game.step(4)
    assert game.ended
    assert "over: R" in game.status()
    assert (game.picture[:, 96:] == above).all()
    game.begin()
    assert game.status() == "return 0    0.0 of 20 s"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["env=nowhere"], "unknown level 'nowhere'"),
        (["room_watermaze"], "write env=LEVEL"),
        (["env=room_watermaze", "--record", "film.avi"], "must end in .mp4"),
        (["env=room_watermaze", "--record", "no/such/folder/film.mp4"], "No such file"),
        (["env=room_watermaze", "--seed", "-1"], "--seed in 0 .. 2^64 - 1"),
    ],
)
def test_bad_input_is_explained_in_one_line(dummy_window, arguments, sentence, capsys):
    assert play.main(arguments) == 2
    message = capsys.readouterr().err
    assert sentence in message
    assert message.count("\n") == 1


def test_without_a_display_or_pygame_it_says_what_is_needed(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    monkeypatch.setattr(pygame.display, "get_driver", lambda: "offscreen")
    monkeypatch.setattr(pygame.display, "init", lambda: None)
    film = tmp_path / "film.mp4"
    assert play.main(["env=room_watermaze", "--record", str(film)]) == 2
    assert "need a display" in capsys.readouterr().err
    monkeypatch.setattr(play, "pygame", None)
    assert play.main(["env=room_watermaze"]) == 2
    assert "pip install pygame-ce" in capsys.readouterr().err
    assert not os.listdir(tmp_path)
