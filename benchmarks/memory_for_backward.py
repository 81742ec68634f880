"""Memory held between the forward and the backward pass, ours and torch.nn's.

Resident: what a fresh process has grown by after the forward pass, the output among it. Saved: the distinct storages
that autograd's hooks are shown, but those of the parameters and of the input. The two need not agree: oneDNN reserves
more than it writes to, and what recomputing keeps is not shown to the hooks. A ratio is torch's resident bytes over
ours.
"""

from argparse import ArgumentParser, Namespace
from itertools import product

from benchmarks._command import run_alone
from benchmarks._held_memory import BATCH, HIDDEN, INPUTS, LAYERS, resident_after_forward, saved_by_autograd
from benchmarks._report import SMALLER, Report

LENGTHS = (100, 1000, 4000)


def add_options(parser: ArgumentParser) -> None:
    """None of its own."""


def measure(options: Namespace, report: Report) -> None:
    table = report.table(
        f"Memory held for the backward pass, in MiB, at (B,I,H) = ({BATCH},{INPUTS},{HIDDEN})",
        {
            "layer": "5s",
            "T": "5.0f",
            **{f"resident: {name}": "9.1f" for name in ("torch.nn", "ours")},
            "resident: ratio": "6.2f",
            "resident: recomputed": "9.1f",
            "recomputed: ratio": "6.2f",
            **{f"saved: {name}": "9.1f" for name in ("torch.nn", "ours")},
        },
    )
    for name, steps in product(LAYERS, LENGTHS):
        peer, ours, recomputed = (
            resident_after_forward(name, kind, steps, options.threads) / 2**20
            for kind in ("torch.nn", "ours", "recompute")
        )
        saved = [saved_by_autograd(name, kind, steps) / 2**20 for kind in ("torch.nn", "ours")]
        table.add(name, steps, peer, ours, peer / ours, recomputed, peer / recomputed, *saved)
        report.figure("memory_for_backward", SMALLER, f"{name}, T = {steps}", "kept", peer / ours)
        report.figure("memory_for_backward", SMALLER, f"{name}, T = {steps}", "recomputed", peer / recomputed)


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
