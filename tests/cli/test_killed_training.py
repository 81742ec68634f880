"""A command of training that is killed again and again ends as one that nothing disturbed, bit for bit."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recurra.training import load_last, read_log

KILLS, STEPS = 10, 6000


def command(text: Path, folder: Path) -> list[str]:
    """Train on a text that is read through the cache, with dropout and carried states."""
    options = {
        "data": text,
        "out": folder,
        "map-above": 0,
        "hidden-size": 4,
        "dropout": 0.2,
        "batch-size": 4,
        "truncation-length": 10,
        "max-steps": STEPS,
        "validate-every": 100,
    }
    return ["train", "language", *(str(part) for name, value in options.items() for part in (f"--{name}", value))]


def start(text: Path, folder: Path, cache: Path) -> "subprocess.Popen[str]":
    """Start the command, with `--resume` if there is a run to resume."""
    resume = ["--resume"] if (folder / "best.safetensors").exists() else []
    environment = os.environ | {"RECURRA_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "recurra", *command(text, folder), *resume],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: "subprocess.Popen[str]") -> None:
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err


def logged(folder: Path) -> int:
    """The last step of the log; 0: there is none yet."""
    rows = read_log(folder / "log.csv")
    return int(rows[-1]["step"]) if rows else 0


def wait(process: "subprocess.Popen[str]", seconds: float, reached: Callable[[], bool]) -> None:
    """Wait until the process has reached something, has ended, or so long."""
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until and not reached():
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_ten_random_moments(tmp_path: Path) -> None:
    text, chance = tmp_path / "a.txt", random.Random(5)
    lines = (" ".join(chance.choices(["on", "and", "so", "it", "goes"], k=9)) for _ in range(2000))
    text.write_text("\n".join(lines) + "\n")
    straight, folder = tmp_path / "straight", tmp_path / "run"
    caches = tmp_path / "cache", tmp_path / "other"
    began = time.monotonic()
    process = start(text, straight, caches[0])
    wait(process, 600, lambda: logged(straight) > 0)
    ready = time.monotonic() - began
    end(process)
    reached = []
    for kill in range(KILLS):
        process = start(text, folder, caches[1])
        before = logged(folder)
        if kill in (0, 4):
            # While it imports, reads the text, or resumes.
            wait(process, chance.uniform(0, ready), lambda at=before: logged(folder) != at)
        else:
            # Once it has trained a while. The rows of steps after its checkpoint go first.
            wait(process, 600, lambda at=before: 0 != logged(folder) != at)
            step = logged(folder) + chance.randrange(STEPS // KILLS)
            wait(process, 600, lambda step=step: logged(folder) >= step)
        process.kill()
        _, err = process.communicate()
        assert process.returncode == -signal.SIGKILL, f"it ended by itself after {kill} kills: {err}"
        if (folder / "best.safetensors").exists():
            reached.append(load_last(folder).values["step"])
    assert reached == sorted(reached)
    assert len(set(reached)) > KILLS / 3
    assert reached[-1] < STEPS
    end(start(text, folder, caches[1]))
    for name in ("best.safetensors", "log.csv", "health.csv", "skipped.csv"):
        assert (folder / name).read_bytes() == (straight / name).read_bytes(), name
    assert {file.name for file in folder.iterdir()} == {file.name for file in straight.iterdir()}
    # Facts about files are stored with the time, and by names that come from the folder.
    whole, other = (
        {file.name: file.read_bytes() for file in (cache / "tokens").rglob("*") if file.is_file()} for cache in caches
    )
    assert whole
    assert other == whole
