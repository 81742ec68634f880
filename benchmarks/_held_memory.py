"""Bytes that a layer's forward pass leaves held for its backward pass."""

import ctypes
import gc
import os
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from recurra import Recurrent, cells

BATCH, INPUTS, HIDDEN = 32, 64, 128
LAYERS = {"LSTM": (nn.LSTM, cells.LSTM()), "GRU": (nn.GRU, cells.GRU())}


def saved_by_autograd(name: str, kind: str, steps: int) -> int:
    """Bytes of the distinct storages that autograd saves, but those of the parameters and of the input.

    Args:
        name: of `LAYERS`.
        kind: "torch.nn" or "ours".
        steps: T.
    """
    return saved_bytes(_make_layer(name, kind), torch.randn(steps, BATCH, INPUTS, requires_grad=True))


def saved_bytes(layer: nn.Module, x: Tensor) -> int:
    """Bytes of the distinct storages that autograd saves for the backward pass of a layer, parameters and x aside."""
    saved: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        output = layer(x)[0]
    for tensor in (x, *layer.parameters()):
        saved.pop(tensor.untyped_storage().data_ptr(), None)
    del output  # until here, so that no address was used twice
    return sum(saved.values())


def resident_after_forward(name: str, kind: str, steps: int, threads: int) -> int:
    """Bytes that a fresh process has grown by after the forward pass; `kind` may be "recompute" too."""
    command = [sys.executable, "-m", "benchmarks._held_memory", name, kind, str(steps), str(threads)]
    # Every large array in pages of its own, which go back to the system when it is freed.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    return int(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)


def main() -> None:
    name, kind, steps, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    layer = _make_layer(name, kind)
    x = torch.randn(int(steps), BATCH, INPUTS, requires_grad=True)
    layer(x)[0].sum().backward()  # libraries, threads and gradients take their memory first
    before = _resident()
    output = layer(x)[0]
    print(_resident() - before)
    del output


def _make_layer(name: str, kind: str) -> nn.Module:
    peer, cell = LAYERS[name]
    if kind == "torch.nn":
        return peer(INPUTS, HIDDEN)
    return Recurrent(cell, INPUTS, HIDDEN, backend="native", recompute=kind == "recompute")


def _resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
