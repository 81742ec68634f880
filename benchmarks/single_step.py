"""Microseconds of one step at B = 1 without gradients, ours beside torch.nn's: cells, and layers with T = 1."""

from argparse import ArgumentParser, Namespace

import torch
from torch import Tensor, nn

import recurra
from benchmarks._agreement import check_agreement
from benchmarks._command import run_alone
from benchmarks._report import FASTER, Report, Table
from benchmarks._timing import time_in_turn

INPUTS, HIDDEN = 64, 128
MODULES = ("LSTMCell", "GRUCell", "RNNCell", "LSTM", "GRU", "RNN")
CALLS = 50  # timed as one


def add_options(parser: ArgumentParser) -> None:
    """None of its own."""


def measure(options: Namespace, report: Report) -> None:
    table = report.table(
        f"One step at (B,I,H) = (1,{INPUTS},{HIDDEN}), in microseconds",
        {"module": "8s", "torch.nn": "8.1f", "ours": "8.1f", "ratio": "6.2f"},
    )
    for name in MODULES:
        compare(name, options.seconds, report, table)


def compare(name: str, seconds: float, report: Report, table: Table) -> None:
    """Check, then time one module."""
    peer, ours = getattr(nn, name)(INPUTS, HIDDEN), getattr(recurra, name)(INPUTS, HIDDEN)
    ours.load_state_dict(peer.state_dict())
    leading = (1,) if name.endswith("Cell") else (1, 1)
    x = torch.randn(*leading, INPUTS, requires_grad=True)
    h, c = torch.randn(2, *leading, HIDDEN)
    state = (h, c) if name.startswith("LSTM") else h

    def output(module: nn.Module) -> Tensor:
        result = module(x, state)
        return result[0] if isinstance(result, tuple) else result

    check_agreement(
        {
            f"torch.nn.{name}": (lambda: output(peer), [x, *peer.parameters()]),
            f"recurra.{name}": (lambda: output(ours), [x, *ours.parameters()]),
        }
    )
    with torch.no_grad():
        times = time_in_turn(seconds, lambda: peer(x, state), lambda: ours(x, state), calls=CALLS)
    table.add(name, *(taken * 1e6 for taken in times), times[0] / times[1])
    report.figure("single_step", FASTER, name, "inference", times[0] / times[1])


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
