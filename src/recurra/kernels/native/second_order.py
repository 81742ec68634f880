"""The engine's derivatives in torch operations, by the reference: for derivatives of derivatives."""

from collections.abc import Sequence

from torch import Tensor
from torch.func import vjp, vmap

from recurra.cells import Cell
from recurra.kernels import reference
from recurra.kernels.native.arguments import Arguments
from recurra.kernels.weights import Masks

__all__ = ["gradients", "gradients_of_gradients", "results"]


def results(
    cell: Cell, flat: Sequence[Tensor | None], lengths: Tensor | None, reverse: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The engine's results for `Arguments.flat`: the outputs and the final state by part."""
    a = Arguments.of(flat)
    return reference.run(cell, a.inputs, a.state, a.weights, lengths, reverse, Masks(a.mask, a.zoneout or None))


def gradients(
    cell: Cell,
    flat: Sequence[Tensor | None],
    lengths: Tensor | None,
    reverse: bool,
    cotangents: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> tuple[Tensor, ...]:
    """The gradients of those of `Arguments.flat` that are needed, for torch to differentiate or transform further."""

    def function(*chosen: Tensor) -> tuple[Tensor, ...]:
        output, final = results(cell, _replaced(flat, needed, chosen), lengths, reverse)
        return tuple(r for r, cotangent in zip((output, *final), cotangents, strict=True) if cotangent is not None)

    _, pull, *_ = vjp(function, *_chosen(flat, needed))
    return pull(tuple(cotangent for cotangent in cotangents if cotangent is not None))


def gradients_of_gradients(
    cell: Cell,
    flat: Sequence[Tensor | None],
    lengths: Tensor | None,
    reverse: bool,
    cotangents: Sequence[Tensor | None],
    needed: Sequence[bool],
    vmap_size: int,
    second_order: Sequence[Tensor],
    wanted: Sequence[bool],
) -> tuple[Tensor, ...]:
    """The gradients of `flat` and `cotangents`, those that are wanted, from those of the results of `gradients`.

    The latter are `second_order`. The rows are `vmap_size` groups, each with its own gradients of the weights,
    for which `second_order` has (vmap_size, ...).
    """
    rows = Arguments.of(flat).rows()
    of_needed = [at for at, needs in zip(rows, needed, strict=True) if needs]
    dimensions = [*rows, 1, *(0 for _ in cotangents[1:])]

    def of_one(everything: Sequence[Tensor | None], lengths: Tensor | None) -> tuple[Tensor, ...]:
        return gradients(cell, everything[: len(flat)], lengths, reverse, everything[len(flat) :], needed)

    def of_batch(*chosen: Tensor) -> tuple[Tensor, ...]:
        everything = _replaced([*flat, *cotangents], wanted, chosen)
        if vmap_size == 1:
            whole = of_one(everything, lengths)
            return tuple(g.unsqueeze(0) if at is None else g for g, at in zip(whole, of_needed, strict=True))
        apart = [
            tensor if tensor is None or at is None else tensor.unflatten(at, (vmap_size, -1))
            for tensor, at in zip(everything, dimensions, strict=True)
        ]
        in_dims = [None if tensor is None else at for tensor, at in zip(apart, dimensions, strict=True)]
        each = None if lengths is None else lengths.unflatten(0, (vmap_size, -1))
        stacked = vmap(of_one, (in_dims, None if each is None else 0), tuple(at or 0 for at in of_needed))(apart, each)
        return tuple(g if at is None else g.flatten(at, at + 1) for g, at in zip(stacked, of_needed, strict=True))

    _, pull, *_ = vjp(of_batch, *_chosen([*flat, *cotangents], wanted))
    return pull(tuple(second_order))


def _chosen(tensors: Sequence[Tensor | None], flags: Sequence[bool]) -> list[Tensor]:
    return [tensor for tensor, flag in zip(tensors, flags, strict=True) if flag and tensor is not None]


def _replaced(tensors: Sequence[Tensor | None], flags: Sequence[bool], chosen: Sequence[Tensor]) -> list[Tensor | None]:
    """The tensors with those that are flagged replaced."""
    rest = iter(chosen)
    return [next(rest) if flag and tensor is not None else tensor for tensor, flag in zip(tensors, flags, strict=True)]
