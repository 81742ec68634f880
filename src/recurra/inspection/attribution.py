"""Attribution of an output to the steps of the input."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from recurra.errors import ParameterError, ShapeError
from recurra.inspection.line_integral import line_integral

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
        valid: by input tensor, (B, T) bool, false at padding; None if there is none.
    """

    method: str
    values: tuple[np.ndarray, ...]
    output: np.ndarray
    baseline_output: np.ndarray
    evaluations: int
    valid: tuple[np.ndarray, ...] | None = None

    @property
    def by_step(self) -> np.ndarray:
        """(B, T), summed over features, the steps of all input tensors one after the other."""
        return np.concatenate([part.sum(2) for part in self.values], axis=1)

    def of(self, sequence: int) -> tuple[np.ndarray, ...]:
        """By input tensor, (T,), what each true step of one sequence adds."""
        parts = [part[sequence].sum(1) for part in self.values]
        if self.valid is None:
            return tuple(parts)
        return tuple(part[valid[sequence]] for part, valid in zip(parts, self.valid, strict=True))

    def only(self, sequence: int) -> "Attribution":
        """That of one sequence, B = 1."""
        here = slice(sequence, sequence + 1)
        return replace(
            self,
            values=tuple(part[here] for part in self.values),
            output=self.output[here],
            baseline_output=self.baseline_output[here],
            valid=None if self.valid is None else tuple(part[here] for part in self.valid),
        )

    @property
    def residual(self) -> np.ndarray:
        """(B,): f(x) - f(baseline) less the sum of all attributions; 0 if they are complete."""
        return self.output - self.baseline_output - self.by_step.sum(1)

    def missed(self, sequence: int) -> float:
        """The residual of one sequence as a fraction of its `abs(f(x) - f(baseline))`; 0 if there is none."""
        change, residual = abs(self.output - self.baseline_output)[sequence], abs(self.residual[sequence])
        return float(residual / change) if change > 0 else 0.0

    @property
    def relative_residual(self) -> float:
        """The largest residual as a fraction of the largest `abs(f(x) - f(baseline))`; nan if no output changes."""
        change = np.abs(self.output - self.baseline_output).max()
        return float(np.abs(self.residual).max() / change) if change > 0 else float("nan")


def integrated_gradients(
    function: ScalarFunction,
    inputs: Sequence[Tensor],
    baselines: Sequence[Tensor] | None = None,
    points: int = 32,
    valid: Sequence[Tensor] | None = None,
    tolerance: float | None = None,
    sequences: Sequence[int] | None = None,
) -> Attribution:
    """Integrated gradients (Sundararajan et al. 2017, equation 1).

    The gradient along the straight way from the baseline to the input, times their difference. Attributions are
    complete where the integral is exact: they add up to f(x) - f(baseline). Here it is Gauss-Legendre's; `residual`
    says what is missing. With a tolerance the way is divided where too much is missing.

    Args:
        function: of the inputs, to one number a sequence, (B,); sequences must not mix.
        inputs: tensors (B, T, I), of different T and I as may be.
        baselines: of the same shapes, or (I,) each; None: `mean_baselines`.
        points: where the gradient is taken, along the way.
        valid: of each input (B, T) bool, false at padding, which the function must not read; None: all true.
        tolerance: the fraction of the change of each output that may be missing before more points are taken; None: as
            many as `points`.
        sequences: of the batch, that the tolerance is for; None: all.

    Raises:
        ParameterError: if there are no inputs, or the function is not differentiable in them.
        ShapeError: if a shape does not fit.
    """
    inputs, baselines = checked(inputs, baselines, valid)
    integrals, evaluations = line_integral(
        partial(_gradients, function), baselines, inputs, points, tolerance, sequences
    )
    values = tuple(part.double().cpu().numpy() for part in integrals)
    outputs = outputs_at(function, inputs), outputs_at(function, baselines)
    return Attribution("integrated gradients", values, *outputs, evaluations, _arrays(valid))


def gradient_times_input(
    function: ScalarFunction,
    inputs: Sequence[Tensor],
    baselines: Sequence[Tensor] | None = None,
    valid: Sequence[Tensor] | None = None,
) -> Attribution:
    """The gradient at the input times its difference from the baseline: exact for a linear function, and quick.

    For arguments and errors see `integrated_gradients`.
    """
    inputs, baselines = checked(inputs, baselines, valid)
    _, gradients = _gradients(function, inputs)
    values = tuple(((x - b) * g).double().cpu().numpy() for x, b, g in zip(inputs, baselines, gradients, strict=True))
    outputs = outputs_at(function, inputs), outputs_at(function, baselines)
    return Attribution("gradient x input", values, *outputs, 1, _arrays(valid))


def mean_baselines(inputs: Sequence[Tensor], valid: Sequence[Tensor] | None = None) -> tuple[Tensor, ...]:
    """The mean of each feature over sequences and true steps, (1, 1, I) of each input (B, T, I).

    Args:
        inputs: of the function.
        valid: see `integrated_gradients`.
    """
    if valid is None:
        return tuple(x.detach().mean(dim=(0, 1), keepdim=True) for x in inputs)
    return tuple(x.detach()[true].mean(0).view(1, 1, -1) for x, true in zip(inputs, valid, strict=True))


def checked(
    inputs: Sequence[Tensor], baselines: Sequence[Tensor] | None, valid: Sequence[Tensor] | None = None
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    if not inputs:
        raise ParameterError("inputs", "at least one tensor", inputs)
    for x in inputs:
        if x.dim() != 3 or not x.is_floating_point() or x.shape[0] != inputs[0].shape[0]:
            raise ShapeError("inputs", "floating-point tensors (B, T, I) of one B", f"{tuple(x.shape)} of {x.dtype}")
    if valid is not None and [tuple(true.shape) for true in valid] != [tuple(x.shape[:2]) for x in inputs]:
        shapes = [tuple(x.shape[:2]) for x in inputs]
        raise ShapeError("valid", f"(B, T) of each input, {shapes}", [tuple(true.shape) for true in valid])
    chosen = mean_baselines(inputs, valid) if baselines is None else tuple(baselines)
    if len(chosen) != len(inputs):
        raise ShapeError("baselines", f"{len(inputs)} tensors, one for each input", len(chosen))
    try:
        expanded = tuple(b.to(x).expand_as(x) for x, b in zip(inputs, chosen, strict=True))
    except RuntimeError:
        shapes = [tuple(x.shape) for x in inputs]
        raise ShapeError("baselines", f"shapes that expand to {shapes}", [tuple(b.shape) for b in chosen]) from None
    return tuple(x.detach() for x in inputs), expanded


def _arrays(valid: Sequence[Tensor] | None) -> tuple[np.ndarray, ...] | None:
    return None if valid is None else tuple(true.cpu().numpy() for true in valid)


def _gradients(function: ScalarFunction, at: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The outputs (B,), and the gradient of each by its own inputs."""
    points = [x.detach().clone().requires_grad_() for x in at]
    with torch.enable_grad():
        output = _called(function, points)
    if not output.requires_grad:
        raise ParameterError("function", "differentiable in its inputs", "an output without a gradient")
    gradients = torch.autograd.grad(output.sum(), points, allow_unused=True, materialize_grads=True)
    return output.detach(), gradients


def outputs_at(function: ScalarFunction, at: Sequence[Tensor]) -> np.ndarray:
    with torch.no_grad():
        return _called(function, at).double().cpu().numpy()


def _called(function: ScalarFunction, at: Sequence[Tensor]) -> Tensor:
    output = function(*at)
    if not isinstance(output, Tensor) or output.shape != at[0].shape[:1]:
        got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ShapeError("function", f"to return one number a sequence, shape (B,) = ({at[0].shape[0]},)", got)
    return output
