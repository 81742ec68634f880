"""Several processes that train one model, as `torchrun` starts them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed import PrefixStore, Store, TCPStore  # pyright: ignore[reportPrivateImportUsage]
from torch.nn.parallel import DistributedDataParallel

from recurra.data.batch import Share

__all__ = ["Processes", "joined", "processes", "was_restarted"]


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
    def share(self) -> Share:
        """This process's part of every batch."""
        return Share(self.rank, self.count)

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


def _store() -> Store:
    """Where processes find each other.

    torchrun keeps one store over its restarts, in which the addresses of processes that are gone still stand: each
    start has keys of its own.
    """
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    serves = os.environ["RANK"] == "0" and not agent
    store = TCPStore(host, port, int(os.environ["WORLD_SIZE"]), is_master=serves)
    return PrefixStore(f"recurra/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def was_restarted() -> bool:
    """Whether `torchrun` started this process in place of one that failed."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
