"""Cells that torch has not, beside a loop of torch operations: times as ratios, outputs and gradients checked before.

At (B, T, I, H) = (32, 100, 64, 128). There are two loops: the plain one has all of a step in it, as a cell is first
written (_eager_steps.py); of the other a careful user has made what needs no state, the input projection and of affine
cells the gates, for the whole sequence at once (_eager_loops.py). With --compile also torch.compile of that second
loop, which unrolls it, at --compile-steps, as compiling takes longer the more steps there are.
"""

from argparse import ArgumentParser, Namespace

import torch
from torch import Tensor

from benchmarks._agreement import check_agreement
from benchmarks._command import run_alone
from benchmarks._compiled_loop import measure_compiled
from benchmarks._custom_cells import CUSTOM, parameters_by_name
from benchmarks._report import FASTER, Report, Table
from benchmarks._timing import time_in_turn, training_step

BATCH, STEPS, INPUTS, HIDDEN = 32, 100, 64, 128
_COLUMNS = {
    "plain ms": "9.2f",
    "loop ms": "9.2f",
    "ours ms": "9.2f",
    "plain ratio": "6.1f",
    "ratio": "6.1f",
    "target": "6.0f",
}


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--cells", nargs="+", choices=CUSTOM, default=list(CUSTOM), help="which to time")
    parser.add_argument("--compile", action="store_true", help="torch.compile the loops too; takes minutes a cell")
    parser.add_argument("--compile-steps", type=int, default=50, help="T of the loops compiled")
    parser.add_argument("--compile-limit", type=float, default=600, help="seconds for each compiled loop, all told")


def measure(options: Namespace, report: Report) -> None:
    table = report.table(
        f"Cells against an eager loop at (B,T,I,H) = ({BATCH},{STEPS},{INPUTS},{HIDDEN}): the loops' times over ours",
        {
            "cell": "15s",
            **{f"{kind}: {name}": spec for kind in ("inference", "training") for name, spec in _COLUMNS.items()},
        },
    )
    for name in options.cells:
        compare(name, options.seconds, report, table)
    if options.compile:
        measure_compile(options, report)


def compare(name: str, seconds: float, report: Report, table: Table) -> None:
    """Check, then time one cell."""
    custom = CUSTOM[name]
    layer, reference = (custom.make_layer(INPUTS, HIDDEN, backend) for backend in ("native", "reference"))
    reference.load_state_dict(layer.state_dict())
    parameters = parameters_by_name(layer)
    x = torch.randn(STEPS, BATCH, INPUTS, requires_grad=True)
    leaves = [x, *layer.parameters()]

    def run_loop() -> Tensor:
        return custom.loop(x, parameters)

    def run_plain_loop() -> Tensor:
        return custom.plain_loop(x, parameters)

    def run_ours() -> Tensor:
        return layer(x)[0]

    check_agreement(
        {
            "the reference": (lambda: reference(x)[0], [x, *reference.parameters()]),
            f"the loop of {name}": (run_loop, leaves),
            f"the plain loop of {name}": (run_plain_loop, leaves),
            f"recurra's {name}": (run_ours, leaves),
        }
    )
    runs = run_plain_loop, run_loop, run_ours
    with torch.no_grad():
        inference = time_in_turn(seconds, *runs)
    training = time_in_turn(seconds, *(lambda run=run: training_step(run, leaves) for run in runs))
    measured = (("inference", inference, custom.inference), ("training", training, custom.training))
    row: list[str | float] = [name]
    for _, (plain, loop, ours), target in measured:
        row += [plain * 1e3, loop * 1e3, ours * 1e3, plain / ours, loop / ours, target]
    for kind, (plain, _, ours), _ in measured:
        report.figure("custom_cells", FASTER, f"{name} / plain loop", kind, plain / ours)
    for kind, (_, loop, ours), target in measured:
        report.figure("custom_cells", FASTER, name, kind, loop / ours, target)
    table.add(*row)


def measure_compile(options: Namespace, report: Report) -> None:
    """torch.compile of the unrolled loops, each in a process of its own."""
    steps, limit = options.compile_steps, options.compile_limit
    table = report.table(
        f"torch.compile of the unrolled loop at (B,T,I,H) = ({BATCH},{steps},{INPUTS},{HIDDEN})",
        {
            "cell": "15s",
            **{
                f"{kind}: {name}": "9.2f" if name.endswith("ms") else "10.1f"
                for kind in ("inference", "training")
                for name in ("compile s", "loop ms", "compiled ms", "ours ms")
            },
        },
    )
    for name in options.cells:
        found, end = measure_compiled(name, (BATCH, steps, INPUTS, HIDDEN), options.seconds, options.threads, limit)
        row: list[str | float | None] = [name]
        for kind in ("inference", "training"):
            compile_seconds = found.get(f"{kind} compile")
            row.append(end if compile_seconds is None else compile_seconds)
            row += [found.get(f"{kind} {what}") for what in ("loop", "compiled", "ours")]
        table.add(*row)


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
