"""Play a level in a window.

    python -m envs.play env=room_watermaze [--seed N] [--top-down] [--record FILE.mp4] [--scale 6]

Arrow keys up and down, or W and S, walk; left and right turn; A and D step aside; space fires.
R begins the next episode, Esc or Q ends. The keys stand for the nine actions that agents have, 15
times a second. None of them means to do nothing: without a key, the world waits.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from envs import EnvConfig, first_wait
from envs.actions import ACTION_NAMES
from envs.config import HEIGHT, LEVELS, WIDTH, canonical_level
from envs.frame_rate import STEPS_PER_SECOND
from envs.labsim.vector_env import LabsimVectorEnv
from records.animation import film
from records.failures import sentence

try:
    import pygame
except ImportError:  # the extra "play" is not installed
    pygame = None  # type: ignore[assignment]

STATUS_HEIGHT = 28  # screen pixels of the line below the picture
PAPER, INK = (24, 26, 30), (230, 230, 225)
QUIT, RESTART = {"escape", "q"}, {"r"}

Picture = NDArray[np.uint8]  # [H, W, 3]


def main(arguments: Sequence[str] | None = None) -> int:
    """Play what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("level", metavar="env=LEVEL", help=", ".join(LEVELS))
    parser.add_argument("--seed", type=int, default=0, help="of the first episode's world")
    parser.add_argument("--top-down", action="store_true", help="show the world from above, too")
    parser.add_argument("--record", type=Path, metavar="FILE.mp4", help="film what is shown")
    parser.add_argument("--scale", type=int, default=6, help="screen pixels for each of an agent's")
    options = parser.parse_args(arguments)
    try:
        level = _level(options.level)
        if options.scale < 1 or not 0 <= options.seed < 2**64:
            raise ValueError("--scale must be at least 1, and --seed in 0 .. 2^64 - 1.")
        game = Game(level, options.seed, options.top_down, options.scale)
        size = game.size[0], game.size[1] + STATUS_HEIGHT
        recording = (
            film(options.record, STEPS_PER_SECOND)
            if options.record
            else nullcontext(lambda picture: None)
        )
        with recording as add_picture, window(size, level) as screen:
            print(
                "Arrow keys or W, A, S and D move, space fires, R begins the next episode, Esc or "
                f"Q ends.\n{first_wait(EnvConfig(level)).capitalize()} ...",
                flush=True,
            )
            play(game, screen, add_picture)
    except (ValueError, OSError) as error:
        print(sentence(error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


class Game:
    """Episodes of a level, one after the other, and what to show of them."""

    def __init__(self, level: str, seed: int, top_down: bool, scale: int) -> None:
        self.scale = scale
        self._env = LabsimVectorEnv(level, 1)
        self._seed: int | None = seed
        self._top_down = top_down
        self.size = (WIDTH + HEIGHT * top_down) * scale, HEIGHT * scale  # pixels, of a picture

    def begin(self) -> None:
        """Begin the next episode."""
        obs, _ = self._env.reset(seed=self._seed)
        self._seed = None  # later episodes go on with the first one's random stream
        self.earned, self.steps, self.ended = 0.0, 0, False
        self._draw(obs[0])

    def step(self, action: int) -> None:
        """Take one agent step; what is shown of an episode's end stays until the next begins."""
        obs, reward, terminated, truncated, info = self._env.step(np.array([action]))
        self.earned += float(reward[0])
        self.steps += 1
        self.ended = bool(terminated[0] or truncated[0])
        self._draw(info["final_obs"][0] if self.ended else obs[0])

    def status(self) -> str:
        """Return, time and what to press."""
        seconds = self.steps / STEPS_PER_SECOND
        length = self._env.level.episode_steps / STEPS_PER_SECOND
        text = f"return {self.earned:g}    {seconds:.1f} of {length:.0f} s"
        return text + ("    the episode is over: R begins the next" if self.ended else "")

    def _draw(self, view: Picture) -> None:
        parts = [view.repeat(self.scale, axis=0).repeat(self.scale, axis=1)]
        if self._top_down and self.ended:  # the world has changed already: keep the last map
            parts.append(self.picture[:, WIDTH * self.scale :])
        elif self._top_down:
            image = Image.fromarray(self._env.get_top_down(0))
            side = HEIGHT * self.scale
            parts.append(np.asarray(image.resize((side, side), Image.Resampling.NEAREST)))
        self.picture: Picture = np.concatenate(parts, axis=1)


def play(game: Game, screen: "pygame.Surface", add_picture: Callable[[Picture], object]) -> None:
    """Play episodes until the player ends it; every picture of a step goes to `add_picture`."""
    clock, font = pygame.time.Clock(), pygame.font.Font(None, STATUS_HEIGHT - 6)
    held: set[str] = set()
    game.begin()
    add_picture(game.picture)
    try:
        while True:
            _show(game, screen, font)
            clock.tick(STEPS_PER_SECOND)
            pressed = read_keys(held)
            action = action_of(held | pressed)
            if pressed & QUIT:
                return
            if pressed & RESTART:
                game.begin()
            elif action is not None and not game.ended:
                game.step(action)
            else:
                continue
            add_picture(game.picture)
    except KeyboardInterrupt:
        return  # as good as pressing Q: a film is kept


def action_of(keys: set[str]) -> int | None:
    """Which of the nine actions some keys mean together; None: none of them."""
    walk = bool(keys & {"up", "w"}) - bool(keys & {"down", "s"})
    look = ("right" in keys) - ("left" in keys)
    strafe = ("d" in keys) - ("a" in keys)
    if "space" in keys:
        name = "fire"
    elif walk > 0 and look:
        name = "forward + look right" if look > 0 else "forward + look left"
    elif walk:
        name = "forward" if walk > 0 else "backward"
    elif look:
        name = "look right" if look > 0 else "look left"
    elif strafe:
        name = "strafe right" if strafe > 0 else "strafe left"
    else:
        return None
    return ACTION_NAMES.index(name)


@contextmanager
def window(size: tuple[int, int], title: str) -> "Iterator[pygame.Surface]":
    """Open a window of `size` (width, height) pixels.

    Raises ValueError, in one sentence: none can be opened.
    """
    if pygame is None:
        raise ValueError("Playing and watching need pygame: pip install pygame-ce")
    try:
        pygame.display.init()
        # Without a display, SDL draws to nowhere, unless someone chose that.
        if pygame.display.get_driver() == "offscreen" and "SDL_VIDEODRIVER" not in os.environ:
            raise pygame.error("there is none")
        pygame.font.init()
        pygame.display.set_caption(title)
        yield pygame.display.set_mode(size)
    except pygame.error as error:
        raise ValueError(
            f"Playing and watching need a display for a window ({error}): "
            "run this on a desktop, or over ssh -X."
        ) from error
    finally:
        pygame.quit()


def _level(setting: str) -> str:
    """Read env=LEVEL."""
    name, _, level = setting.partition("=")
    if name != "env":
        raise ValueError(f"'{setting}' is not a level; write env=LEVEL, as in env={LEVELS[0]}.")
    return canonical_level(level)


def draw(screen: "pygame.Surface", picture: Picture) -> None:
    """Put a picture into the window's upper left corner; `pygame.display.flip` shows it."""
    screen.blit(pygame.surfarray.make_surface(picture.swapaxes(0, 1)), (0, 0))


def read_keys(held: set[str]) -> set[str]:
    """Names of the keys pressed since the last call; `held` is brought up to date."""
    pressed = set()
    for event in pygame.event.get():
        if event.type == pygame.QUIT:
            pressed |= QUIT
        elif event.type == pygame.WINDOWFOCUSLOST:
            held.clear()  # where keys are let go now, nobody will tell
        elif event.type in (pygame.KEYDOWN, pygame.KEYUP):
            name = pygame.key.name(event.key)
            held.discard(name)
            if event.type == pygame.KEYDOWN:
                held.add(name)
                pressed.add(name)
    return pressed


def _show(game: Game, screen: "pygame.Surface", font: "pygame.font.Font") -> None:
    screen.fill(PAPER)
    draw(screen, game.picture)
    screen.blit(font.render(game.status(), True, INK), (6, game.size[1] + 6))
    pygame.display.flip()


if __name__ == "__main__":
    sys.exit(main())
