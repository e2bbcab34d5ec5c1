"""Stable-Baselines3's A2C as a baseline, under the same command."""
