"""Cells whose units do not mix, on a GPU: Triton's kernels and torch operations, one step at a time or all at once.

`triton` is the loop over time as one kernel, `reference` the loop of torch operations. `triton_scan` and
`triton_newton` solve the linear recurrences of the scan, or of Newton's iteration, by one kernel each, `scan` and
`newton` by torch operations; affine cells need no iteration. Times are medians of wall time, taken in turn, of
inference and of a training step, to the end of the GPU's work. Outputs and gradients are compared with the loop's, or
where that is too long the kernels' with each other, before anything is timed. cuDNN's LSTM has full recurrent weights:
it does other work, and is what a user of torch would run at that size. Without a GPU nothing is measured. With
`TRITON_INTERPRET=1` and `--device cpu` the program itself can be tried at small sizes; its times then mean nothing.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from benchmarks._agreement import check_agreement
from benchmarks._command import run_alone
from benchmarks._report import Report
from benchmarks._timing import time_in_turn
from benchmarks.parallel_in_time import cells_of, layers_of, run_of, training_step, without_gradients


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--lengths", type=int, nargs="+", default=[128, 1024, 8192], help="T")
    parser.add_argument("--sizes", type=int, nargs=3, default=[32, 256, 512], help="B, I, H")
    parser.add_argument("--longest-loop", type=int, default=1024, help="most steps of which the loop is run")
    parser.add_argument("--longest-newton", type=int, default=1024, help="most steps that Newton's iteration runs")
    parser.add_argument("--only", nargs="+", help="names of cells")
    parser.add_argument("--device", default="cuda", help="where it runs")


def measure(options: Namespace, report: Report) -> None:
    if options.device == "cuda" and not torch.cuda.is_available():
        print("skipped: it measures a GPU, and torch has none here")
        return
    batch, inputs, hidden = options.sizes
    where = torch.cuda.get_device_name() if options.device == "cuda" else options.device
    columns = {"cell": "24s", "T": "6.0f", "kernel": "13s", "inference, ms": "9.3f", "training step, ms": "9.3f"}
    table = report.table(f"Kernels on a GPU, (B,I,H) = ({batch},{inputs},{hidden}), {where}", columns)
    chosen = {name: of for name, of in cells_of(hidden).items() if options.only is None or name in options.only}
    for steps in options.lengths:
        x = torch.randn(steps, batch, inputs, device=options.device, requires_grad=True)
        rows = {("LSTM, full weights", "torch"): nn.LSTM(inputs, hidden).to(options.device)}
        for name, (cell, parallel) in chosen.items():
            loop = ("reference",) if steps <= options.longest_loop else ()
            at_once: tuple[str, ...] = ()
            if "scan" in parallel:
                at_once = ("scan", "triton_scan")
            elif steps <= options.longest_newton:
                at_once = ("newton", "triton_newton")
            layers = layers_of(cell, inputs, hidden, (*loop, "triton", *at_once))
            check_agreement({kernel: run_of(layer.to(options.device), x) for kernel, layer in layers.items()})
            rows |= {(name, kernel): layer for kernel, layer in layers.items()}
        inference, training = (
            time_in_turn(options.seconds * len(rows), *(finished(partial(run, layer, x)) for layer in rows.values()))
            for run in (without_gradients, training_step)
        )
        for (name, kernel), of_inference, of_training in zip(rows, inference, training, strict=True):
            table.add(name, steps, kernel, of_inference * 1e3, of_training * 1e3)


def finished(run: Callable[[], None]) -> Callable[[], None]:
    """A function that returns when the GPU has done what it was told."""

    def waiting() -> None:
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    return waiting


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
