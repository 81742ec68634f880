"""Trainings of the command line under torchrun, which tests look at, kill and resume."""

import math
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from recurra.training import read_log

__all__ = ["ONE_MACHINE", "STEPS", "free_port", "torchrun", "train", "wait_for_step", "write_waves"]

STEPS = 300
ONE_MACHINE = ("--standalone", "--nproc-per-node", "2")


def write_waves(folder: Path) -> Path:
    """A table with three series of 80 steps."""
    path = folder / "waves.csv"
    lines = [f"{name},{t},{math.sin(t / 3 + at):.4f}" for at, name in enumerate("abc") for t in range(80)]
    path.write_text("\n".join(["unique_id,ds,y", *lines]) + "\n")
    return path


def train(data: Path, folder: Path, steps: int = STEPS) -> list[str]:
    """The arguments of the command line; without dropout, which would differ between processes."""
    options = {
        "data": data,
        "out": folder,
        "horizon": 4,
        "hidden-size": 4,
        "batch-size": 5,
        "dropout": 0,
        "max-steps": steps,
        "validate-every": 20,
    }
    return ["train", "forecast", *(str(part) for name, value in options.items() for part in (f"--{name}", value))]


def torchrun(
    arguments: list[str], *options: str, inside: tuple[str, ...] = (), **variables: str
) -> subprocess.Popen[str]:
    """Start torchrun, with environment variables; `inside` is a command that starts it elsewhere."""
    command = [*inside, sys.executable, "-m", "torch.distributed.run", *options, "-m", "recurra", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", **variables}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for_step(folder: Path, step: int, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not any(int(row["step"]) >= step for row in read_log(folder / "log.csv")):
        assert time.monotonic() < deadline, "training did not begin"
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
