"""recurra.ConvLSTM beside the loop that is usually written in torch: times on this machine as ratios.

The loop joins input and last output, and has one convolution a step, as most public implementations do. A ratio is its
median time over ConvLSTM's, both measured in turn in one process, outputs and gradients checked before. Sizes are
(B, T, I, H, Y, X), with kernels of 3 by 3. Ragged: lengths uniform from 10 % to 100 % of T; the loop computes padding.
"""

from argparse import ArgumentParser, Namespace

import torch
from torch import Tensor
from torch.nn.functional import conv2d

import recurra
from benchmarks._agreement import check_agreement
from benchmarks._command import run_alone
from benchmarks._report import Report, geometric_means
from benchmarks._timing import time_in_turn, training_step

SIZES = [
    (1, 16, 16, 16, 16, 16),
    (8, 16, 1, 16, 32, 32),
    (8, 16, 32, 32, 8, 8),
    (16, 24, 64, 64, 4, 4),
]


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--lengths", nargs="+", choices=("equal", "ragged"), default=["equal", "ragged"])


def measure(options: Namespace, report: Report) -> None:
    columns = {
        f"{kind}: {name}": "9.2f" for kind in ("inference", "training") for name in ("loop ms", "ours ms", "ratio")
    }
    table = report.table(
        "ConvLSTM: the plain loop's time over ours", {"lengths": "7s", "B,T,I,H,Y,X": "20s", **columns}
    )
    for kind in options.lengths:
        ratios = []
        for size in SIZES:
            (loop, ours), (loop_training, our_training) = compare(size, kind, options)
            ratios.append((loop / ours, loop_training / our_training))
            times = (loop * 1e3, ours * 1e3, ratios[-1][0], loop_training * 1e3, our_training * 1e3, ratios[-1][1])
            table.add(kind, ",".join(map(str, size)), *times)
        inference, training = geometric_means(ratios)
        table.add(kind, "geometric mean", None, None, inference, None, None, training)


def compare(size: tuple[int, ...], kind: str, options: Namespace) -> tuple[list[float], list[float]]:
    """Check, then time one size; seconds of the loop and of ours, for inference and for a training step."""
    batch, steps, inputs, hidden, rows, columns = size
    layer = recurra.ConvLSTM(inputs, hidden)
    x = torch.randn(steps, batch, inputs, rows, columns, requires_grad=True)
    lengths = torch.randint(max(1, steps // 10), steps + 1, (batch,)) if kind == "ragged" else None
    valid = None
    if lengths is not None:
        valid = (torch.arange(steps).unsqueeze(1) < lengths).reshape(steps, batch, 1, 1, 1)
    leaves = [x, *layer.parameters()]
    runs = {"the loop": lambda: plain_loop(layer, x, valid), "recurra.ConvLSTM": lambda: layer(x, lengths=lengths)[0]}
    check_agreement({name: (run, leaves) for name, run in runs.items()})
    loop, ours = runs.values()
    with torch.no_grad():
        inference = time_in_turn(options.seconds, loop, ours)
    training = time_in_turn(options.seconds, lambda: training_step(loop, leaves), lambda: training_step(ours, leaves))
    return inference, training


def plain_loop(layer: recurra.ConvLSTM, x: Tensor, valid: Tensor | None) -> Tensor:
    """The outputs of the layer, zero where a step is not valid."""
    w = dict(layer.named_parameters())
    kernel, bias = torch.cat([w["weight_ih_l0"], w["weight_hh_l0"]], 1), w["bias_ih_l0"] + w["bias_hh_l0"]
    h = c = x.new_zeros(x.shape[1], layer.hidden_size, *x.shape[3:])
    outputs = []
    for frame in x:
        i, f, g, o = conv2d(torch.cat([frame, h], 1), kernel, bias, padding=1).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    output = torch.stack(outputs)
    return output if valid is None else output * valid


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
