"""A classifier of sequences of 16,000 steps: which of two marks was among the first steps, behind noise.

Each sequence has a channel of noise and one that is 0 but for a single step of the first 100, where it is 1: the noise
of that step is replaced by the label, 1 or -1. A layer whose units remember for up to T steps at first (chrono
initialisation) reads it, and a linear layer its last state. Batches are made anew at every step; the accuracy is that
on 256 sequences of another seed. Times are medians of processor time.
"""

import statistics
import time
from argparse import ArgumentParser, Namespace

import torch
from torch import Tensor, nn

from benchmarks._command import run_alone
from benchmarks._report import Report
from recurra import Recurrent
from recurra.cells import find_cell
from recurra.layers import initialize

MARKED, TESTED = 100, 256


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--cells", nargs="+", default=["min_gru"], help="names of cells")
    parser.add_argument("--backends", nargs="+", default=["native", "scan"], help="kernels")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one training each")
    parser.add_argument("--steps", type=int, default=16000, help="T")
    parser.add_argument("--batch-size", type=int, default=8, help="B")
    parser.add_argument("--hidden-size", type=int, default=16, help="H")
    parser.add_argument("--max-steps", type=int, default=200, help="of training")
    parser.add_argument("--learning-rate", type=float, default=0.1, help="of Adam")


def measure(options: Namespace, report: Report) -> None:
    table = report.table(
        f"A mark in the first {MARKED} of {options.steps} steps, B = {options.batch_size}, H = {options.hidden_size}",
        {"cell": "8s", "kernel": "9s", "seed": "3.0f", "accuracy, %": "6.1f", "training step, ms": "9.1f"},
    )
    for cell in options.cells:
        for backend in options.backends:
            for seed in options.seeds:
                table.add(cell, backend, seed, *train(cell, backend, seed, options))


def train(cell: str, backend: str, seed: int, options: Namespace) -> tuple[float, float]:
    """The accuracy in percent after training, and the median milliseconds of a training step."""
    torch.manual_seed(seed)
    layer = Recurrent(find_cell(cell), 2, options.hidden_size, backend=backend)
    initialize(layer, chrono=options.steps)
    classify = nn.Linear(options.hidden_size, 2)
    parameters = [*layer.parameters(), *classify.parameters()]
    optimizer = torch.optim.Adam(parameters, options.learning_rate)
    generator = torch.Generator().manual_seed(seed)
    times = []
    for _ in range(options.max_steps):
        x, labels = sequences(options.batch_size, options.steps, generator)
        started = time.process_time()
        loss = nn.functional.cross_entropy(classify(layer(x)[0][-1]), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        times.append(time.process_time() - started)
    tested = torch.Generator().manual_seed(1_000_000)
    right = 0
    with torch.inference_mode():
        for _ in range(TESTED // options.batch_size):
            x, labels = sequences(options.batch_size, options.steps, tested)
            right += int((classify(layer(x)[0][-1]).argmax(1) == labels).sum())
    return 100 * right / (TESTED // options.batch_size * options.batch_size), statistics.median(times) * 1e3


def sequences(count: int, steps: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sequences (T, B, 2) and their labels (B,), 0 or 1."""
    x = torch.cat([torch.randn(steps, count, 1, generator=generator), torch.zeros(steps, count, 1)], 2)
    labels = torch.randint(2, (count,), generator=generator)
    at = torch.randint(min(MARKED, steps), (count,), generator=generator)
    rows = torch.arange(count)
    x[at, rows, 0] = (2 * labels - 1).float()
    x[at, rows, 1] = 1
    return x, labels


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
