"""Parallel in time: the loop of torch operations, the native kernel, the scan, and Newton's iteration.

`--tables times iterations training` chooses what is measured. Times are the least seconds of processor time of several
passes, taken in turn: with one thread, other work on the machine counts little. Saved is what autograd holds for the
backward pass, parameters and input aside. Outputs and gradients are compared before anything is timed. Iterations, of
float32, are counted on layers at their first weights by length, with B = 1, and by training progress on the adding
problem (Hochreiter and Schmidhuber 1997); there are none where the iteration does not converge.
"""

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks._agreement import Run, check_agreement
from benchmarks._command import run_alone
from benchmarks._held_memory import saved_bytes
from benchmarks._report import Report
from recurra import Recurrent, cells
from recurra.cells import Cell
from recurra.kernels import newton
from recurra.kernels.scan.steps import steps_of


@dataclass(frozen=True)
class DiagonalLSTM(cells.LSTM):
    """With diagonal recurrent weights: a state of two parts that depend on each other."""

    recurrence = "diagonal"


@dataclass(frozen=True)
class DiagonalGRU(cells.GRU):
    """With diagonal recurrent weights."""

    recurrence = "diagonal"


def cells_of(hidden: int) -> dict[str, tuple[Cell, tuple[str, ...]]]:
    """The cells whose units do not mix, and the kernels beside the loop and the native kernel, by name."""
    affine, nonlinear = ("scan", "newton"), ("newton",)
    return {
        "minGRU": (cells.MinGRU(), affine),
        "RG-LRU": (cells.RGLRU(), affine),
        "IndRNN": (cells.IndRNN("tanh"), nonlinear),
        "SRU": (cells.SRU(), nonlinear),
        "diagonal GRU": (DiagonalGRU(), nonlinear),
        "diagonal LSTM": (DiagonalLSTM(), nonlinear),
        "sLSTM, heads of one unit": (cells.SLSTM(heads=hidden), nonlinear),
    }


_DENSE: dict[str, tuple[Cell, tuple[str, ...]]] = {
    "GRU": (cells.GRU(), ("quasi_newton",)),
    "LSTM": (cells.LSTM(), ("quasi_newton",)),
}


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--tables", nargs="+", choices=list(_TABLES), default=list(_TABLES), help="what to measure")
    parser.add_argument("--lengths", type=int, nargs="+", default=[100, 1000, 10000], help="T")
    parser.add_argument("--sizes", type=int, nargs=3, default=[4, 32, 64], help="B, I, H")
    parser.add_argument("--passes", type=int, default=3, help="of each function; the least counts")
    parser.add_argument("--longest-loop", type=int, default=1000, help="most steps of which the loop is timed")
    parser.add_argument("--training-steps", type=int, default=600, help="of the adding problem")
    parser.add_argument("--only", nargs="+", help="names of cells")


def measure(options: Namespace, report: Report) -> None:
    every = {**cells_of(options.sizes[2]), **_DENSE}
    chosen = {name: of for name, of in every.items() if options.only is None or name in options.only}
    for table in options.tables:
        _TABLES[table](options, report, chosen)


def measure_times(options: Namespace, report: Report, chosen: dict[str, tuple[Cell, tuple[str, ...]]]) -> None:
    batch, inputs, hidden = options.sizes
    table = report.table(
        f"Parallel in time, (B,I,H) = ({batch},{inputs},{hidden})",
        {
            "cell": "24s",
            "T": "6.0f",
            "kernel": "12s",
            "iterations": "4.0f",
            "inference, ms": "9.1f",
            "training step, ms": "9.1f",
            "saved, MiB": "8.2f",
        },
    )
    for name, (cell, parallel) in chosen.items():
        for steps in options.lengths:
            loop = ("reference",) if steps <= options.longest_loop else ()
            x = torch.randn(steps, batch, inputs, requires_grad=True)
            layers = layers_of(cell, inputs, hidden, ("native", *parallel, *loop))
            check_agreement({backend: run_of(layer, x) for backend, layer in layers.items()})
            inference = least_times(options.passes, [partial(without_gradients, layer, x) for layer in layers.values()])
            training = least_times(options.passes, [partial(training_step, layer, x) for layer in layers.values()])
            for k, (backend, layer) in enumerate(layers.items()):
                count = iterations(layer, x.detach())[0] if "newton" in backend else None
                saved = saved_bytes(layer, x) / 2**20
                table.add(name, steps, backend, count, inference[k] * 1e3, training[k] * 1e3, saved)


def layers_of(cell: Cell, inputs: int, hidden: int, backends: Sequence[str]) -> dict[str, Recurrent]:
    """Layers of the same weights by kernel."""
    layers = {backend: Recurrent(cell, inputs, hidden, backend=backend) for backend in backends}
    first = next(iter(layers.values()))
    for layer in layers.values():
        layer.load_state_dict(first.state_dict())
    return layers


def run_of(layer: Recurrent, x: Tensor) -> Run:
    return lambda: layer(x)[0], [x, *layer.parameters()]


def without_gradients(layer: nn.Module, x: Tensor) -> None:
    with torch.inference_mode():
        layer(x)


def training_step(layer: nn.Module, x: Tensor) -> None:
    """Forward and backward, to the input and the parameters."""
    torch.autograd.grad(layer(x)[0].sum(), [x, *layer.parameters()])


def least_times(passes: int, functions: list[Callable[[], None]]) -> list[float]:
    """The least seconds of processor time of each function, called in turn."""
    times = [float("inf")] * len(functions)
    for _ in range(passes):
        for k, function in enumerate(functions):
            started = time.process_time()
            function()
            times[k] = min(times[k], time.process_time() - started)
    return times


def measure_iterations(options: Namespace, report: Report, chosen: dict[str, tuple[Cell, tuple[str, ...]]]) -> None:
    _, inputs, hidden = options.sizes
    columns = {"cell": "24s", "T": "6.0f", "iterations": "4.0f", "windows": "4.0f"}
    table = report.table(f"Iterations by length, (B,I,H) = (1,{inputs},{hidden})", columns)
    for name, (cell, _) in chosen.items():
        layer = Recurrent(cell, inputs, hidden)
        for steps in options.lengths:
            table.add(name, steps, *iterations(layer, torch.randn(steps, 1, inputs)))


def measure_training(options: Namespace, report: Report, chosen: dict[str, tuple[Cell, tuple[str, ...]]]) -> None:
    """Iterations for 4 new sequences of 200 and of 2,000 steps, and the loss on the last batch of 200 steps."""
    hidden = options.sizes[2]
    columns = {"cell": "24s", "step": "5.0f", "loss": "8.4f", "iterations, 200": "4.0f", "iterations, 2,000": "4.0f"}
    table = report.table(f"Iterations by training progress, the adding problem, H = {hidden}", columns)
    for name, (cell, _) in chosen.items():
        layer, readout = Recurrent(cell, 2, hidden), torch.nn.Linear(hidden, 1)
        parameters = [*layer.parameters(), *readout.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=3e-3)
        for step in range(options.training_steps + 1):
            x, wanted = adding_problem(200, 32)
            loss = (readout(layer(x)[0][-1]).squeeze(1) - wanted).square().mean()
            if step % max(options.training_steps // 3, 1) == 0:
                counts = [iterations(layer, adding_problem(length, 4)[0])[0] for length in (200, 2000)]
                table.add(name, step, loss.item(), *counts)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()


def adding_problem(steps: int, batch: int) -> tuple[Tensor, Tensor]:
    """Numbers of which two are marked, (T, B, 2), and the sum of these two, (B,)."""
    numbers, marks = torch.rand(steps, batch), torch.zeros(steps, batch)
    for row in range(batch):
        marks[torch.randperm(steps)[:2], row] = 1
    return torch.stack([numbers, marks], 2), (numbers * marks).sum(0)


@torch.no_grad()
def iterations(layer: Recurrent, x: Tensor) -> tuple[int | None, int]:
    """How many iterations Newton takes from a state of zeros, None if it does not converge; and the windows."""
    state = tuple(x.new_zeros(x.shape[1], layer.hidden_size) for _ in layer.cell.state)
    solved = newton.solve(steps_of(layer.cell, x, layer.weights_of(0), None, False, None), state)
    return solved.iterations if solved.converged else None, solved.windows


_TABLES = {"times": measure_times, "iterations": measure_iterations, "training": measure_training}


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
