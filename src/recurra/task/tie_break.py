"""How equally good weights are told apart: a small set often has many."""

__all__ = ["LARGEST_PART", "with_tie_broken"]

# Less than one item's part of an error rate, however large the validation data.
LARGEST_PART = 1e-6


def with_tie_broken(error: float, second: float) -> float:
    """An error rate with a small part of a second figure, which decides among equal rates.

    Args:
        error: what chooses weights.
        second: at least 0, such as the loss. Its part stays below `LARGEST_PART`.
    """
    return error + LARGEST_PART * second / (1 + second)
