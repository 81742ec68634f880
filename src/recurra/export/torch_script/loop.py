"""One layer in one direction as TorchScript: a loop over time, around the traced equations of one step."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.kernels import Masks, Weights
from recurra.kernels.projections import input_projection
from recurra.kernels.reference import step

__all__ = ["loop_over_time", "step_of", "tracing"]


@contextmanager
def tracing() -> Iterator[None]:
    """Silences what torch.jit says of itself: that it is deprecated, and that Python's branches are not recorded.

    What was traced is run at other sizes, and compared.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # pyright: ignore[reportPrivateImportUsage]
        yield


class _Projection(nn.Module):
    """The input projection (..., G * H)."""

    def __init__(self, cell: Cell, weights: Weights) -> None:
        super().__init__()
        self._cell = cell
        self._weights = _registered(self, weights)

    def forward(self, x: Tensor) -> Tensor:
        return input_projection(self._cell, x, _weights(self, self._weights))


class _Step(nn.Module):
    """The state after a step, by part, from the input projection (B, G * H) and the state before."""

    def __init__(self, cell: Cell, weights: Weights, zoneout: Sequence[float]) -> None:
        super().__init__()
        self._cell = cell
        self._weights = _registered(self, weights)
        self._zoneout = tuple(zoneout)

    def forward(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        masks = None
        if any(self._zoneout):
            masks = Masks(None, tuple(torch.full((1, 1, 1), p) for p in self._zoneout))
        return step(self._cell, x, state, _weights(self, self._weights), masks)


def step_of(cell: Cell, weights: Weights, zoneout: Sequence[float]) -> tuple[nn.Module, nn.Module]:
    """The input projection and the step of a layer, as modules."""
    return _Projection(cell, weights).eval(), _Step(cell, weights, zoneout).eval()


def loop_over_time(
    cell: Cell, weights: Weights, zoneout: Sequence[float], reverse: bool, with_lengths: bool
) -> torch.jit.ScriptModule:
    """A module that runs a cell over sequences.

    It takes the inputs (T, B, I), with lengths also which steps are within them, bool (T, B, 1), and the initial state
    by part. It returns the outputs (T, B, R), zero at padding, and the final state by part.

    Args:
        cell: the equations.
        weights: of the layer in this direction.
        zoneout: by part of the state, the probability that a unit keeps its value: its expectation is used.
        reverse: from each sequence's last step to its first.
        with_lengths: whether it takes the lengths.
    """
    project, one_step = step_of(cell, weights, zoneout)
    hidden = cell.units(cell.gates, weights.weight_ih.shape[0])
    size = hidden if weights.weight_hr is None else weights.weight_hr.shape[0]
    example = torch.zeros(2, 2, weights.weight_ih.shape[1])
    state = tuple(torch.zeros(2, width) for width in (size, *cell.sizes(cell.state[1:], hidden)))
    with tracing():
        traced = (
            torch.jit.trace(project, example, check_trace=False),
            torch.jit.trace(one_step, (project(example)[0], *state), check_trace=False),
        )
        return _Loop(*traced, _source(len(cell.state), size, reverse, with_lengths)).eval()


class _Loop(torch.jit.ScriptModule):
    def __init__(self, project: Any, one_step: Any, source: str) -> None:
        super().__init__()
        self.project = project
        self.step = one_step
        self.define(source)


def _source(parts: int, size: int, reverse: bool, with_lengths: bool) -> str:
    """The `forward` of the loop in TorchScript."""
    names = [f"s{k}" for k in range(parts)]
    arguments = ", ".join(["x: Tensor", *["valid: Tensor"] * with_lengths, *(f"{name}: Tensor" for name in names)])
    lines = [
        f"def forward(self, {arguments}) -> Tuple[{', '.join(['Tensor'] * (1 + parts))}]:",
        "    projected = self.project(x)",
        "    outputs: List[Tensor] = []",
        "    for k in range(x.size(0)):",
        f"        t = {'x.size(0) - 1 - k' if reverse else 'k'}",
        f"        after = self.step(projected[t], {', '.join(names)})",
        *(f"        a{k} = after[{k}]" for k in range(parts)),
        "        output = a0",
    ]
    if with_lengths:
        lines += [
            "        inside = valid[t]",
            "        output = torch.where(inside, a0, torch.zeros_like(a0))",
            *(f"        a{k} = torch.where(inside, a{k}, s{k})" for k in range(parts)),
        ]
    lines += [
        *(f"        s{k} = a{k}" for k in range(parts)),
        "        outputs.append(output)",
        *["    outputs.reverse()"] * reverse,
        f"    y = torch.zeros([0, x.size(1), {size}], dtype=x.dtype, device=x.device)",
        "    if len(outputs) > 0:",
        "        y = torch.stack(outputs)",
        f"    return y, {', '.join(names)}",
    ]
    return "\n".join(lines) + "\n"


def _registered(module: nn.Module, weights: Weights) -> list[str]:
    """Register the weights as buffers; returns their names."""
    names = [name for name, tensor in weights._asdict().items() if tensor is not None]
    for name in names:
        module.register_buffer(name, getattr(weights, name).detach().clone())
    return names


def _weights(module: Any, names: Sequence[str]) -> Weights:
    return Weights(**{name: getattr(module, name) for name in names})
