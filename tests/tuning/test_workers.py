"""Searches in worker processes: divided threads, workers that die, and commands killed at random moments."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import recurra
from recurra.errors import ParameterError
from recurra.training import load_checkpoint
from recurra.tuning import Tuned
from recurra.tuning.workers import threads_each
from toy import Toy

ROWS = [[0.1 * k, 0.2, 0.1 * k + 0.2] for k in range(8)]


class Deadly(list):
    """Rows that kill the first other process that reads them, as if memory had run out there."""

    def __init__(self, rows: list[list[float]], flag: Path) -> None:
        super().__init__(rows)
        self.flag, self.home = flag, os.getpid()

    def __iter__(self) -> Any:
        if os.getpid() != self.home and not self.flag.exists():
            self.flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__iter__()

    def __reduce__(self) -> Any:
        return _deadly, (super().copy(), self.flag, self.home)


def _deadly(rows: list[list[float]], flag: Path, home: int) -> Deadly:
    made = Deadly(rows, flag)
    made.home = home
    return made


def test_cores_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert [threads_each(jobs) for jobs in (1, 3, 8, 20)] == [8, 2, 1, 1]
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert threads_each(1) == len(os.sched_getaffinity(0))


def test_what_workers_cannot_import_or_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ParameterError, match=r"jobs: expected 0 for data that cannot be pickled"):
        recurra.tune(Toy(), (row for row in [ROWS[0]]), validation=ROWS, folder=tmp_path / "a", jobs=1)
    monkeypatch.setattr(Toy, "__module__", "__main__")
    with pytest.raises(ParameterError, match=r"jobs: expected 0 for a class of the program itself"):
        recurra.tune(Toy(), ROWS, validation=ROWS, folder=tmp_path / "b", jobs=1)


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced_and_its_trial_recorded(tmp_path: Path) -> None:
    data = Deadly(ROWS, tmp_path / "flag")
    tuned = recurra.tune(
        Toy(max_steps=4, validate_every=2), data, validation=ROWS, folder=tmp_path / "tuned", trials=4, jobs=2
    )
    assert sorted(one.state for one in tuned.trials) == ["complete"] * 3 + ["failed"]
    (dead,) = [one for one in tuned.trials if one.state == "failed"]
    assert dead.reason == "its process was killed by SIGKILL; memory may have run out"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_command_killed_ten_times_comes_to_the_same_end(tmp_path: Path) -> None:
    source = random.Random(3)
    (tmp_path / "rows.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in ROWS))
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path}
    data = str(tmp_path / "rows.csv")
    options = ["--data", data, "--validation", data, "--max-steps", "200", "--validate-every", "10", "--trials", "8"]

    def start(name: str) -> "subprocess.Popen[bytes]":
        code = "import sys; from recurra.cli.main import main; sys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", code, "tune", "toy:Toy", *options, "--out", str(tmp_path / name)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)

    began = time.monotonic()
    assert start("whole").wait() == 0
    needed = time.monotonic() - began
    for _ in range(10):
        started = start("cut")
        time.sleep(source.uniform(0.2, 0.6) * needed)
        started.kill()
        started.wait()
    assert start("cut").wait() == 0
    whole, cut = (_read(tmp_path / name, data) for name in ("whole", "cut"))
    assert [_told(one) for one in cut.trials] == [_told(one) for one in whole.trials]
    found, expected = (load_checkpoint(one.run / "best.safetensors").tensors for one in (cut, whole))
    assert all(found[name].equal(expected[name]) for name in expected)
    assert {file.name for file in cut.folder.iterdir()} == {file.name for file in whole.folder.iterdir()}


def _read(folder: Path, data: str) -> Tuned:
    """A finished search."""
    toy = Toy(max_steps=200, validate_every=10)
    return recurra.tune(toy, data, validation=data, folder=folder, trials=8, progress=False)


def _told(one: Any) -> tuple[Any, ...]:
    return one.number, one.state, one.options, one.loss, one.losses, one.reason
