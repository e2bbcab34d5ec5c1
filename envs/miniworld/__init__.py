"""MiniWorld: labsim's levels, physics and rules, drawn by Farama's MiniWorld through OpenGL."""

import gymnasium

from envs.config import ALIASES, LEVELS


def register() -> None:
    """Make `miniworld/<level>-v0` known to Gymnasium; MiniWorld itself is loaded on use."""
    for name in (*LEVELS, *ALIASES):
        if f"miniworld/{name}-v0" not in gymnasium.registry:
            gymnasium.register(
                f"miniworld/{name}-v0",
                entry_point="envs.miniworld.env:MiniworldEnv",
                kwargs={"level": name},
            )
