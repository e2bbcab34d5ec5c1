"""A run's bookkeeping: its folder, tables, checkpoints, progress, signals and film."""
