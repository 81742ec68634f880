"""What was exported against the model."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import ExportError

__all__ = ["Check", "compare", "largest_gap", "refuse_failed"]

_TOLERANCE = 2e-5  # of the largest value of the output, or of 1
_OF_ROUNDING = 30  # times the model's own error in float32, which a network that amplifies what it reads makes large
_LARGEST = 1e-2  # whatever the model's own error is


@dataclass(frozen=True)
class Check:
    """What one comparison found.

    Attributes:
        batch: sequences.
        steps: of the longest.
        lengths: of the sequences, () if there are no lengths among the inputs.
        output: the output that differs most.
        difference: there, relative to the largest value of that output in the model, or to 1 if that is less.
        allowed: the largest difference that passes: 2e-5, or thirty times what the model in float32 differs from itself
            in float64, but at most 0.01.
    """

    batch: int
    steps: int
    lengths: tuple[int, ...]
    output: str
    difference: float
    allowed: float

    def __str__(self) -> str:
        sequences = "1 sequence" if self.batch == 1 else f"{self.batch} sequences"
        steps = "1 step" if self.steps == 1 else f"{self.steps} steps"
        lengths = f" (lengths {', '.join(map(str, self.lengths))})" if self.lengths else ""
        return (
            f"{sequences} of {steps}{lengths}: largest relative difference {self.difference:.1e} in {self.output}, "
            f"allowed {self.allowed:.0e}"
        )


def compare(
    batch: int,
    steps: int,
    lengths: Iterable[int],
    actual: Mapping[str, NDArray[Any]],
    expected: Mapping[str, NDArray[Any]],
    exact: Mapping[str, NDArray[Any]],
) -> Check:
    """Compare outputs by name.

    Args:
        batch: sequences.
        steps: of the longest.
        lengths: of the sequences.
        actual: what was exported gives.
        expected: what the model gives.
        exact: what the model gives in float64.

    Raises:
        ExportError: if a shape differs.
    """
    worst, where, rounding = 0.0, next(iter(expected)), 0.0
    for name, right in expected.items():
        got = actual[name]
        if got.shape != right.shape:
            raise ExportError(
                f"the check: {name}: expected the shape {right.shape}, got {got.shape}; nothing is written"
            )
        if not right.size:
            continue
        scale = max(1.0, float(np.abs(right, where=np.isfinite(right), out=np.zeros_like(right)).max()))
        difference = largest_gap(got, right) / scale
        if right.dtype.kind == "f":
            rounding = max(rounding, largest_gap(exact[name], right) / scale)
        if not difference <= worst:
            worst, where = difference, name
    allowed = min(max(_TOLERANCE, _OF_ROUNDING * rounding), _LARGEST)
    return Check(batch, steps, tuple(map(int, lengths)), where, worst, allowed)


def largest_gap(first: NDArray[Any], second: NDArray[Any]) -> float:
    """The largest difference; equal infinities, as of a symbol that is never written, differ by nothing."""
    with np.errstate(invalid="ignore"):
        gaps = np.abs(first.astype(np.float64) - second)
    return float(np.where(first == second, 0.0, gaps).max())


def refuse_failed(checks: Iterable[Check], program: str) -> None:
    """Refuse to write what does not agree with the model.

    Args:
        checks: the comparisons.
        program: what ran the export.

    Raises:
        ExportError: naming the first that failed.
    """
    for check in checks:
        if not check.difference <= check.allowed:
            raise ExportError(f"the check: {program} and the model differ: {check}; nothing is written")
