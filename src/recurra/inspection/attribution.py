"""Attribution of an output to the steps of the input."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recurra.errors import ParameterError, ShapeError

__all__ = [
    "Attribution",
    "ScalarFunction",
    "checked",
    "gradient_times_input",
    "integrated_gradients",
    "mean_baselines",
    "outputs_at",
]

ScalarFunction = Callable[..., Tensor]


@dataclass(frozen=True)
class Attribution:
    """What each value of the input adds to the output of each of B sequences.

    Attributes:
        method: "integrated gradients" or "gradient x input".
        values: by input tensor, (B, T, I).
        output: (B,), f(x).
        baseline_output: (B,), f(baseline).
        evaluations: how often the gradient was taken.
    """

    method: str
    values: tuple[np.ndarray, ...]
    output: np.ndarray
    baseline_output: np.ndarray
    evaluations: int

    @property
    def by_step(self) -> np.ndarray:
        """(B, T), summed over features, the steps of all input tensors one after the other."""
        return np.concatenate([part.sum(2) for part in self.values], axis=1)

    @property
    def residual(self) -> np.ndarray:
        """(B,): f(x) - f(baseline) less the sum of all attributions; 0 where they are complete."""
        return self.output - self.baseline_output - self.by_step.sum(1)

    @property
    def relative_residual(self) -> float:
        """The largest residual as a share of the largest |f(x) - f(baseline)|; nan where the output never changes."""
        change = np.abs(self.output - self.baseline_output).max()
        return float(np.abs(self.residual).max() / change) if change > 0 else float("nan")


def integrated_gradients(
    function: ScalarFunction,
    inputs: Sequence[Tensor],
    baselines: Sequence[Tensor] | None = None,
    points: int = 32,
) -> Attribution:
    """Integrated gradients (Sundararajan et al. 2017, equation 1).

    The gradient along the straight way from the baseline to the input, times their difference. Attributions are
    complete where the integral is exact: they add up to f(x) - f(baseline). Here it is Gauss-Legendre's; `residual`
    says what is missing.

    Args:
        function: of the inputs, to one number a sequence, (B,); sequences must not mix.
        inputs: tensors (B, T, I), of different T and I as may be.
        baselines: of the same shapes, or (I,) each; `mean_baselines` where None.
        points: where the gradient is taken, along the way.

    Raises:
        ParameterError: where there are no inputs, or the function is not differentiable in them.
        ShapeError: where a shape does not fit.
    """
    inputs, baselines = checked(inputs, baselines)
    places, weights = np.polynomial.legendre.leggauss(points)
    differences = [x - b for x, b in zip(inputs, baselines, strict=True)]
    total = [torch.zeros_like(x) for x in inputs]
    for place, weight in zip((places + 1) / 2, weights / 2, strict=True):
        at = [b + float(place) * d for b, d in zip(baselines, differences, strict=True)]
        for part, gradient in zip(total, _gradients(function, at), strict=True):
            part += float(weight) * gradient
    values = tuple((d * t).double().cpu().numpy() for d, t in zip(differences, total, strict=True))
    return Attribution(
        *("integrated gradients", values, outputs_at(function, inputs), outputs_at(function, baselines), points)
    )


def gradient_times_input(
    function: ScalarFunction, inputs: Sequence[Tensor], baselines: Sequence[Tensor] | None = None
) -> Attribution:
    """The gradient at the input times its difference from the baseline: exact for a linear function, and quick.

    Arguments and errors as of `integrated_gradients`.
    """
    inputs, baselines = checked(inputs, baselines)
    gradients = _gradients(function, inputs)
    values = tuple(((x - b) * g).double().cpu().numpy() for x, b, g in zip(inputs, baselines, gradients, strict=True))
    return Attribution(*("gradient x input", values, outputs_at(function, inputs), outputs_at(function, baselines), 1))


def mean_baselines(inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The mean of each feature over sequences and steps, (1, 1, I) of each input (B, T, I)."""
    return tuple(x.detach().mean(dim=(0, 1), keepdim=True) for x in inputs)


def checked(
    inputs: Sequence[Tensor], baselines: Sequence[Tensor] | None
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    if not inputs:
        raise ParameterError("inputs", "at least one tensor", inputs)
    for x in inputs:
        if x.dim() != 3 or not x.is_floating_point() or x.shape[0] != inputs[0].shape[0]:
            raise ShapeError("inputs", "floating-point tensors (B, T, I) of one B", f"{tuple(x.shape)} of {x.dtype}")
    given = mean_baselines(inputs) if baselines is None else tuple(baselines)
    if len(given) != len(inputs):
        raise ShapeError("baselines", f"{len(inputs)} tensors, one for each input", len(given))
    try:
        expanded = tuple(b.to(x).expand_as(x) for x, b in zip(inputs, given, strict=True))
    except RuntimeError:
        shapes = [tuple(x.shape) for x in inputs]
        raise ShapeError("baselines", f"shapes that expand to {shapes}", [tuple(b.shape) for b in given]) from None
    return tuple(x.detach() for x in inputs), expanded


def _gradients(function: ScalarFunction, at: Sequence[Tensor]) -> tuple[Tensor, ...]:
    points = [x.detach().clone().requires_grad_() for x in at]
    with torch.enable_grad():
        output = _called(function, points)
    if not output.requires_grad:
        raise ParameterError("function", "differentiable in its inputs", "an output without a gradient")
    return torch.autograd.grad(output.sum(), points, allow_unused=True, materialize_grads=True)


def outputs_at(function: ScalarFunction, at: Sequence[Tensor]) -> np.ndarray:
    with torch.no_grad():
        return _called(function, at).double().cpu().numpy()


def _called(function: ScalarFunction, at: Sequence[Tensor]) -> Tensor:
    output = function(*at)
    if not isinstance(output, Tensor) or output.shape != at[0].shape[:1]:
        got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ShapeError("function", f"to return one number a sequence, shape (B,) = ({at[0].shape[0]},)", got)
    return output
