"""recurra's layers beside torch.nn's: times on this machine as ratios, outputs and gradients checked before.

A ratio is torch's median time over recurra's, both measured in turn in one process.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import recurra

SIZES = [
    (1, 1, 64, 128),
    (1, 100, 64, 128),
    (8, 100, 64, 64),
    (32, 100, 64, 128),
    (32, 100, 256, 256),
    (64, 128, 512, 512),
]
LAYERS = {"LSTM": (nn.LSTM, recurra.LSTM), "GRU": (nn.GRU, recurra.GRU), "RNN": (nn.RNN, recurra.RNN)}
# Errors accumulate over steps and units; these hold for float32 at the largest size.
TOLERANCE = 2e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", nargs="+", choices=LAYERS, default=list(LAYERS))
    parser.add_argument("--seconds", type=float, default=1.5, help="for each pair of timings")
    parser.add_argument("--backend", default="native")
    options = parser.parse_args()
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, sgemm {sgemm_rate():.0f} GF/s")
    times = f"{'inference ms':>19} {'ratio':>6}  {'training ms':>19} {'ratio':>6}  {'GF/s':>5}"
    print(f"{'':5} {'B,T,I,H':>15} {'':7}  {times}")
    for name, ragged in product(options.layers, (False, True)):
        ratios = [compare(name, size, ragged, options.backend, options.seconds) for size in SIZES]
        means = [statistics.geometric_mean(column) for column in zip(*ratios, strict=True)]
        kind = "ragged" if ragged else "equal"
        print(f"{name:5} {'geometric mean':>15} {kind:7}  {'':19} {means[0]:6.2f}  {'':19} {means[1]:6.2f}", flush=True)


def compare(name: str, size: tuple[int, ...], ragged: bool, backend: str, seconds: float) -> tuple[float, float]:
    """Check, then time one layer of one size; the ratios of inference and of a training step."""
    batch, steps, inputs, hidden = size
    peer = LAYERS[name][0](inputs, hidden)
    ours = LAYERS[name][1](inputs, hidden, backend=backend)
    ours.load_state_dict(peer.state_dict())
    x = torch.randn(steps, batch, inputs, requires_grad=True)
    lengths = torch.randint(max(1, steps // 10), steps + 1, (batch,)) if ragged else None

    def run_peer() -> Tensor:
        if lengths is None:
            return peer(x)[0]
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        return pad_packed_sequence(peer(packed)[0], total_length=steps)[0]

    def run_ours() -> Tensor:
        return ours(x, lengths=lengths)[0]

    check(run_peer, run_ours, x, peer, ours)
    with torch.no_grad():
        inference = time_in_turn(run_peer, run_ours, seconds)
    training = time_in_turn(lambda: step(run_peer, peer, x), lambda: step(run_ours, ours, x), seconds)
    # A multiplication and an addition for each weight and true step; the backward pass does it twice more.
    operations = 2 * sum(p.numel() for p in ours.parameters() if p.dim() == 2)
    operations *= batch * steps if lengths is None else int(lengths.sum())
    sizes = ",".join(map(str, size))
    print(
        f"{name:5} {sizes:>15} {'ragged' if ragged else 'equal':7}  "
        f"{inference[0] * 1e3:9.2f} {inference[1] * 1e3:9.2f} {inference[0] / inference[1]:6.2f}  "
        f"{training[0] * 1e3:9.2f} {training[1] * 1e3:9.2f} {training[0] / training[1]:6.2f}  "
        f"{3 * operations / training[1] / 1e9:5.0f}",
        flush=True,
    )
    return inference[0] / inference[1], training[0] / training[1]


def check(
    run_peer: Callable[[], Tensor], run_ours: Callable[[], Tensor], x: Tensor, peer: nn.Module, ours: nn.Module
) -> None:
    """Outputs and all gradients agree, or nothing is timed."""
    results = []
    for run, module in ((run_peer, peer), (run_ours, ours)):
        output = run()
        results.append([output, *torch.autograd.grad(output.square().mean(), [x, *module.parameters()])])
    for expected, actual in zip(*results, strict=True):
        expected, actual = expected.detach(), actual.detach()
        error = float((expected - actual).abs().max() / expected.abs().max().clamp(min=1e-6))
        if not error < TOLERANCE:
            raise AssertionError(f"outputs or gradients differ by {error:.1e} of their largest")


def step(run: Callable[[], Tensor], module: nn.Module, x: Tensor) -> None:
    """Forward and backward."""
    module.zero_grad(set_to_none=True)
    x.grad = None
    run().sum().backward()


def time_in_turn(first: Callable[[], object], second: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Median times of two functions, called in turn."""
    first()
    second()
    times: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 5:
        for run, taken in zip((first, second), times, strict=True):
            started = time.perf_counter()
            run()
            taken.append(time.perf_counter() - started)
    return statistics.median(times[0]), statistics.median(times[1])


def sgemm_rate() -> float:
    """The machine's float32 matrix product, in 10^9 operations a second."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    taken, _ = time_in_turn(lambda: a @ b, lambda: None, 0.5)
    return 2 * 1024**3 / taken / 1e9


if __name__ == "__main__":
    main()
