"""A text larger than memory: what a training on it takes, within a limit of memory of the process's own.

A text is generated: lines of twelve words, sampled from 5,000. `recurra train language` trains a few steps on it in a
process whose own memory (RLIMIT_DATA: allocations and stacks) is limited, first with an empty cache, then again. Pages
of mapped files are not a process's own: the system drops them if it needs the room. Both are reported.
"""

import random
from argparse import ArgumentParser, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks._command import run_alone
from benchmarks._limited_training import COLUMNS, train_within
from benchmarks._report import Report


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
        f"Training 20 steps on a text of {options.megabytes} MB, with RLIMIT_DATA of {options.limit} MB", COLUMNS
    )
    with TemporaryDirectory() as place:
        folder = Path(place)
        text = folder / "large.txt"
        write_text(text, options.megabytes)
        sizes = "--validation-fraction 0.001 --hidden-size 16 --max-steps 20 --validate-every 20"
        for name in ("empty", "filled"):
            arguments = ["language", "--data", str(text), "--out", str(folder / name), "--tokens", options.tokens]
            table.add(name, *train_within(options.limit, [*arguments, *sizes.split()], folder, options.threads))


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
