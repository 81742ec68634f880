"""What training in several processes is worth: measured with two of them on this machine, computed for more.

An LSTM with a readout at every step is trained by `Trainer` on the same batches of (B,T,I) = (64,100,64) in three ways:
by one process of one thread, by one of two threads, and by two of one thread each, which exchange gradients over gloo.
Their losses have to agree.

Then two processes add tensors of several sizes. A ring of n processes sends 2 (n - 1) messages of 1/n of a tensor
(Patarasu and Yuan 2009): with two of them, two messages of half of it, which gives the time of a message of any size.
On a network its latency and the time of its bytes come on top (`--latency`, `--bandwidth`), as if nothing overlapped.
So a step on n machines, of one process of one thread each, is computed: the measured computation of 1/n of the batch by
one process, the exchange of the gradients, and that of the numbers which `Trainer` adds at each step.
"""

import json
import os
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks._command import run_alone
from benchmarks._report import Report
from recurra import cells
from recurra.layers import Recurrent
from recurra.training import Batch, Trainer, TrainingSettings, joined, processes

STEPS, INPUTS, OUTPUTS = 100, 64, 8
WARM = 2  # updates that are not timed
MEGABYTES = (0.001, 0.01, 0.1, 0.4, 1, 4, 10, 40, 100, 400)
ROUNDS = 9
MACHINES = (2, 8, 64)
SUMS = 3  # of a number or two, at each step: the weight of the batch, its loss, and whether to stop


class ManyToMany(nn.Module):
    """Reads (B, T, I), answers (B, T, 8)."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.recurrent = Recurrent(cells.LSTM(), INPUTS, hidden_size, batch_first=True)
        self.readout = nn.Linear(hidden_size, OUTPUTS)

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        output, state = self.recurrent(x)
        return self.readout(output), state


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--batch", type=int, default=64, help="sequences of a step, of all processes; a multiple of 64")
    parser.add_argument("--hidden", type=int, nargs="+", default=[128, 512, 1536], help="units of the networks")
    parser.add_argument("--latency", type=float, default=50.0, help="microseconds of a message between machines")
    parser.add_argument("--bandwidth", type=float, default=1.25, help="gigabytes a second between machines")


def train(hidden_size: int, batch_sizes: list[int]) -> list[dict[str, Any]]:
    """For each size of batch (of all processes): median seconds of an update, the losses, and the parameters."""
    return [_train(hidden_size, batch_size) for batch_size in batch_sizes]


def _train(hidden_size: int, batch_size: int) -> dict[str, Any]:
    torch.manual_seed(0)
    mine = torch.from_numpy(processes().partition.of(np.arange(batch_size)))
    x = torch.randn(batch_size, STEPS, INPUTS, generator=torch.Generator().manual_seed(1))
    y = x[..., :OUTPUTS].cumsum(1) / 10
    batch = Batch(x[mine], y[mine], float(len(mine) * STEPS))
    asked: list[float] = []
    losses: list[float] = []

    def batches(step: int) -> Batch:
        asked.append(time.perf_counter())
        return batch

    def loss(output: Tensor, target: Tensor) -> Tensor:
        value = F.mse_loss(output, target)
        losses.append(float(value.detach()))
        return value

    # A step of a large network takes so long that a few tell enough.
    updates = min(60, max(5, 8000 // hidden_size))
    settings = TrainingSettings(max_steps=WARM + updates + 1, health_every=1000)
    module = ManyToMany(hidden_size)
    Trainer(module, loss, batches, settings, progress=False).fit()
    return {
        "seconds": float(np.median(np.diff(asked)[WARM:])),
        "losses": [total / processes().count for total in processes().sum(*losses)],
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
    }


def add_tensors() -> list[float]:
    """Median seconds in which tensors of `MEGABYTES` are added, over all processes."""
    medians = []
    for megabytes in MEGABYTES:
        values = torch.empty(round(megabytes * 250_000))
        repeats = min(50, max(1, round(10 / megabytes)))
        times = []
        for _ in range(1 + ROUNDS):
            values.fill_(1)
            dist.barrier()
            began = time.perf_counter()
            for _ in range(repeats):
                dist.all_reduce(values)
            times.append((time.perf_counter() - began) / repeats)
            if not (values == 2.0**repeats).all():
                raise SystemExit(f"a sum of {megabytes} MB is wrong")
        medians.append(float(np.median(times[1:])))
    return medians


def work(threads: int, result: str, task: str, *arguments: Any) -> None:
    """What a process does that `start` starts; the first writes what came of it."""
    torch.set_num_threads(threads)
    with joined() as group:
        outcome = {"train": train, "add_tensors": add_tensors}[task](*arguments)
        if group.is_first:
            Path(result).write_text(json.dumps(outcome))


def start(count: int, threads: int, task: str, *arguments: Any) -> Any:
    """What `train` or `add_tensors` returns in so many processes."""
    with TemporaryDirectory() as folder:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        result = Path(folder) / "result.json"
        code = f"from benchmarks.several_processes import work; work{(threads, str(result), task, *arguments)!r}"
        place = {"WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": threads}
        started = []
        try:
            for rank in range(count):
                variables = {name: str(value) for name, value in (place | {"RANK": rank, "LOCAL_RANK": rank}).items()}
                started.append(subprocess.Popen([sys.executable, "-c", code], env=os.environ | variables))
            if any(process.wait() for process in started):
                raise SystemExit("a process failed; its message is above")
        finally:
            for process in started:
                process.kill()
        return json.loads(result.read_text())


@dataclass(frozen=True)
class Exchange:
    """How long an exchange takes: between processes of this machine, or over a network as well.

    Attributes:
        times: seconds in which two processes add tensors of `MEGABYTES`.
        latency: seconds of a message on the network.
        byte: seconds of a byte on the network.
    """

    times: list[float]
    latency: float = 0.0
    byte: float = 0.0

    def __call__(self, size: float, count: int) -> float:
        """Seconds in which so many processes exchange gradients of `size` bytes, and the numbers of a step."""
        return 2 * (count - 1) * (self._message(size / count) + SUMS * self._message(8.0))

    def _message(self, size: float) -> float:
        megabytes = 2 * size / 1e6
        # Beyond the largest tensor that was measured, the time grows with the size.
        measured = np.interp(megabytes, MEGABYTES, self.times) / 2 * max(1.0, megabytes / MEGABYTES[-1])
        return float(measured) + self.latency + self.byte * size


def measure(options: Namespace, report: Report) -> None:
    if options.batch % MACHINES[-1]:
        raise SystemExit(f"--batch: expected a multiple of {MACHINES[-1]}, got {options.batch}")
    times = start(2, 1, "add_tensors")
    table = report.table("Adding a tensor of two processes (gloo)", {"MB": "7g", "ms": "9.3f", "GB/s": "6.2f"})
    for megabytes, seconds in zip(MEGABYTES, times, strict=True):
        table.add(megabytes, 1000 * seconds, megabytes / seconds / 1000)

    alone = _scaling(options, report, Exchange(times))

    network = options.latency / 1e6, 1 / (options.bandwidth * 1e9)
    exchange, wire = Exchange(times, *network), Exchange([0.0] * len(MEGABYTES), *network)
    table = report.table(
        f"A step on n machines, computed, with a network of {options.latency:g} us and {options.bandwidth:g} GB/s",
        {
            "parameters": "12,.0f",
            "n": "3.0f",
            "sequences each": "3.0f",
            "computation, ms": "8.1f",
            "exchange, ms": "8.1f",
            "of it the network, ms": "8.1f",
            "times as fast": "6.1f",
            "times as many sequences a second, with the whole batch on each": "6.1f",
        },
    )
    for whole, *parts in alone:
        for machines, part in zip(MACHINES, parts, strict=True):
            seconds, on_the_wire = (one(4 * whole["parameters"], machines) for one in (exchange, wire))
            table.add(
                whole["parameters"],
                machines,
                options.batch // machines,
                1000 * part["seconds"],
                1000 * seconds,
                1000 * on_the_wire,
                whole["seconds"] / (part["seconds"] + seconds),
                machines * whole["seconds"] / (whole["seconds"] + seconds),
            )


def _scaling(options: Namespace, report: Report, exchange: Exchange) -> list[list[dict[str, Any]]]:
    """Train in three ways; what one process of one thread measured, of the batch and its parts, by network."""
    table = report.table(
        f"A step of training, (B,T,I) = ({options.batch},{STEPS},{INPUTS}), median",
        {
            "H": "4.0f",
            "parameters": "12,.0f",
            "processes x threads": "5s",
            "ms": "8.1f",
            "times as fast": "6.2f",
            "computed, ms": "8.1f",
        },
    )
    networks = []
    for hidden_size in options.hidden:
        alone = start(1, 1, "train", hidden_size, [options.batch // count for count in (1, *MACHINES)])
        whole, half, *_ = alone
        ((threaded,), (two,)) = (start(*way, "train", hidden_size, [options.batch]) for way in ((1, 2), (2, 1)))
        computed = half["seconds"] + exchange(4 * whole["parameters"], 2)
        ways = (("1 x 1", whole, None), ("1 x 2", threaded, None), ("2 x 1", two, 1000 * computed))
        for way, result, expected in ways:
            # Training amplifies what is rounded otherwise.
            np.testing.assert_allclose(result["losses"][:5], whole["losses"][:5], rtol=1e-4)
            faster = whole["seconds"] / result["seconds"]
            table.add(hidden_size, whole["parameters"], way, 1000 * result["seconds"], faster, expected)
        networks.append(alone)
    return networks


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
