"""recurra.ClockworkRNN beside a dense Elman network of as many units: times on this machine as ratios.

Both run on recurra's native kernel. A ratio is the dense network's median time over the Clockwork RNN's, both measured
in turn in one process; before, outputs and gradients of the Clockwork RNN are compared with a loop that computes the
whole product at each step and masks it, as its paper writes it. That loop is timed too. Sizes are (B, T, I, H); there
are 8 groups with periods 1 to 128. The multiplications are those of the recurrent weights, dense over Clockwork.
"""

from argparse import ArgumentParser, Namespace

import torch

import recurra
from benchmarks._agreement import check_agreement
from benchmarks._clockwork_loop import plain_loop
from benchmarks._command import run_alone
from benchmarks._report import Report, geometric_means
from benchmarks._timing import time_in_turn, training_step

SIZES = [
    (1, 320, 1, 64),
    (1, 1024, 16, 256),
    (32, 256, 64, 128),
    (32, 256, 64, 256),
    (64, 128, 64, 512),
]


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--groups", type=int, default=8, help="of the Clockwork RNN")


def measure(options: Namespace, report: Report) -> None:
    columns = {
        f"{kind}: {name}": "9.2f"
        for kind in ("inference", "training")
        for name in ("loop ms", "dense ms", "ours ms", "ratio")
    }
    table = report.table(
        "ClockworkRNN: the dense Elman network's time over ours",
        {"B,T,I,H": "16s", "multiplications": "6.1f", **columns},
    )
    ratios = []
    for size in SIZES:
        fewer, *times = compare(size, options)
        ratios.append([dense / ours for _, dense, ours in times])
        shown = [
            value
            for (loop, dense, ours), ratio in zip(times, ratios[-1], strict=True)
            for value in (loop * 1e3, dense * 1e3, ours * 1e3, ratio)
        ]
        table.add(",".join(map(str, size)), fewer, *shown)
    inference, training = geometric_means(ratios)
    table.add("geometric mean", None, None, None, None, inference, None, None, None, training)


def compare(size: tuple[int, ...], options: Namespace) -> tuple[float, list[float], list[float]]:
    """Check, then time one size.

    Returns:
        How many times as many multiplications the dense network has, and the seconds of the loop, the dense network
        and ours for inference and for a training step.
    """
    batch, steps, inputs, hidden = size
    layer = recurra.ClockworkRNN(inputs, hidden, options.groups)
    dense = recurra.RNN(inputs, hidden)
    x = torch.randn(steps, batch, inputs, requires_grad=True)
    leaves, dense_leaves = [x, *layer.parameters()], [x, *dense.parameters()]
    check_agreement(
        {
            "the plain loop": (lambda: plain_loop(layer, x), leaves),
            "recurra.ClockworkRNN": (lambda: layer(x)[0], leaves),
        }
    )
    runs = (lambda: plain_loop(layer, x), lambda: dense(x)[0], lambda: layer(x)[0])
    with torch.no_grad():
        inference = time_in_turn(options.seconds, *runs)
    training = time_in_turn(
        options.seconds,
        *[
            lambda run=run, own=own: training_step(run, own)
            for run, own in zip(runs, (leaves, dense_leaves, leaves), strict=True)
        ],
    )
    reads = [sum(layer.group_sizes[group:]) for group in range(options.groups)]
    ours = sum(n * r / p for n, r, p in zip(layer.group_sizes, reads, layer.periods, strict=True))
    return hidden**2 / ours, inference, training


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
