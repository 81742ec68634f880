"""Real processes that train together, forked from a server that has imported everything already."""

import multiprocessing
import os
import socket
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["pytest", "torch._dynamo", "torch.distributed", "recurra.training", "small_task"])


def together(count: int, work: Callable[..., None], folder: Path, *arguments: Any) -> list[int]:
    """Call work(*arguments) in so many processes that `recurra.training.joined` can join; their exit codes.

    What they print goes to `output-RANK` in `folder`.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [context.Process(target=_one, args=(rank, count, port, work, folder, arguments)) for rank in range(count)]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
        process.kill()
        process.join()
    return [process.exitcode or 0 for process in started]


def _one(rank: int, count: int, port: int, work: Callable[..., None], folder: Path, arguments: tuple[Any, ...]) -> None:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()}
    import torch

    from recurra.training import joined

    torch.set_num_threads(1)
    with (folder / f"output-{rank}").open("w") as file, redirect_stdout(file), redirect_stderr(file), joined():
        try:
            work(*arguments)
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
            sys.exit(1)
