"""The rules of torch.func.vmap for the engine's operators.

If all elements of vmap's batch dimension share the weights, their rows are rows of one larger batch: folded, one run of
the engine serves all. What that run saves stays folded until the backward pass, which takes the size of the dimension
and returns the gradients of the weights element by element. If the weights differ between the elements (an ensemble),
or only the cotangents do (a Jacobian), the engine runs once an element.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, _add_batch_dim, _remove_batch_dim  # pyright: ignore[reportPrivateImportUsage]
from torch._C import _vmapmode_decrement_nesting, _vmapmode_increment_nesting
from torch._C._functorch import is_legacy_batchedtensor

from recurra.kernels.native.arguments import Arguments
from recurra.kernels.native.forward import Saved
from recurra.kernels.torch_state import grads_are_batched

__all__ = ["backward_rule", "forward_rule", "of_rows", "one_by_one", "saved_of_rows"]

Dims = Sequence[int | None]


def forward_rule(
    info: Any,
    in_dims: Any,
    key: str,
    tensors: list[Tensor],
    present: list[bool],
    lengths: Tensor | None,
    reverse: bool,
    training: bool,
) -> tuple[Any, Any]:
    """The rule of `recurra::recurrence`."""
    run, size = torch.ops.recurra.recurrence, info.batch_size
    _, dims, _, dim_lengths, *_ = in_dims
    rows = _rows(tensors, dims, present)
    if _fold(dims, rows, dim_lengths):
        folded = [_folded(tensor, dim, at, size) for tensor, dim, at in zip(tensors, dims, rows, strict=True)]
        lengths = None if lengths is None else _folded(lengths, dim_lengths, 0, size)
        output, final, saved = run(key, folded, present, lengths, reverse, training)
        results = output.unflatten(1, (size, -1)), [part.unflatten(0, (size, -1)) for part in final], saved
        # Saved tensors belong to all elements together and have no batch dimension.
        return results, (1, [0] * len(final), [None] * len(saved))

    def of_one(k: int) -> list[Any]:
        return run(key, _select(tensors, dims, k), present, _selected(lengths, dim_lengths, k), reverse, training)

    output, final, saved = zip(*map(of_one, range(size)), strict=True)
    stacked = torch.stack(output), _stack(final), _stack(saved)
    return stacked, (0, [0] * len(final[0]), [0] * len(saved[0]))


def backward_rule(
    info: Any,
    in_dims: Any,
    key: str,
    tensors: list[Tensor],
    present: list[bool],
    output: Tensor,
    saved: list[Tensor],
    lengths: Tensor | None,
    reverse: bool,
    cotangents: list[Tensor],
    has_cotangent: list[bool],
    needed: list[bool],
    vmap_size: int,
) -> tuple[Any, Any]:
    """The rule of `recurra::recurrence_backward`."""
    run, size = torch.ops.recurra.recurrence_backward, info.batch_size
    _, dims, _, dim_output, dims_saved, dim_lengths, _, dims_cotangents, *_ = in_dims
    rows = _rows(tensors, dims, present)
    if _fold(dims, rows, dim_lengths):
        folded = [_folded(tensor, dim, at, size) for tensor, dim, at in zip(tensors, dims, rows, strict=True)]
        lengths = None if lengths is None else _folded(lengths, dim_lengths, 0, size)
        output = _folded(output, dim_output, 1, size)
        at_cotangents = [1 if has_cotangent[0] and k == 0 else 0 for k in range(len(cotangents))]
        cotangents = [
            _folded(tensor, dim, at, size)
            for tensor, dim, at in zip(cotangents, dims_cotangents, at_cotangents, strict=True)
        ]
        gradients = run(
            key, folded, present, output, saved, lengths, reverse, cotangents, has_cotangent, needed, size * vmap_size
        )
        at = [at or 0 for at, needs in zip(rows, needed, strict=True) if needs]
        return [gradient.unflatten(dim, (size, -1)) for gradient, dim in zip(gradients, at, strict=True)], at

    def of_one(k: int) -> list[Tensor]:
        return run(
            key,
            _select(tensors, dims, k),
            present,
            _selected(output, dim_output, k),
            _select(saved, dims_saved, k),
            _selected(lengths, dim_lengths, k),
            reverse,
            _select(cotangents, dims_cotangents, k),
            has_cotangent,
            needed,
            vmap_size,
        )

    gradients = _stack([of_one(k) for k in range(size)])
    return gradients, [0] * len(gradients)


def one_by_one(
    run: Callable[[Sequence[Tensor | None]], Sequence[Tensor | None]], cotangents: Sequence[Tensor | None]
) -> Sequence[Tensor | None]:
    """`run`, also in the vmap of torch.autograd.grad(is_grads_batched=True), which uses no operator's rule."""
    if not grads_are_batched(cotangents):
        return run(cotangents)
    batched = [cotangent for cotangent in cotangents if cotangent is not None and is_legacy_batchedtensor(cotangent)]
    level = _vmapmode_increment_nesting() - 1
    _vmapmode_decrement_nesting()
    size = len(_remove_batch_dim(batched[0], level, 0, 0))
    apart = [None if c is None else _remove_batch_dim(c, level, size, 0) for c in cotangents]
    gradients = [run([None if c is None else c[k] for c in apart]) for k in range(size)]
    return [
        None if any(g is None for g in of_all) else _add_batch_dim(torch.stack(of_all), 0, level)
        for of_all in zip(*gradients, strict=True)
    ]


def of_rows(tensors: Sequence[Tensor | None], at: Dims, rows: slice) -> list[Tensor | None]:
    """Some rows of the batch, of tensors that have the batch in the dimensions `at`."""
    return [
        tensor if tensor is None or dim is None else tensor.narrow(dim, rows.start, rows.stop - rows.start).contiguous()
        for tensor, dim in zip(tensors, at, strict=True)
    ]


def saved_of_rows(saved: Saved, lengths: Tensor | None, rows: slice) -> Saved:
    """What the engine has saved, for some rows of the batch."""
    steps, batch, _ = saved.output.shape

    def by_step(name: str, tensor: Tensor) -> Tensor:
        parts = tensor.shape[0] if name == "history" else 1
        if lengths is None:
            chosen = tensor.view(parts, steps, batch, -1)[:, :, rows]
            # Of a single row, reshape alone is a view with gaps, which the engine would read as dense.
            return chosen.reshape(parts, (rows.stop - rows.start) * steps, -1).contiguous()
        valid_steps, start, end = (int(lengths[:row].sum()) for row in (batch, rows.start, rows.stop))
        width = tensor.numel() // tensor.shape[1 if name == "history" else 0]
        return tensor.view(-1)[: valid_steps * width].view(parts, valid_steps, -1)[:, start:end].contiguous()

    others = {name: by_step(name, tensor) for name, tensor in saved.others.items()}
    others = {name: tensor if name == "history" else tensor[0] for name, tensor in others.items()}
    projected = None if saved.projected is None else by_step("projected", saved.projected)[0]
    return Saved(saved.output[:, rows].contiguous(), projected, others)


def _rows(tensors: Sequence[Tensor], dims: Dims, present: Sequence[bool]) -> list[int | None]:
    """The dimension of the batch in each tensor of one element."""
    of_one = iter(_select(tensors, dims, 0))
    flat = [next(of_one) if there else None for there in present]
    return [at for at, there in zip(Arguments.of(flat).rows(), present, strict=True) if there]


def _fold(dims: Dims, rows: Dims, dim_lengths: int | None) -> bool:
    """Whether the elements differ in their rows only."""
    differ = [(dim, at) for dim, at in zip(dims, rows, strict=True) if dim is not None]
    return all(at is not None for _, at in differ) and (bool(differ) or dim_lengths is not None)


def _folded(tensor: Tensor, dim: int | None, at: int | None, size: int) -> Tensor:
    """The tensor with the elements' rows as rows of one batch, element after element."""
    if at is None:
        return tensor
    if dim is None:
        return tensor.unsqueeze(at).expand(*tensor.shape[:at], size, *tensor.shape[at:]).flatten(at, at + 1)
    return tensor.movedim(dim, at).flatten(at, at + 1)


def _selected(tensor: Any, dim: int | None, k: int) -> Any:
    return tensor if dim is None else tensor.select(dim, k)


def _select(tensors: Sequence[Tensor], dims: Dims, k: int) -> list[Tensor]:
    return [_selected(tensor, dim, k) for tensor, dim in zip(tensors, dims, strict=True)]


def _stack(lists: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    return [torch.stack(tensors) for tensors in zip(*lists, strict=True)]
