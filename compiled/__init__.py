"""What Numba compiles for the agent, CPC and labsim: its cache, and products of a few rows."""
