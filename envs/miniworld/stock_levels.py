"""MiniWorld's own levels, drawn without a display; importing this registers them with Gymnasium.

python train_agent.py env=gymnasium env.id=envs.miniworld.stock_levels:MiniWorld-OneRoom-v0
"""

from envs.miniworld.headless import load_opengl

load_opengl()  # before MiniWorld, which would look for a display

import miniworld.envs  # noqa: E402, F401
