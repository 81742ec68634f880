"""What is timed computes the same, or nothing is timed."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

# Errors accumulate over steps and units; this holds for float32 at the largest size.
TOLERANCE = 2e-4

Run = tuple[Callable[[], Tensor], Sequence[Tensor]]


def check_agreement(runs: Mapping[str, Run]) -> None:
    """Outputs and all gradients are those of the first.

    Args:
        runs: by name, a function that computes the output, and what the gradients are taken of, in the same order.

    Raises:
        AssertionError: where an error is more than `TOLERANCE` of the largest value.
    """
    truth, *others = runs
    expected = _results(*runs[truth])
    for name in others:
        check_equal(f"{name} and {truth}", expected, _results(*runs[name]))


def check_equal(names: str, expected: Sequence[Tensor], found: Sequence[Tensor]) -> None:
    """An output and its gradients are as expected; raises as `check_agreement`."""
    for number, (right, value) in enumerate(zip(expected, found, strict=True)):
        right, value = right.detach(), value.detach()
        error = float((right - value).abs().max() / right.abs().max().clamp(min=1e-6))
        if not error < TOLERANCE:
            what = f"gradient {number}" if number else "output"
            raise AssertionError(f"{names}: {what} differs by {error:.1e} of the largest")


def _results(run: Callable[[], Tensor], leaves: Sequence[Tensor]) -> list[Tensor]:
    output = run()
    return [output, *torch.autograd.grad(output.square().mean(), leaves)]
