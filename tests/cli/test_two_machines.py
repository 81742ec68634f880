"""Two machines train one run: one is cut off, one dies and comes back, and their number changes on the way."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from machines import Machine, two_machines
from torchruns import STEPS, train, wait_for_step

from recurra.training import load_last, read_log

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def rendezvous(host: Machine, count: str) -> tuple[str, ...]:
    """The options of torchrun; a machine that is silent for three seconds is not waited for."""
    place = ("--rdzv-backend", "c10d", "--rdzv-endpoint", f"{host.name}:29400", "--rdzv-id", "waves")
    patience = ("--rdzv-conf", "keep_alive_interval=1,last_call_timeout=3")
    return ("--nnodes", count, "--nproc-per-node", "1", "--max-restarts", "3", *place, *patience)


def last_step(folder: Path) -> int:
    return max(int(row["step"]) for row in read_log(folder / "log.csv"))


def end(*started: subprocess.Popen[str]) -> None:
    for process in started:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err


def test_one_is_cut_off_and_one_dies_and_comes_back(waves: Path, two: Path, tmp_path: Path) -> None:
    """The one that dies is the first by rank, which writes the run; the other holds the rendezvous."""
    folder = tmp_path / "run"
    with two_machines() as (first, second):
        options = rendezvous(second, "2")
        dying, staying = (one.torchrun(train(waves, folder), *options) for one in (first, second))
        wait_for_step(folder, 60)
        first.cut_off()
        time.sleep(1)
        reached = last_step(folder)
        time.sleep(8)
        assert last_step(folder) == reached < STEPS
        first.bring_back()
        wait_for_step(folder, reached + 40)
        first.kill()
        dying.communicate()
        time.sleep(5)
        assert last_step(folder) < STEPS
        end(first.torchrun(train(waves, folder), *options), staying)
    for name in ("best.safetensors", "log.csv", "health.csv"):
        assert (folder / name).read_bytes() == (two / name).read_bytes(), name


def test_their_number_changes_from_two_to_one_to_two(waves: Path, tmp_path: Path) -> None:
    """Batches and their order are the same: so are the losses, but for rounding, which training amplifies.

    There are as many steps as the one that stays alone makes until the other is back, and more.
    """
    steps, folder, alone = 5000, tmp_path / "run", tmp_path / "alone"
    with two_machines() as (first, second):
        options = rendezvous(first, "1:2")
        staying, dying = (one.torchrun(train(waves, folder, steps), *options) for one in (first, second))
        wait_for_step(folder, 60)
        second.kill()
        dying.communicate()
        wait_for_processes(folder, 1)
        coming = second.torchrun(train(waves, folder, steps), *options)
        wait_for_processes(folder, 2)
        wait_for_step(folder, last_step(folder) + 30)
        for one in (staying, coming):
            one.send_signal(signal.SIGTERM)
        _, err = staying.communicate(timeout=100)
        coming.communicate(timeout=100)
    down, up = (
        re.search(rf"from step (\d+) on the number of processes is {change}", err) for change in ("1 in", "2 in")
    )
    assert down is not None
    assert up is not None
    last = int(up[1]) + 20
    assert int(down[1]) < int(up[1]) < last <= last_step(folder)
    reference = subprocess.Popen(
        [sys.executable, "-m", "recurra", *train(waves, alone, steps)], stderr=subprocess.DEVNULL
    )
    wait_for_step(alone, last)
    reference.terminate()
    reference.wait(60)
    for column in ("step", "loss", "validation_loss"):
        expected, losses = (
            [float(row[column]) for row in read_log(one / "log.csv") if row[column] and int(row["step"]) <= last]
            for one in (alone, folder)
        )
        assert losses == pytest.approx(expected, rel=1e-4, abs=1e-5)


def wait_for_processes(folder: Path, count: int) -> None:
    """Wait for a checkpoint of so many processes."""
    deadline = time.monotonic() + 200
    while load_last(folder).values["processes"] != count:
        assert time.monotonic() < deadline, f"{count} processes did not begin"
        time.sleep(0.2)
