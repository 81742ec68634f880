"""The integral of a gradient along the straight way between two inputs, with the way divided where it is steep."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["Gradient", "line_integral"]

Gradient = Callable[[Sequence[Tensor]], tuple[Tensor, tuple[Tensor, ...]]]

_DIVISIONS = 80
_POINTS = 4  # of a part of the way
_SHORTEST = 1e-6
_LEAST_CHANGE = 0.05  # of the largest of all sequences, that a residual is compared with


class _Part(NamedTuple):
    """A part of the way of one sequence.

    Attributes:
        start: where it begins, as a fraction of the way, 0 to 1.
        end: where it ends, likewise.
        outputs: at both.
        values: the integral over it, by tensor (T, I).
        residual: what that misses of the change of the output.
    """

    start: float
    end: float
    outputs: tuple[float, float]
    values: tuple[Tensor, ...]
    residual: float

    @classmethod
    def of(cls, interval: tuple[float, float], outputs: tuple[float, float], values: tuple[Tensor, ...]) -> "_Part":
        integral = sum(float(part.double().sum()) for part in values)
        return cls(*interval, outputs, values, abs(outputs[1] - outputs[0] - integral))


def line_integral(
    gradient: Gradient,
    begins: Sequence[Tensor],
    ends: Sequence[Tensor],
    points: int,
    tolerance: float | None = None,
    sequences: Sequence[int] | None = None,
) -> tuple[tuple[Tensor, ...], int]:
    """(end - begin) times the integral of the gradient, feature by feature, by Gauss and Legendre.

    A recurrent network may fall from one course into another on the way, where its output all but jumps and no fixed
    points find the slope. But the integral over any part of the way is the change of the output there: the part that
    misses most of it is halved, again and again.

    Args:
        gradient: the outputs (B,) at inputs, and the gradient of each by its own inputs.
        begins: tensors (B, T, I).
        ends: of the same shapes.
        points: where the gradient is taken at first.
        tolerance: what may be missed of the change of a sequence's output, as a fraction of it, before its way is
            divided, up to 80 times; None never divides.
        sequences: of the batch, that the tolerance is for; None: all.

    Returns:
        Of each tensor the integral (B, T, I), and how often the gradient was taken.
    """
    batch = len(begins[0])
    first, last = begins[0].new_zeros(batch), begins[0].new_ones(batch)
    values = _integral(gradient, begins, ends, first, last, points)
    if tolerance is None:
        return values, points
    at_ends = torch.stack([gradient(at)[0].double() for at in (begins, ends)], dim=1).cpu().numpy()
    ways = {
        row: [
            _Part.of((0.0, 1.0), (float(at_ends[row, 0]), float(at_ends[row, 1])), tuple(part[row] for part in values))
        ]
        for row in (range(batch) if sequences is None else sequences)
    }
    changes = np.abs(at_ends[:, 1] - at_ends[:, 0])
    allowed = tolerance * np.maximum(changes, _LEAST_CHANGE * changes.max(initial=0.0))
    taken = points + 2
    for _ in range(_DIVISIONS):
        missed = {row: sum(part.residual for part in way) for row, way in ways.items()}
        worst = {row: max(way, key=_residual) for row, way in ways.items() if missed[row] > allowed[row]}
        # Shorter parts are not told apart in single precision: there the output jumps.
        worst = {row: part for row, part in worst.items() if part.end - part.start > _SHORTEST}
        if not worst:
            break
        start, end = first.clone(), first.clone()
        for row, part in worst.items():
            start[row], end[row] = part.start, part.end
        middle = (start + end) / 2
        halves = [_integral(gradient, begins, ends, *bounds, _POINTS) for bounds in ((start, middle), (middle, end))]
        between = gradient(_between(begins, ends, middle))[0].double().tolist()
        taken += 2 * _POINTS + 1
        for row, part in worst.items():
            ways[row] = [other for other in ways[row] if other is not part]
            before, after = (part.outputs[0], between[row]), (between[row], part.outputs[1])
            bounds = ((part.start, float(middle[row])), (float(middle[row]), part.end))
            for half, interval, outputs in zip(halves, bounds, (before, after), strict=True):
                ways[row].append(_Part.of(interval, outputs, tuple(integral[row] for integral in half)))
    for row, way in ways.items():
        for whole, parts in zip(values, zip(*(part.values for part in way), strict=True), strict=True):
            whole[row] = torch.stack(parts).sum(0)
    return values, taken


def _residual(part: _Part) -> float:
    return part.residual


def _integral(
    gradient: Gradient, begins: Sequence[Tensor], ends: Sequence[Tensor], start: Tensor, end: Tensor, points: int
) -> tuple[Tensor, ...]:
    """Over the part from start to end (B,) of the way of each sequence."""
    total = [torch.zeros_like(x) for x in ends]
    for node, weight in zip(*np.polynomial.legendre.leggauss(points), strict=True):
        at = _between(begins, ends, start + (end - start) * float(1 + node) / 2)
        for part, slope in zip(total, gradient(at)[1], strict=True):
            part += float(weight) / 2 * slope
    width = (end - start).view(-1, 1, 1)
    return tuple((x - b) * width * part for x, b, part in zip(ends, begins, total, strict=True))


def _between(begins: Sequence[Tensor], ends: Sequence[Tensor], fraction: Tensor) -> list[Tensor]:
    return [b + fraction.view(-1, 1, 1) * (x - b) for b, x in zip(begins, ends, strict=True)]
