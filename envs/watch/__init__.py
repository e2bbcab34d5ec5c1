"""A trained agent at play: what it sees, does and expects; run as `python -m envs.watch`."""
