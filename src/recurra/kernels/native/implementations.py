"""The operators' implementations on a CPU, and the shapes of their results for fake tensors."""

import torch
from torch import Tensor

from recurra.kernels.native import backward as backwards
from recurra.kernels.native import extension
from recurra.kernels.native import forward as forwards
from recurra.kernels.native.arguments import Arguments
from recurra.kernels.native.cell_keys import known
from recurra.kernels.native.forward import Saved
from recurra.kernels.native.launches import run_alone
from recurra.kernels.native.library import listed, spread
from recurra.kernels.native.prepared import prepare
from recurra.kernels.native.vmap import of_rows, saved_of_rows
from recurra.shapes import check_lengths


def recurrence(
    key: str, tensors: list[Tensor], present: list[bool], lengths: Tensor | None, reverse: bool, training: bool
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    cell, a = known(key), Arguments.of(spread([tensor.contiguous() for tensor in tensors], present))
    steps, batch, _ = a.inputs.shape
    if lengths is not None:
        # The engine trusts them, and torch.compile saw no values.
        lengths = check_lengths(lengths, batch, steps).contiguous()
    prepared = prepare(cell, a.weights, a.state, reverse)
    output, final, saved = run_alone(forwards.forward(prepared, a, lengths, training, padded=True))
    if saved is None:
        return output, list(final), []
    tensors_saved = listed(saved)
    if lengths is not None:
        valid_steps, room = int(lengths.sum()), steps * batch
        if saved.projected is not None:
            tensors_saved[-1] = torch.nn.functional.pad(saved.projected, (0, 0, 0, room - valid_steps))
        for tensor in tensors_saved:
            tensor.view(-1)[tensor.numel() // max(1, room) * valid_steps :].zero_()
    return output, list(final), tensors_saved


def recurrence_fake(
    key: str, tensors: list[Tensor], present: list[bool], lengths: Tensor | None, reverse: bool, training: bool
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    cell, a = known(key), Arguments.of(spread(tensors, present))
    steps, batch, _ = a.inputs.shape
    new, shapes = a.inputs.new_empty, []
    if training:
        compiled = extension.best(cell)
        shapes += forwards.saved_shapes(cell, compiled, a, steps * batch).values()
        if not compiled.mixes_units:
            shapes.append((steps * batch, a.weights.weight_ih.shape[0]))
    output, final = new(steps, batch, a.state[0].shape[1]), [new(part.shape) for part in a.state]
    return output, final, [new(shape) for shape in shapes]


def recurrence_backward(
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
) -> list[Tensor]:
    cell, flat = known(key), spread([tensor.contiguous() for tensor in tensors], present)
    lengths = None if lengths is None else lengths.long().contiguous()
    a, d_results = Arguments.of(flat), spread(cotangents, has_cotangent)
    names = forwards.saved_shapes(cell, extension.best(cell), a, 0)
    values = [tensor.contiguous() for tensor in saved]
    projected = values[len(names)] if len(values) > len(names) else None
    run = Saved(output.contiguous(), projected, dict(zip(names, values, strict=False)))
    flat_needed = [bool(needs) for needs in spread(needed, present)]
    at = [dimension for dimension, needs in zip(a.rows(), flat_needed, strict=True) if needs]
    groups = vmap_size if None in at else 1  # only gradients of weights differ between elements of vmap
    launches = groups if groups > 1 and backwards.sums_over_rows(cell, a) else 1
    prepared = prepare(cell, a.weights, a.state, reverse)
    results: list[list[Tensor]] = []
    for k in range(launches):
        part_a, part_run, part_lengths, part_results = a, run, lengths, d_results
        if launches > 1:
            size = a.inputs.shape[1] // launches
            rows = slice(k * size, (k + 1) * size)
            part_a = Arguments.of(of_rows(flat, a.rows(), rows))
            part_run = saved_of_rows(run, lengths, rows)
            part_lengths = None if lengths is None else lengths[rows]
            part_results = of_rows(d_results, [1, *(0 for _ in a.state)], rows)
        d_output, *d_final = part_results
        of_flat = run_alone(
            backwards.backward(
                prepared, part_a, part_run, part_lengths, d_output, d_final, flat_needed, groups // launches
            )
        )
        results.append([g for g, needs in zip(of_flat, flat_needed, strict=True) if needs and g is not None])
    if launches < groups:  # one launch gave the gradients of all elements
        return [gradient.contiguous() for gradient in results[0]]
    return [_joined(parts, dimension) for dimension, *parts in zip(at, *results, strict=True)]


def _joined(parts: list[Tensor], dimension: int | None) -> Tensor:
    """The gradients of all elements of vmap in one tensor, with a new dimension if all rows share the argument."""
    if dimension is None:
        return torch.stack(parts)  # a copy even of one: the engine may give one tensor as the gradient of both biases
    return parts[0].contiguous() if len(parts) == 1 else torch.cat(parts, dimension)


def recurrence_backward_fake(
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
) -> list[Tensor]:
    rows = Arguments.of(spread(tensors, present)).rows()
    at = [dimension for dimension, there in zip(rows, present, strict=True) if there]
    shapes = [
        (vmap_size, *tensor.shape) if dimension is None else tensor.shape
        for tensor, dimension, needs in zip(tensors, at, needed, strict=True)
        if needs
    ]
    return [output.new_empty(shape) for shape in shapes]
