"""A small game with a known answer: catch the falling ball (after Catch of bsuite's suite).

A ball falls through a grid of 6 rows and 8 columns, one row per step, from a random column; the
paddle in the bottom row starts in column 3 and moves one column or none per step. After five steps
the ball has arrived: return 1 if the paddle is there, else -1. Every ball can be caught, and the
picture shows all that matters, so an agent without memory can reach 1.
"""

from collections.abc import Sequence

import gymnasium
import numpy as np

from envs.step_result import StepResult

ROWS, COLUMNS, PIXELS = 6, 8, 4  # a cell is PIXELS x PIXELS
START = 3  # the paddle's column
MOVES = np.array([-1, 0, 1])
# Knuth's MMIX generator, of which the upper bits are random.
MULTIPLIER, INCREMENT = np.uint64(6364136223846793005), np.uint64(1442695040888963407)
STATE = ("_row", "_ball", "_paddle", "_random")


class Catch:
    """`num_envs` games, each with its own random stream, behind the agents' batched interface."""

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.single_observation_space = gymnasium.spaces.Box(
            0, 255, (ROWS * PIXELS, COLUMNS * PIXELS, 1), np.uint8
        )
        self.single_action_space = gymnasium.spaces.Discrete(len(MOVES))
        self._row = np.zeros(num_envs, np.int64)
        self._ball = np.zeros(num_envs, np.int64)
        self._paddle = np.full(num_envs, START)
        self._random = np.zeros(num_envs, np.uint64)

    def reset_into(self, seeds: Sequence[int], obs: np.ndarray) -> None:
        """Begin a game in every environment; write the pictures to obs [B, 24, 32, 1]."""
        self._random = np.array(
            [np.random.SeedSequence(s).generate_state(1, np.uint64)[0] for s in seeds]
        )
        self._begin(np.ones(self.num_envs, bool))
        self._draw(obs)

    def step_into(self, actions: np.ndarray, obs: np.ndarray) -> StepResult:
        """Move paddles by actions [B] in 0..2 and balls by a row; write the pictures to obs."""
        self._paddle = np.clip(self._paddle + MOVES[actions], 0, COLUMNS - 1)
        self._row = self._row + 1
        ended = self._row == ROWS - 1
        caught = np.where(self._paddle == self._ball, 1.0, -1.0)
        reward = np.where(ended, caught, 0.0).astype(np.float32)
        final_obs = np.empty_like(obs)
        self._draw(final_obs)
        self._begin(ended)
        self._draw(obs)
        never = np.zeros(self.num_envs, bool)
        nothing = np.full(self.num_envs, np.nan, np.float32)
        return StepResult(reward, ended, never, nothing, final_obs)

    def _begin(self, where: np.ndarray) -> None:
        self._random = self._random * MULTIPLIER + INCREMENT
        column = (self._random >> np.uint64(61)).astype(np.int64)  # 3 bits: 0..7
        self._ball = np.where(where, column, self._ball)
        self._row = np.where(where, 0, self._row)
        self._paddle = np.where(where, START, self._paddle)

    def _draw(self, obs: np.ndarray) -> None:
        cells = np.zeros((self.num_envs, ROWS, COLUMNS), np.uint8)
        games = np.arange(self.num_envs)
        cells[games, -1, self._paddle] = 127
        cells[games, self._row, self._ball] = 255
        obs[..., 0] = cells.repeat(PIXELS, axis=1).repeat(PIXELS, axis=2)

    def get_state(self) -> dict[str, np.ndarray]:
        """Copy everything that the games' future depends on."""
        return {name: getattr(self, name).copy() for name in STATE}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state of `get_state`."""
        for name, array in state.items():
            setattr(self, name, array.copy())

    def close(self) -> None:
        """Nothing to free."""
