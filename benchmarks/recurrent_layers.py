"""recurra's layers beside torch.nn's: times on this machine as ratios, outputs and gradients checked before.

A ratio is torch's median time over recurra's, both measured in turn in one process. Sizes are (B, T, I, H). Ragged:
lengths uniform from 10 % to 100 % of T, torch's side packed and unpacked, ours with `lengths`. A rate counts an
addition and a multiplication for each weight and true step, three times for a training step; at the largest size it
stands over that of a large matrix product (sgemm), timed in turn with it.
"""

from argparse import ArgumentParser, Namespace
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import recurra
from benchmarks._agreement import check_agreement
from benchmarks._command import run_alone
from benchmarks._report import FASTER, SHARE, Report, Table, geometric_means
from benchmarks._timing import matrix_product, time_in_turn, training_step

SIZES = [
    (1, 1, 64, 128),
    (1, 100, 64, 128),
    (8, 100, 64, 64),
    (32, 100, 64, 128),
    (32, 100, 256, 256),
    (64, 128, 512, 512),
]
LAYERS = {"LSTM": (nn.LSTM, recurra.LSTM), "GRU": (nn.GRU, recurra.GRU), "RNN": (nn.RNN, recurra.RNN)}
# Ratios to reach, of inference and of a training step.
TARGETS = {
    ("LSTM", "equal"): (1.5, 1.25),
    ("LSTM", "ragged"): (3.0, 3.0),
    ("GRU", "equal"): (4.0, 3.0),
    ("GRU", "ragged"): (4.0, 3.0),
    ("RNN", "equal"): (4.0, 3.0),
    ("RNN", "ragged"): (4.0, 3.0),
}
LSTM_LEAST_TRAINING = 1.0
SGEMM_SHARES = {"LSTM": 0.8, "GRU": 0.8, "RNN": None}


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--layers", nargs="+", choices=LAYERS, default=list(LAYERS), help="which to time")
    parser.add_argument("--backend", default="auto", help="of recurra's layers")


def measure(options: Namespace, report: Report) -> None:
    table = report.table(
        "Recurrent layers against torch.nn: torch's time over ours",
        {
            "layer": "5s",
            "B,T,I,H": "15s",
            "lengths": "7s",
            **{
                f"{kind}: {name}": spec
                for kind in ("inference", "training")
                for name, spec in (("torch ms", "9.2f"), ("ours ms", "9.2f"), ("ratio", "6.2f"))
            },
            "training: GF/s": "6.0f",
            "training: over sgemm": "5.2f",
        },
    )
    for name, lengths in product(options.layers, ("equal", "ragged")):
        ratios = [compare(name, size, lengths, options, report, table) for size in SIZES]
        targets = TARGETS[name, lengths]
        means = geometric_means(ratios)
        least = [min(column) for column in zip(*ratios, strict=True)]
        for title, (inference, training) in (("geometric mean", means), ("target", targets), ("least", least)):
            table.add(name, title, lengths, None, None, inference, None, None, training, None, None)
        for kind, mean, target in zip(("inference", "training"), means, targets, strict=True):
            report.figure("recurrent_layers", FASTER, f"{name}, {lengths}", kind, mean, target)
        if (name, lengths) == ("LSTM", "equal"):
            report.figure("recurrent_layers", FASTER, "LSTM, equal, least", "training", least[1], LSTM_LEAST_TRAINING)


def compare(
    name: str, size: tuple[int, ...], lengths_kind: str, options: Namespace, report: Report, table: Table
) -> tuple[float, float]:
    """Check, then time one layer of one size; the ratios of inference and of a training step."""
    batch, steps, inputs, hidden = size
    make_peer, make_ours = LAYERS[name]
    peer = make_peer(inputs, hidden)
    ours = make_ours(inputs, hidden, backend=options.backend)
    reference = make_ours(inputs, hidden, backend="reference")
    for module in (ours, reference):
        module.load_state_dict(peer.state_dict())
    x = torch.randn(steps, batch, inputs, requires_grad=True)
    lengths = torch.randint(max(1, steps // 10), steps + 1, (batch,)) if lengths_kind == "ragged" else None

    def run_peer() -> Tensor:
        if lengths is None:
            return peer(x)[0]
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        return pad_packed_sequence(peer(packed)[0], total_length=steps)[0]

    def run_ours() -> Tensor:
        return ours(x, lengths=lengths)[0]

    peer_leaves, our_leaves = [x, *peer.parameters()], [x, *ours.parameters()]
    check_agreement(
        {
            "the reference": (lambda: reference(x, lengths=lengths)[0], [x, *reference.parameters()]),
            f"torch.nn.{name}": (run_peer, peer_leaves),
            f"recurra.{name}": (run_ours, our_leaves),
        }
    )
    with torch.no_grad():
        inference = time_in_turn(options.seconds, run_peer, run_ours)
    steps_to_time = [lambda: training_step(run_peer, peer_leaves), lambda: training_step(run_ours, our_leaves)]
    operations = 2.0 * sum(p.numel() for p in ours.parameters() if p.dim() == 2)
    operations *= 3 * (batch * steps if lengths is None else int(lengths.sum()))
    share = None
    if size == SIZES[-1]:
        run_product, product_operations = matrix_product()
        *training, product_time = time_in_turn(options.seconds, *steps_to_time, run_product)
        share = operations / training[1] / (product_operations / product_time)
        if lengths is None:
            report.figure("recurrent_layers", SHARE, f"{name} / sgemm", "training", share, SGEMM_SHARES[name])
    else:
        training = time_in_turn(options.seconds, *steps_to_time)
    ratios = inference[0] / inference[1], training[0] / training[1]
    table.add(
        *(name, ",".join(map(str, size)), lengths_kind),
        *(inference[0] * 1e3, inference[1] * 1e3, ratios[0]),
        *(training[0] * 1e3, training[1] * 1e3, ratios[1]),
        *(operations / training[1] / 1e9, share),
    )
    return ratios


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
