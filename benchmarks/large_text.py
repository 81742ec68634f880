"""A text larger than memory: what a training on it takes, within a limit of memory of the process's own.

A text is generated: lines of twelve words, sampled from 5,000. `recurra train language` trains a few steps on it in a
process whose own memory (RLIMIT_DATA: allocations and stacks) is limited, first with an empty cache, then again. Pages
of mapped files are not a process's own: the system drops them if it needs the room. Both are reported.
"""

import json
import os
import random
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks._command import run_alone
from benchmarks._report import Report

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


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--megabytes", type=int, default=2000, help="of text")
    parser.add_argument("--limit", type=int, default=1000, help="megabytes of memory of the process's own")
    parser.add_argument("--tokens", default="characters", help="kind of tokens")


def write_text(path: Path, megabytes: int) -> None:
    """Write lines of words, 20 orders of each 5,000."""
    chance = random.Random(2)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(5000)]
    with path.open("w") as file:
        while file.tell() < megabytes * 1_000_000:
            lines = [" ".join(chance.choices(words, k=12)) for _ in range(5000)]
            for _ in range(20):
                chance.shuffle(lines)
                file.write("\n".join(lines) + "\n")


def measure(options: Namespace, report: Report) -> None:
    table = report.table(
        f"Training 20 steps on a text of {options.megabytes} MB, with RLIMIT_DATA of {options.limit} MB",
        {"cache": "6s", "seconds": "8.1f", "own memory, MB": "8.0f", "resident with pages of files, MB": "8.0f"},
    )
    with TemporaryDirectory() as place:
        folder = Path(place)
        text, result = folder / "large.txt", folder / "result.json"
        write_text(text, options.megabytes)
        sizes = "--validation-fraction 0.001 --hidden-size 16 --max-steps 20 --validate-every 20"
        environment = os.environ | {"RECURRA_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": str(options.threads)}
        for name in ("empty", "filled"):
            command = [sys.executable, "-c", _TRAIN, str(options.limit), str(result), "train", "language"]
            command += ["--data", str(text), "--out", str(folder / name), "--tokens", options.tokens, *sizes.split()]
            subprocess.run(command, check=True, env=environment)
            figures = json.loads(result.read_text())
            table.add(name, figures["seconds"], figures["own"], figures["resident"])


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
