"""What an environment returns, checked against Gymnasium's interface and its own spaces.

NumPy would cast or broadcast what does not fit into the memory that a worker shares with the
learner, and the agent would learn from other data than the environment's, without a word.
"""

import traceback
from pathlib import Path
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from numpy.typing import NDArray

LARGEST_FLOAT32 = float(np.finfo(np.float32).max)  # what the learner computes in


class MismatchError(Exception):
    """An environment contradicts its spaces or Gymnasium's interface: it would do so again."""


class NotFiniteError(Exception):
    """An observation or a reward is NaN or infinite, or so large that float32 makes it infinite."""


def describe(error: Exception) -> str:
    """Return, in one line, what was raised and where."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    what = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    return f"{what} ({Path(where.filename).name}:{where.lineno})"


class CheckedEnv(gymnasium.Wrapper):
    """Passes on what fits; raises MismatchError or NotFiniteError for what does not."""

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> Any:
        """Begin an episode: (observation, info)."""
        result = self.env.reset(seed=seed, options=options)
        if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)):
            raise MismatchError(f"reset returned {_form(result)}, not (observation, info).")
        return fitting(result[0], self.observation_space, "reset"), result[1]

    def step(self, action: Any) -> Any:
        """Advance by an action: what Gymnasium's step returns, in plain types."""
        result = self.env.step(action)
        if not (isinstance(result, tuple) and len(result) == 5 and isinstance(result[4], dict)):
            raise MismatchError(
                f"step returned {_form(result)}, not "
                "(observation, reward, terminated, truncated, info)."
            )
        obs, reward, terminated, truncated, info = result
        return (
            fitting(obs, self.observation_space, "step"),
            _number(reward),
            _flag(terminated, "terminated"),
            _flag(truncated, "truncated"),
            info,
        )


def check_inside(env: gymnasium.Env) -> gymnasium.Env:
    """`env` with a CheckedEnv around its core, inside all wrappers: those would hide the cause."""
    outer: Any = env
    if outer is env.unwrapped:
        return CheckedEnv(env)
    while outer.env is not env.unwrapped:
        outer = outer.env
    outer.env = CheckedEnv(outer.env)
    return env


def fitting(obs: Any, space: gymnasium.Space, source: str) -> Any:
    """Return `obs` in the type of `space`, a Box or a Dict of them; others are not looked at.

    Numbers may be of another type where that holds the same values: float64 for float32, or
    whole numbers within a uint8's range. Raises MismatchError, and NotFiniteError.
    """
    if isinstance(space, gymnasium.spaces.Dict):
        if not isinstance(obs, dict) or obs.keys() != space.keys():
            raise MismatchError(
                f"{source} returned {_form(obs)} as observation, but its space has the entries "
                f"{', '.join(space)}."
            )
        return {key: fitting(obs[key], part, source) for key, part in space.items()}
    if not isinstance(space, gymnasium.spaces.Box):
        return obs
    array = obs if isinstance(obs, np.ndarray) else _as_array(obs)
    if array.shape != space.shape or not (
        array.dtype == space.dtype or _holds(array, np.dtype(space.dtype))
    ):
        given = f"an observation of shape {array.shape} and {array.dtype}"
        if array.dtype == object:
            given = f"{_form(obs)} as observation"
        raise MismatchError(
            f"{source} returned {given}, but its space is of shape {space.shape} and {space.dtype}."
        )
    with np.errstate(over="ignore"):
        fitted = array.astype(space.dtype, copy=False)
    if fitted.dtype.kind == "f" and not np.isfinite(fitted).all():
        value = array[~np.isfinite(fitted)].flat[0]
        raise NotFiniteError(f"the observation that {source} returned contains {value}.")
    return fitted


def _as_array(obs: Any) -> NDArray:
    try:
        return np.asarray(obs)
    except ValueError:  # rows of different lengths
        return np.asarray(None)


def _holds(array: NDArray, dtype: np.dtype[Any]) -> bool:
    """Whether `dtype` can take the array's numbers without another meaning."""
    if array.dtype.kind not in "iu" or dtype.kind not in "iu":
        return np.can_cast(array.dtype, dtype, "same_kind")
    limits = np.iinfo(dtype)
    return bool(array.size == 0 or (array.min() >= limits.min and array.max() <= limits.max))


def _number(reward: SupportsFloat) -> float:
    """The reward as a float; an array of one number counts as one."""
    if isinstance(reward, float | int):
        number = float(reward)
    else:
        array = np.asarray(reward)
        if array.size != 1 or array.dtype.kind not in "fiub":
            raise MismatchError(f"step returned {_form(reward)} as reward, not a number.")
        number = float(array.item())
    if not abs(number) <= LARGEST_FLOAT32:  # written so that NaN fails
        raise NotFiniteError(f"the reward that step returned is {number}.")
    return number


def _flag(value: Any, name: str) -> bool:
    """Whether an episode ended, as a bool; an array of one counts as one."""
    if isinstance(value, bool):
        return value
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iub":
        raise MismatchError(f"step returned {_form(value)} as {name}, not true or false.")
    return bool(array.item())


def _form(value: Any) -> str:
    """What a value is, in a few words."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, tuple):
        return f"{len(value)} values"
    if value is None or isinstance(value, bool | int | float):
        return str(value)
    return f"a {type(value).__name__}"
