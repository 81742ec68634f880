"""The recurrence of cells that are affine in their state, without the projection, beside the machine's own copy.

They do so little with each number that memory is the limit. What must move: forward, the projected input (G H numbers
a step and row) in and the output (H) out; backward, both and the output's gradient in and the projected input's
gradient (G H) out. What a kernel keeps for itself besides is its own affair, and lowers its rate. The copy is of an
array that no cache holds, into memory that is there already. Clone moves as many bytes as the forward pass into new
memory, as a kernel's results go into new memory; at the second size the system has to provide that anew at each call.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from benchmarks import _eager_loops as loops
from benchmarks._agreement import check_equal
from benchmarks._command import run_alone
from benchmarks._report import SHARE, Report, Table
from benchmarks._timing import time_in_turn
from recurra import cells
from recurra.cells import Cell
from recurra.kernels.native import extension
from recurra.kernels.native.call import pointer, set_pointers
from recurra.kernels.native.launches import Launch, launch

CELLS = {"minGRU": ("MinGRU", loops.min_gru_recurrence), "RG-LRU": ("RGLRU", loops.rg_lru_recurrence)}
SIZES = [(64, 128, 512), (64, 1024, 512)]
COPIED = 2**27  # numbers, 512 MiB
TARGET = 0.6


def add_options(parser: ArgumentParser) -> None:
    """None of its own."""


def measure(options: Namespace, report: Report) -> None:
    table = report.table(
        "Affine recurrences alone: rate at which numbers that must move are moved, over a copy's",
        {
            "cell": "8s",
            "B,T,H": "12s",
            "pass": "9s",
            "ms": "9.2f",
            "GB/s": "6.1f",
            "copy GB/s": "6.1f",
            "over copy": "6.2f",
            "clone GB/s": "6.1f",
            "over clone": "6.2f",
        },
    )
    for name, size in product(CELLS, SIZES):
        compare(name, size, options.seconds, report, table)


def compare(name: str, size: tuple[int, int, int], seconds: float, report: Report, table: Table) -> None:
    """Check, then time one cell at one size."""
    batch, steps, hidden = size
    cell_name, loop = CELLS[name]
    cell: Cell = getattr(cells, cell_name)()
    gates = len(cell.gates)
    projected = torch.randn(steps, batch, gates * hidden, requires_grad=True)
    per_unit = torch.randn(len(cell.per_unit), hidden, requires_grad=True) if cell.per_unit else None
    leaves = [projected] if per_unit is None else [projected, per_unit]
    gradient = torch.randn(steps, batch, hidden)
    run, run_with_gradients = recurrence(cell, *(leaf.detach() for leaf in leaves), gradient=gradient)
    output = loop(projected, {} if per_unit is None else dict(zip(cell.per_unit, per_unit, strict=True)))
    expected = [output, *torch.autograd.grad(output, leaves, gradient)]
    check_equal(f"recurra's {name} and the loop", expected, run_with_gradients())
    del output, expected
    forward_bytes = (gates + 1) * gradient.nbytes
    source, target = torch.randn(2, COPIED)
    to_clone = torch.randn(forward_bytes // 8)
    for kind, function, moved in (
        ("inference", run, forward_bytes),
        ("training", run_with_gradients, 3 * forward_bytes),
    ):
        ours, copy, clone = time_in_turn(seconds, function, lambda: target.copy_(source), lambda: to_clone.clone())
        rate, copied, cloned = moved / ours / 1e9, 2 * source.nbytes / copy / 1e9, forward_bytes / clone / 1e9
        sizes = ",".join(map(str, size))
        table.add(name, sizes, kind, ours * 1e3, rate, copied, rate / copied, cloned, rate / cloned)
        if size == SIZES[0]:
            report.figure("affine_bandwidth", SHARE, f"{name} / copy", kind, rate / copied, TARGET)


def recurrence(
    cell: Cell, projected: Tensor, per_unit: Tensor | None = None, *, gradient: Tensor
) -> tuple[Callable[[], Tensor], Callable[[], list[Tensor]]]:
    """recurra's kernel without the projection, as two functions.

    Args:
        cell: the equations, without recurrent weights and with a state of one part.
        projected: (T, B, G H).
        per_unit: (P, H), or None where the cell has none.
        gradient: of the output (T, B, H).

    Returns:
        What computes the output; and what computes it and the gradients of `projected` and `per_unit`.
    """
    compiled, (steps, batch, hidden) = extension.best(cell), gradient.shape
    zeros, places, gates = torch.zeros(batch, hidden), steps * batch, len(cell.gates)

    def filled(x: Tensor, output: Tensor) -> extension.Call:
        call = extension.Call(steps, batch, hidden, hidden, heads=cell.heads, threads=torch.get_num_threads())
        call.x, call.output, call.per_unit = x.data_ptr(), output.data_ptr(), pointer(per_unit)
        set_pointers(call.initial, [zeros])
        return call

    def run() -> Tensor:
        output, final = torch.empty_like(gradient), torch.empty_like(zeros)
        call = filled(projected, output)
        set_pointers(call.final_state, [final])
        launch(Launch(compiled.forward, call, 8 * output.itemsize))
        return output

    # In training the projections are the layer's own, and gradients take their place: what is read here is right at
    # the first call only, which is checked; the time does not depend on it.
    own = projected.flatten(0, 1).clone()

    def run_with_gradients() -> list[Tensor]:
        output, final = torch.empty_like(gradient), torch.empty_like(zeros)
        saved = output.new_empty(places, compiled.saved, hidden)
        call = filled(projected, output)
        call.saved = saved.data_ptr()
        set_pointers(call.final_state, [final])
        launch(Launch(compiled.forward, call, 8 * output.itemsize))
        call = filled(own, output)
        d_biases = output.new_empty(2, gates * hidden)
        d_per_unit = None if per_unit is None else torch.empty_like(per_unit)
        call.saved, call.d_output, call.d_x = saved.data_ptr(), gradient.data_ptr(), own.data_ptr()
        call.d_bias_x, call.d_bias = (bias.data_ptr() for bias in d_biases)
        call.d_per_unit = pointer(d_per_unit)
        set_pointers(call.d_initial, [final])
        launch(Launch(compiled.backward, call, 8 * output.itemsize))
        return [output, own.view_as(projected), *([] if d_per_unit is None else [d_per_unit])]

    return run, run_with_gradients


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
