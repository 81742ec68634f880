"""Whole sequences with weights of fewer bits, beside float32 and torch's dynamic quantisation, on one thread.

Inference of one layer, LSTM and GRU: `auto` (float32), `native_bfloat16`, `native_int8`, and torch.nn's layer after
torch.ao.quantization.quantize_dynamic, whose weights are int8. Errors are the largest of the outputs beside torch.nn in
float32, of a layer as torch initialises it. A ratio above 1: faster than `auto`, or than torch's int8. The two sides of
each ratio are timed in turn in one process.
"""

import warnings
from argparse import ArgumentParser, Namespace
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

import recurra
from benchmarks._command import run_alone
from benchmarks._report import Report
from benchmarks._timing import time_in_turn

LAYERS = {"LSTM": (nn.LSTM, recurra.LSTM), "GRU": (nn.GRU, recurra.GRU)}
STEPS, ROWS, UNITS = 100, (1, 8, 32), (128, 256, 512, 1024)
LARGEST_ERROR = {"native_bfloat16": 0.02, "native_int8": 0.05}


def add_options(parser: ArgumentParser) -> None:
    parser.set_defaults(threads=1)
    parser.add_argument("--layers", nargs="+", choices=LAYERS, default=list(LAYERS), help="which to time")


@torch.no_grad()
def measure(options: Namespace, report: Report) -> None:
    columns = {
        "auto ms": "8.2f",
        "bfloat16": "8.2f",
        "int8": "6.2f",
        "torch int8": "10.2f",
        "int8 / torch int8": "9.2f",
    }
    columns |= {"error, bfloat16": "8.4f", "int8 ": "7.4f", "torch int8 ": "10.4f"}
    title = f"Times as fast as auto in float32, T = {STEPS}, I = H"
    table = report.table(title, {"layer": "5s", "B": "3.0f", "H": "5.0f", **columns})
    for name, units, rows in product(options.layers, UNITS, ROWS):
        make_peer, make_ours = LAYERS[name]
        torch.manual_seed(0)
        peer, ours = make_peer(units, units).eval(), make_ours(units, units).eval()
        ours.load_state_dict(peer.state_dict())
        x = torch.randn(STEPS, rows, units)
        quantized = partial(dynamically_quantized(peer), x)
        expected = peer(x)[0]
        runs = {backend: partial(output, ours, backend, x) for backend in ("auto", *LARGEST_ERROR)}
        errors = {backend: float((runs[backend]() - expected).abs().max()) for backend in LARGEST_ERROR}
        for backend, error in errors.items():
            if not error < LARGEST_ERROR[backend]:
                raise SystemExit(f"{name}, H = {units}, B = {rows}: {backend} is off by {error:.3g}")
        auto, ratios = 0.0, []
        for backend in LARGEST_ERROR:
            own, auto = time_in_turn(options.seconds, runs[backend], runs["auto"])
            ratios.append(auto / own)
        int8, other = time_in_turn(options.seconds, runs["native_int8"], quantized)
        off = float((quantized()[0] - expected).abs().max())
        table.add(name, rows, units, 1e3 * auto, *ratios, auto / other, other / int8, *errors.values(), off)


def output(layer: recurra.Recurrent, backend: str, x: Tensor) -> Tensor:
    layer.backend = backend
    return layer(x)[0]


def dynamically_quantized(layer: nn.Module) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch recommends another package for it
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(layer), {nn.LSTM, nn.GRU}, dtype=torch.qint8)[0]


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
