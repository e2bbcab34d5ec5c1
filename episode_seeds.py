"""Which seeds of episodes training may draw, and which are kept for evaluation."""

FIRST_EVALUATION_SEED = 2**30  # training draws below; here and above, below 2^31, are evaluation's


def on_the_side_of(seed: int, drawn: int) -> int:
    """Make of a number >= 0 a seed of training if `seed` is one, else one of evaluation."""
    return seed - seed % FIRST_EVALUATION_SEED + drawn % FIRST_EVALUATION_SEED
