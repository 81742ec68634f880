"""Precision, recall and F1, from counts."""

from dataclasses import dataclass

__all__ = ["Counts"]


@dataclass(frozen=True)
class Counts:
    """How often something was true, was predicted, and both.

    Attributes:
        true: items in the reference.
        predicted: items that the model predicts.
        right: items in both.
    """

    true: int = 0
    predicted: int = 0
    right: int = 0

    @property
    def precision(self) -> float:
        """The fraction of what is predicted that is right; 0 if nothing is predicted."""
        return self.right / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """The fraction of what is true that is predicted; 0 if nothing is true."""
        return self.right / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both; 0 if nothing is right."""
        return 2 * self.right / (self.true + self.predicted) if self.right else 0.0
