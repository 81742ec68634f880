"""One sequence run by the engine and by the reference: outputs, final states and every gradient must agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from agreement import assert_agree, gradients, tensors
from every_cell import SERVED, draw_state, draw_weights, flat
from recurra import kernels
from recurra.cells import Cell
from recurra.kernels import Masks, Weights

NATIVE: list[Cell] = [cell for cell, backend in SERVED if backend == "native"]


@dataclass(frozen=True)
class Case:
    """A sequence, its state, its weights and its masks."""

    cell: Cell
    x: Tensor
    state: tuple[Tensor, ...]
    weights: Weights
    lengths: Tensor | None
    reverse: bool
    masks: Masks | None = None

    def run(self, backend: str) -> Any:
        """What a kernel makes of it."""
        return kernels.run(backend, self.cell, self.x, self.state, self.weights, self.lengths, self.reverse, self.masks)

    @property
    def wanted(self) -> list[Tensor]:
        """All that has a gradient."""
        return [self.x, *self.state, *flat(self.weights)]


def draw(
    cell: Cell,
    steps: int,
    batch: int,
    inputs: int,
    hidden: int,
    lengths: Sequence[int] | Tensor | None = None,
    reverse: bool = False,
    dtype: torch.dtype = torch.float64,
    *,
    proj_size: int = 0,
    bias: bool = True,
    masks: str = "",
) -> Case:
    """A random case.

    Args:
        cell: the equations.
        steps: T.
        batch: B.
        inputs: I.
        hidden: H, or the next multiple of the cell's heads.
        lengths: true lengths; all T where None.
        reverse: from each row's last step to its first.
        dtype: of all tensors.
        proj_size: R, or 0.
        bias: whether there are biases.
        masks: "recurrent" for recurrent dropout, "zoneout" for zoneout with masks of zeros, ones and what lies between,
            "expected" for zoneout whose share is the same at every step, both joined by "+"; or "".
    """
    with torch.no_grad():
        weights = draw_weights(cell, inputs, hidden, dtype, proj_size)
        for tensor in flat(weights):
            tensor /= hidden**0.5
    if not bias:
        weights = weights._replace(bias_ih=None, bias_hh=None, bias_hr=None)
    state = draw_state(cell, batch, hidden, dtype=dtype, proj_size=proj_size)
    x = torch.randn(steps, batch, inputs, dtype=dtype).requires_grad_()
    recurrent = zoneout = None
    if "recurrent" in masks:
        recurrent = torch.rand_like(state[0]).sub(0.3).relu() * 2
    if "zoneout" in masks:
        zoneout = tuple((3 * torch.rand(steps, *part.shape, dtype=dtype) - 1).clamp(0, 1) for part in state)
    if "expected" in masks:
        zoneout = tuple(torch.rand(1, 1, part.shape[1], dtype=dtype) for part in state)
    true = None if lengths is None else torch.as_tensor(lengths)
    drawn = None if recurrent is None and zoneout is None else Masks(recurrent, zoneout)
    return Case(cell, x, state, weights, true, reverse, drawn)


def assert_results_agree(case: Case, actual: Any, expected: Any) -> None:
    """Outputs, final states and gradients, these relative to the largest: sums have rounding errors of their size."""
    assert_agree(actual, expected)
    found, true = (gradients(result, case.wanted) for result in (actual, expected))
    assert all(gradient.isfinite().all() for gradient in found)
    size = max(1.0, *(gradient.abs().max().item() for gradient in true if gradient.numel()))
    assert_agree([gradient / size for gradient in found], [gradient / size for gradient in true])


def assert_as_reference(case: Case) -> None:
    """The engine's outputs, final states and every gradient equal the reference's."""
    try:
        assert_results_agree(case, case.run("native"), case.run("reference"))
    except AssertionError as error:
        lengths = None if case.lengths is None else case.lengths.tolist()
        sizes = f"x {tuple(case.x.shape)}, {case.x.dtype}, state {[tuple(part.shape) for part in case.state]}"
        error.add_note(f"{case.cell!r}: {sizes}, lengths {lengths}, reverse {case.reverse}")
        raise


def assert_same_bits_again(case: Case) -> None:
    """The engine computes the same bits at every run."""
    first, again = (case.run("native") for _ in range(2))
    for a, b in zip(
        [*tensors(first), *gradients(first, case.wanted)],
        [*tensors(again), *gradients(again, case.wanted)],
        strict=True,
    ):
        assert torch.equal(a, b)
