"""How often a run writes what, and how much of it stays."""

from dataclasses import dataclass

MAX_FRAMES = 10**15


@dataclass(frozen=True)
class LogConfig:
    """How often a run writes, in environment frames and minutes."""

    every_frames: int = 100_000  # one row in progress.csv and TensorBoard
    checkpoint_frames: int = 1_000_000
    checkpoint_minutes: float = 5.0  # a checkpoint is taken at the latest after so long
    evaluate_frames: int = 0  # evaluation episodes are played once in so many; 0: never
    evaluate_episodes: int = 32
    keep_checkpoints: int = 0  # how many of those by frames stay, and the best

    def validate(self) -> None:
        """Raise ValueError, in one sentence, for a value that is not allowed."""
        require_count("log.every_frames", self.every_frames)
        require_count("log.checkpoint_frames", self.checkpoint_frames)
        require_count("log.evaluate_frames", self.evaluate_frames, least=0)
        require_count("log.evaluate_episodes", self.evaluate_episodes)
        require_count("log.keep_checkpoints", self.keep_checkpoints, least=0)
        if not self.checkpoint_minutes > 0:
            raise ValueError(
                f"log.checkpoint_minutes is {self.checkpoint_minutes}; it must be above 0."
            )


def require_count(name: str, value: int, least: int = 1) -> None:
    """Raise ValueError unless `value`, of the setting `name`, is from `least` to MAX_FRAMES."""
    if not least <= value <= MAX_FRAMES:
        raise ValueError(
            f"{name} is {value}; it must be at least {least} and at most {MAX_FRAMES:,}."
        )
