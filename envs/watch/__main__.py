"""Watch a trained agent play its level.

    python -m envs.watch RUN
    python -m envs.watch RUN --out episode.mp4 --seconds 60
    python -m envs.watch RUN RUN RUN --out levels.webp --seconds 8

RUN is a run's folder, a checkpoint in it, or the folder of an agent that analysis.pretrained has
made. The window shows what the agent sees, the level from above, the value that it expects, its
policy with the action taken, and how well CPC knew the present: of the predictions made so long
before, the share that picked the present view among the latest ones, and what they picked now.
Several agents are shown side by side. Space pauses, R begins the next episode, Esc or Q ends.
--out writes the same to a file (.mp4, .webp or .gif) instead, and needs no window.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from PIL import Image

from agents.devices import one_thread
from envs import EnvConfig, first_wait, play
from envs.frame_rate import STEPS_PER_SECOND
from envs.watch.drawing import Picture, Score, one_agent, side_by_side
from envs.watch.player import Player
from records.animation import check_animation_path, save_animation
from records.failures import sentence

MAX_AGENTS = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Show what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m envs.watch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, metavar="FILE", help=".mp4, .webp or .gif")
    parser.add_argument("--seconds", type=float, default=20.0, help="in the file, at most (20)")
    parser.add_argument("--width", type=int, help="of the file's pictures, in pixels")
    parser.add_argument("--seed", type=int, default=0, help="moves to other episodes")
    parser.add_argument("--greedy", action="store_true", help="take the likeliest actions")
    options = parser.parse_args(arguments)
    try:
        if options.out is not None:
            check_animation_path(options.out)
        if not 0 < options.seconds <= 3600:
            raise ValueError(f"--seconds is {options.seconds:g}; it must lie above 0, up to 3600.")
        if options.width is not None and not 64 <= options.width <= 3840:
            raise ValueError(f"--width is {options.width}; it must lie between 64 and 3840 pixels.")
        if not 0 <= options.seed < 2**30:
            raise ValueError(f"--seed is {options.seed}; it must lie between 0 and 2^30 - 1.")
        if len(options.runs) > MAX_AGENTS:
            raise ValueError(f"{len(options.runs)} agents; at most {MAX_AGENTS} are shown at once.")
        players = [Player(run, options.seed, options.greedy) for run in options.runs]
        for player in players:
            print(f"{player.level}: {player.name}")
        print(f"{first_wait(EnvConfig(players[0].level)).capitalize()} ...", flush=True)
        with one_thread():
            if options.out is None:
                watch(Show(players))
            else:
                write(Show(players), options.out, options.seconds, options.width)
    except (ValueError, OSError) as error:
        print(sentence(error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


class Show:
    """Agents at play, and the picture of their present step; `step` makes the next one."""

    def __init__(self, players: Sequence[Player]) -> None:
        self.players = players
        self.scores = []
        for player in players:
            steps, candidates = (
                (player.past.steps, player.past.num_candidates) if player.past else ((), 0)
            )
            self.scores.append(Score(player.level, player.name, steps, candidates))
        self.step()

    def step(self) -> None:
        """Go on by an agent step; whose episode has ended begins the next one."""
        moments = []
        for player, score in zip(self.players, self.scores, strict=True):
            if player.ended:
                player.begin()
            moment = player.step()
            score.add(moment)
            moments.append(moment)
        if len(moments) == 1:
            self.picture: Picture = one_agent(self.scores[0], moments[0])
        else:
            self.picture = side_by_side(self.scores, moments)

    def begin(self) -> None:
        """Begin the next episode of every agent."""
        for player in self.players:
            player.begin()
        self.step()


def write(show: Show, path: Path, seconds: float, width: int | None) -> None:
    """Write a show's first `seconds`, or its first episode if there is one agent and it ends."""

    def pictures() -> Iterator[Picture]:
        for t in range(max(1, round(seconds * STEPS_PER_SECOND))):
            if t > 0:
                if len(show.players) == 1 and show.players[0].ended:
                    return
                show.step()
            yield show.picture if width is None else _scaled(show.picture, width)

    save_animation(path, pictures(), STEPS_PER_SECOND)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def watch(show: Show) -> None:
    """Show it in a window until the viewer ends it."""
    height, width = show.picture.shape[:2]
    with ExitStack() as stack:
        try:
            screen = stack.enter_context(play.window((width, height), show.players[0].level))
        except ValueError as error:
            raise ValueError(f"{error} Or write a file with --out FILE.mp4.") from error
        print("Space pauses, R begins the next episode, Esc or Q ends.", flush=True)
        clock, held, paused = play.pygame.time.Clock(), set[str](), False
        while True:
            play.draw(screen, show.picture)
            play.pygame.display.flip()
            clock.tick(STEPS_PER_SECOND)
            pressed = play.read_keys(held)
            if pressed & play.QUIT:
                return
            paused ^= "space" in pressed
            if pressed & play.RESTART:
                show.begin()
            elif not paused:
                show.step()


def _scaled(picture: Picture, width: int) -> Picture:
    height = round(picture.shape[0] * width / picture.shape[1] / 2) * 2  # even, as MP4 wants it
    image = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(image)


if __name__ == "__main__":
    sys.exit(main())
