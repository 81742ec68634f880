"""Several processes that train one model, as `torchrun` starts them."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed import Store, TCPStore  # pyright: ignore[reportPrivateImportUsage]
from torch.nn.parallel import DistributedDataParallel

from recurra.data.batches.batch import Partition
from recurra.errors import LostContactError, RecurraError
from recurra.files import write_text

__all__ = ["Processes", "add_agents", "agent", "joined", "processes", "resumes", "speaking_first"]

_ADDRESS_KEY = "recurra/store"
_PATIENCE = 300.0  # seconds, for a first process on a slow machine


@dataclass(frozen=True)
class Processes:
    """This process among all; alone where there is one, and then nothing is sent.

    Attributes:
        rank: of this process, from 0; the first writes.
        count: of processes.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    @property
    def partition(self) -> Partition:
        """This process's part of every batch."""
        return Partition(self.rank, self.count)

    def sum(self, *numbers: float) -> list[float]:
        """The sums over all processes, in float64."""
        if self.count == 1:
            return list(numbers)
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        sums = torch.tensor(numbers, dtype=torch.float64, device=device)
        dist.all_reduce(sums)
        return sums.tolist()

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, by rank; on the first process only, elsewhere an empty list."""
        if self.count == 1:
            return [value]
        values: list[Any] | None = [None] * self.count if self.is_first else None
        dist.gather_object(value, values)
        return values or []

    def wait(self) -> None:
        """Return once every process is here."""
        if self.count > 1:
            dist.barrier()

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module with gradients averaged over all processes; itself where there is one."""
        if self.count == 1:
            return module
        return DistributedDataParallel(module)


def processes() -> Processes:
    """This process among those of `torch.distributed`'s default group."""
    if dist.is_available() and dist.is_initialized():
        return Processes(dist.get_rank(), dist.get_world_size())
    return Processes()


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes `torchrun` started, where it did; NCCL on GPUs, gloo on CPUs."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield processes()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=_store(), rank=rank, world_size=count)
    try:
        yield processes()
    finally:
        dist.destroy_process_group()


@contextmanager
def speaking_first() -> Iterator[None]:
    """Join the processes that torchrun started, of which only the first prints; alone, nothing changes.

    Raises:
        LostContactError: contact with another process is lost.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    try:
        with (
            joined() as group,
            open(os.devnull, "w") as nowhere,
            nullcontext() if group.is_first else redirect_stdout(nowhere),
        ):
            yield
    except RuntimeError as error:
        # torch has no class of its own for it.
        if isinstance(error, RecurraError) or not any(name in str(error).lower() for name in ("gloo", "nccl")):
            raise
        raise LostContactError(
            "contact with another process is lost; torchrun starts all of them again, from the last checkpoint, as "
            f"often as --max-restarts says ({str(error).splitlines()[0]})"
        ) from error


def _store() -> Store:
    """Where processes find each other.

    torchrun's own store outlives restarts, and the addresses of processes that are gone still stand in it. So the first
    process opens a new one at each start, and says there where it is.
    """
    host, port, count = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), int(os.environ["WORLD_SIZE"])
    first = os.environ["RANK"] == "0"
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return TCPStore(host, port, count, is_master=first)
    shared = TCPStore(host, port, is_master=False, wait_for_workers=False)
    if first:
        here = socket.gethostname()
        store = TCPStore(here, 0, count, is_master=True, wait_for_workers=False)
        shared.set(_ADDRESS_KEY, f"{here} {store.port}")
        return store
    deadline = time.monotonic() + _PATIENCE
    while True:
        there, at = shared.get(_ADDRESS_KEY).decode().split()
        try:
            return TCPStore(
                there, int(at), count, is_master=False, timeout=timedelta(seconds=3), wait_for_workers=False
            )
        except dist.DistError:
            # What stands there may be of a process that is gone; the new one is on its way.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def agent() -> str:
    """The torchrun that started this process, told from all others; "": there is none."""
    run = os.environ.get("TORCHELASTIC_RUN_ID")
    return "" if run is None else f"{socket.gethostname()} {os.getppid()} {_started(os.getppid())} {run}"


def _started(pid: int) -> str:
    """When a process was started, in the clock of the system: its id may be another's later. "": it is unknown."""
    try:
        # The name of the program, which may have spaces, ends at the last bracket.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def resumes(folder: Path, asked: bool) -> bool:
    """Whether this start resumes the run in a folder: it was asked to, or a torchrun starts its processes again.

    Every process calls it, before anything is written; all get the same answer. One of them that was asked, or whose
    torchrun has trained the run before, is enough: that of another machine may be new.
    """
    (some,) = processes().sum(asked or agent() in _record(folder).get("agents", []))
    return some > 0


def add_agents(folder: Path, agents: list[str]) -> None:
    """Record that these torchruns train the run in a folder too. Raises RunError: the folder cannot be written."""
    record = _record(folder)
    known = record.get("agents", [])
    if set(agents) - {"", *known}:
        record["agents"] = sorted({*known, *agents} - {""})
        write_text(folder / "training.json", json.dumps(record, indent=1) + "\n")


def _record(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / "training.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
