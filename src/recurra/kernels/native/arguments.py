"""The tensors that the engine runs on, checked."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from torch import Tensor

from recurra.cells import Cell
from recurra.errors import ShapeError
from recurra.kernels.weights import Masks, Weights
from recurra.shapes import check_dtype, check_shape

__all__ = ["SINGLE", "Arguments", "arguments"]


class Arguments(NamedTuple):
    """What the engine runs on, every tensor contiguous; letters as in `recurra.kernels.Weights`.

    Attributes:
        inputs: (T, B, I).
        weights: of the layer in this direction.
        mask: (B, R), of recurrent dropout, or None.
        zoneout: by part (T, B, H), or (1, 1, H) if all steps share one; empty without zoneout.
        state: by part, the first (B, R), the others (B, H).
    """

    inputs: Tensor
    weights: Weights
    mask: Tensor | None
    zoneout: tuple[Tensor, ...]
    state: tuple[Tensor, ...]

    def flat(self) -> list[Tensor | None]:
        """All in one list, in the order of `SINGLE`, then zoneout masks and state; None: a part has no zoneout mask."""
        zoneout = self.zoneout or (None,) * len(self.state)
        return [self.inputs, *self.weights, self.mask, *zoneout, *self.state]

    def rows(self) -> list[int | None]:
        """For each of `flat` the dimension of the batch, B, or None if all rows share the tensor."""
        zoneout = [None if part.shape[0] == part.shape[1] == 1 else 1 for part in self.zoneout] or [None] * len(
            self.state
        )
        return [1, *(None for _ in self.weights), 0, *zoneout, *(0 for _ in self.state)]

    @classmethod
    def of(cls, flat: Sequence[Any]) -> Self:
        """The inverse of `flat`."""
        single, parts = len(SINGLE), (len(flat) - len(SINGLE)) // 2
        inputs, *weights, mask = flat[:single]
        zoneout = () if flat[single] is None else tuple(flat[single : single + parts])
        return cls(inputs, Weights(*weights), mask, zoneout, tuple(flat[single + parts :]))


# The names of the single tensors, in the order of `Arguments.flat`.
SINGLE = ("inputs", *Weights._fields, "mask")


def arguments(
    cell: Cell, inputs: Tensor, state: tuple[Tensor, ...], weights: Weights, masks: Masks | None
) -> Arguments:
    """The tensors as the engine takes them. The engine trusts their sizes, so they are checked here."""
    weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, bias_hr, norm_ih, norm_hh, per_unit, _ = weights
    rows = weight_ih.shape[0]
    hidden = rows // len(cell.gates)
    if rows % len(cell.gates) or hidden % cell.heads:
        raise ShapeError("weight_ih", f"rows in a multiple of {len(cell.gates)} gates x {cell.heads} heads", rows)
    size = hidden if weight_hr is None else weight_hr.shape[0]
    steps, batch, features = inputs.shape
    _check("weight_ih", weight_ih, (rows, features), "(G * H, I)", inputs)
    if cell.recurrence != "none":
        if weight_hh is None:
            raise ShapeError("weight_hh", "(G * H, K)", "none")
        _check("weight_hh", weight_hh, (rows, _columns(cell, hidden, size)), "(G * H, K)", inputs)
    for name, tensor in (("bias_ih", bias_ih), ("bias_hh", bias_hh), ("norm_ih", norm_ih), ("norm_hh", norm_hh)):
        if tensor is not None:
            _check(name, tensor, (rows,), "(G * H,)", inputs)
    if weight_hr is not None:
        _check("weight_hr", weight_hr, (size, hidden), "(R, H)", inputs)
        if bias_hr is not None:
            _check("bias_hr", bias_hr, (size,), "(R,)", inputs)
    for k, (name, part) in enumerate(zip(cell.state, state, strict=True)):
        _check(name, part, (batch, hidden if k else size), "(B, H)" if k else "(B, R)", inputs, "state")
    if cell.per_unit:
        if per_unit is None:
            raise ShapeError("per_unit", "(P, H)", "none")
        _check("per_unit", per_unit, (len(cell.per_unit), hidden), "(P, H)", inputs)
    mask, zoneout = (None, None) if masks is None else (masks.recurrent, masks.zoneout)
    if mask is not None:
        _check("recurrent", mask, (batch, size), "(B, R)", inputs, "masks")
    if zoneout is not None:
        zoneout = _zoneout_masks(cell, zoneout, (steps, batch, hidden), inputs)
    return Arguments(
        # Made contiguous here, where autograd sees it.
        inputs.contiguous(),
        Weights(weight_ih.contiguous(), *map(_contiguous, weights[1:])),
        _contiguous(mask),
        () if zoneout is None else tuple(part.contiguous() for part in zoneout),
        tuple([part.contiguous() for part in state]),
    )


def _zoneout_masks(
    cell: Cell, zoneout: tuple[Tensor, ...], shape: tuple[int, int, int], like: Tensor
) -> tuple[Tensor, ...]:
    """The zoneout masks, expanded: one value a unit for all steps of all rows, or one at each step and row."""
    if all(part.shape[:2] == (1, 1) for part in zoneout):
        shape = (1, 1, shape[2])
    wide = []
    for name, part in zip(cell.state, zoneout, strict=True):
        fits = part.dim() == 3 and all(n in (1, whole) for n, whole in zip(part.shape, shape, strict=True))
        wide.append(part.expand(shape) if fits else part)
        _check(name, wide[-1], shape, "(T, B, H)", like, "zoneout")
    return tuple(wide)


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


def _columns(cell: Cell, hidden: int, size: int) -> int:
    """K, the number of units of the output that a unit reads."""
    if cell.recurrence == "dense":
        return size
    return hidden // cell.heads if cell.recurrence == "block_diagonal" else 1


def _check(name: str, tensor: Tensor, shape: tuple[int, ...], letters: str, like: Tensor, of: str = "") -> None:
    # Names are joined only for an error: this runs at every step of a stream.
    if tensor.shape != shape or tensor.dtype != like.dtype or tensor.device != like.device:
        name = f"{of} ({name})" if of else name
        check_shape(name, tensor, shape, letters)
        check_dtype(name, tensor, like)
        if tensor.device != like.device:
            raise ShapeError(name, f"the inputs' device {like.device}", tensor.device, "Move one with .to().")
