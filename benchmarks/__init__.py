"""Measurements: fidelity to the real levels, and speed."""
