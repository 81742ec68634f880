"""Microseconds of one step of a stream at B = 1: recurra.Stepper beside torch.nn and ONNX Runtime, on one thread."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks._agreement import check_equal
from benchmarks._command import run_alone
from benchmarks._report import FASTER, SHARE, Report, Table, geometric_means
from benchmarks._step_peers import bound_step, onnx_session, reading_rate, session_step
from benchmarks._timing import time_in_turn
from recurra.streaming import Stepper

KINDS = ("LSTM", "GRU")
HIDDEN = (16, 64, 128, 256, 512)
OUTPUTS = 16
CALLS = 50  # timed as one
CHUNK = 50


class Model(nn.Module):
    """What every peer steps: one layer, and a linear output."""

    def __init__(self, kind: str, features: int, hidden: int) -> None:
        super().__init__()
        self.layer = getattr(nn, kind)(features, hidden)
        self.linear = nn.Linear(hidden, OUTPUTS)

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        y, state = self.layer(x, state)
        return self.linear(y), state


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--hidden", type=int, nargs="+", default=list(HIDDEN), help="hidden sizes")


def measure(options: Namespace, report: Report) -> None:
    torch.set_num_threads(1)
    table = report.table(
        f"One step at B = 1, {OUTPUTS} outputs, one thread, in microseconds; ratios are the peer's time over ours",
        {
            "layer": "4s",
            "H": "4.0f",
            "torch": "7.2f",
            "ORT": "7.2f",
            "ORT bound": "7.2f",
            "ours": "7.2f",
            "ours, in a chunk": "7.2f",
            "torch / ours": "6.2f",
            "ORT / ours": "6.2f",
            "bound / ours": "6.2f",
            "of reading": "6.2f",
        },
    )
    ratios, smaller = [], []
    for kind in KINDS:
        for hidden in options.hidden:
            ratio, row = compare(kind, hidden, options, report, table)
            ratios.append(ratio)
            smaller.append(row)
    small = report.table(
        "Smaller weights, in microseconds in a chunk; the error is the largest of the outputs over 200 steps",
        {
            "layer": "4s",
            "H": "4.0f",
            "float32": "8.2f",
            "bfloat16": "8.2f",
            "int8": "8.2f",
            "bytes: float32": "10,.0f",
            "bytes: bfloat16": "10,.0f",
            "bytes: int8": "10,.0f",
            "error: bfloat16": "8.1e",
            "error: int8": "8.1e",
        },
    )
    for row in smaller:
        small.add(*row)
    means = geometric_means(ratios)
    for name, value, target in zip(("torch.nn", "ONNX Runtime, the faster"), means, (10.0, 3.0), strict=True):
        print(f"geometric mean beside {name}: {value:.2f}")
        report.figure("steps", FASTER, name, "mean", value, target)
        report.figure("steps", FASTER, name, "least", min(row[name != "torch.nn"] for row in ratios), 1.0)


def compare(
    kind: str, hidden: int, options: Namespace, report: Report, table: Table
) -> tuple[tuple[float, float], tuple[str | float, ...]]:
    """Check, then time one model.

    Returns:
        The ratios to torch and to the faster of ONNX Runtime's two ways, and a row of the table of smaller weights.
    """
    features = 16 if hidden == 16 else 64
    model = Model(kind, features, hidden).eval()
    x = np.random.default_rng(0).standard_normal((1, 1, features)).astype(np.float32)
    session = onnx_session(kind, model.layer, model.linear)
    runs = {
        "torch": torch_step(model, x),
        "ONNX Runtime": session_step(session, x, hidden),
        "bound": bound_step(session, x, hidden),
        "ours": our_step(Stepper(model), x[0, 0]),
    }
    for _ in range(3):
        expected, *others = (torch.as_tensor(run()).flatten().clone() for run in runs.values())
        for name, value in zip(list(runs)[1:], others, strict=True):
            check_equal(f"{name} and torch", [expected], [value])
    chunks = {name: our_chunk(Stepper(model, name), x[0, 0]) for name in ("float32", "bfloat16", "int8")}
    times = [1e6 * one for one in time_in_turn(options.seconds, *runs.values(), calls=CALLS)]
    in_chunk = [1e6 / CHUNK * one for one in time_in_turn(options.seconds, *chunks.values())]
    stepper = Stepper(model)
    rate = stepper.weight_bytes / (in_chunk[0] * 1e-6) / reading_rate(stepper.weight_bytes)
    ratios = [peer / times[3] for peer in times[:3]]
    table.add(kind, hidden, *times, in_chunk[0], *ratios, rate)
    errors = [largest_error(model, name) for name in ("bfloat16", "int8")]
    sizes = [Stepper(model, name).weight_bytes for name in chunks]
    name = f"{kind} {hidden}"
    if hidden >= 128:
        report.figure("steps", SHARE, name, "reading", rate, 0.6)
    if hidden == 512:
        report.figure("steps", FASTER, f"{name}, int8 beside float32", "chunk", in_chunk[0] / in_chunk[2], 2.0)
    return (ratios[0], min(ratios[1:])), (kind, hidden, *in_chunk, *sizes, *errors)


def torch_step(model: Model, x: np.ndarray) -> Callable[[], Tensor]:
    """torch's module, step by step, without gradients."""
    tensor, state = torch.from_numpy(x), None

    def step() -> Tensor:
        nonlocal state
        with torch.inference_mode():
            y, state = model(tensor, state)
        return y

    return step


def our_step(stepper: Stepper, x: np.ndarray) -> Callable[[], np.ndarray]:
    state, out = stepper.new_state(), np.empty(OUTPUTS, np.float32)
    return lambda: stepper(x, state, out)[0]


def our_chunk(stepper: Stepper, x: np.ndarray) -> Callable[[], np.ndarray]:
    """Many steps in one call: what the engine takes, without Python."""
    state, steps = stepper.new_state(), np.repeat(x[None, None], CHUNK, axis=0)
    out = np.empty((CHUNK, 1, OUTPUTS), np.float32)
    return lambda: stepper(steps, state, out)[0]


def largest_error(model: Model, weights: str) -> float:
    x = np.random.default_rng(1).standard_normal((200, 1, model.layer.input_size)).astype(np.float32)
    return float(np.abs(Stepper(model)(x)[0] - Stepper(model, weights)(x)[0]).max())


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
