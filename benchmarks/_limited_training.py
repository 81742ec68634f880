"""Training in a process whose own memory is limited, and what it takes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

__all__ = ["COLUMNS", "Taken", "train_within"]

COLUMNS = {"cache": "6s", "seconds": "8.1f", "own memory, MB": "8.0f", "resident with pages of files, MB": "8.0f"}

_TRAIN = """
import json, resource, sys, threading, time
from recurra.cli.main import main

limit, result = int(sys.argv[1]) * 10**6, sys.argv[2]
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
peak = 0

def watch():
    global peak
    while True:
        with open("/proc/self/status") as status:
            own = next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
        peak = max(peak, own)
        time.sleep(0.01)

threading.Thread(target=watch, daemon=True).start()
began = time.perf_counter()
code = main(sys.argv[3:])
seconds = time.perf_counter() - began
resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open(result, "w") as file:
    json.dump({"seconds": seconds, "own": peak / 1000, "resident": resident / 1000}, file)
sys.exit(code)
"""


class Taken(NamedTuple):
    """What a training took: seconds, and the peaks of its own memory and of all that was resident, in megabytes."""

    seconds: float
    own: float
    resident: float


def train_within(limit: int, arguments: list[str], folder: Path, threads: int) -> Taken:
    """Run `recurra train` in a process of its own.

    Args:
        limit: megabytes of the process's own memory (RLIMIT_DATA).
        arguments: after `recurra train`.
        folder: for the cache, which later calls find again.
        threads: of the process.
    """
    result = folder / "result.json"
    environment = os.environ | {"RECURRA_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": str(threads)}
    environment |= {"POLARS_MAX_THREADS": str(threads)}
    command = [sys.executable, "-c", _TRAIN, str(limit), str(result), "train", *arguments]
    subprocess.run(command, check=True, env=environment)
    return Taken(**json.loads(result.read_text()))
