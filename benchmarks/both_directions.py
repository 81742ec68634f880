"""Bidirectional layers and few rows: both directions at the same time, beside one after the other, and torch.nn.

Outputs and gradients are checked before. The first ratio is the time of one direction after the other over that of both
at the same time, the second torch's time over that of both at the same time. The two sides of each ratio are timed in
turn in one process, on two threads.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

import recurra
from benchmarks._agreement import check_agreement
from benchmarks._command import run_alone
from benchmarks._report import Report
from benchmarks._timing import time_in_turn, training_step
from recurra.kernels.native import launches

Run = Callable[[], object]
LAYERS = {"LSTM": (nn.LSTM, recurra.LSTM), "GRU": (nn.GRU, recurra.GRU)}
STEPS, INPUTS = 50, 64
ROWS, UNITS = (2, 4, 8, 16), (64, 128, 256)


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--layers", nargs="+", choices=LAYERS, default=list(LAYERS), help="which to time")


def measure(options: Namespace, report: Report) -> None:
    torch.set_num_threads(2)
    columns = {
        "torch ms": "9.2f",
        "apart ms": "9.2f",
        "at once ms": "10.2f",
        "apart / at once": "6.2f",
        "torch / at once": "6.2f",
    }
    table = report.table(
        f"Both directions at the same time, T = {STEPS}, I = {INPUTS}",
        {
            "layer": "5s",
            "B": "3.0f",
            "H": "4.0f",
            **{f"{kind}: {name}": spec for kind in ("inference", "training") for name, spec in columns.items()},
        },
    )
    for name, batch, hidden in product(options.layers, ROWS, UNITS):
        make_peer, make_ours = LAYERS[name]
        peer, ours = (make(INPUTS, hidden, bidirectional=True) for make in (make_peer, make_ours))
        ours.load_state_dict(peer.state_dict())
        x = torch.randn(STEPS, batch, INPUTS, requires_grad=True)
        runs = {
            f"torch.nn.{name}": (lambda peer=peer, x=x: peer(x)[0], [x, *peer.parameters()]),
            "one after the other": (partial(apart, ours, x), [x, *ours.parameters()]),
            "at the same time": (lambda ours=ours, x=x: ours(x)[0], [x, *ours.parameters()]),
        }
        check_agreement(runs)
        with torch.no_grad():
            inference = times(options.seconds, *(run for run, _ in runs.values()))
        training = times(options.seconds, *(partial(training_step, *run) for run in runs.values()))
        table.add(name, batch, hidden, *inference, *training)


def times(seconds: float, peer: Run, one_by_one: Run, at_once: Run) -> tuple[float, ...]:
    """Milliseconds and ratios. Pairs are timed, because what ran before leaves its data in the caches."""
    apart_time, own_time = time_in_turn(seconds, one_by_one, at_once)
    peer_time, beside_peer = time_in_turn(seconds, peer, at_once)
    return 1e3 * peer_time, 1e3 * apart_time, 1e3 * own_time, apart_time / own_time, peer_time / beside_peer


def apart(layer: Any, x: Tensor) -> Tensor:
    """The output of a layer whose directions run one after the other."""
    most, launches._MOST_ROWS = launches._MOST_ROWS, 0
    try:
        return layer(x)[0]
    finally:
        launches._MOST_ROWS = most


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
