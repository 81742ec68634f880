"""Training interrupted or killed, by processes: the run can always be used, and goes on to the same end.

The command line itself is started for one SIGINT and one SIGKILL. The other processes are forked from a server that has
imported everything already, and are killed before or after each of their renames in turn, or at random moments.
"""

import contextlib
import math
import multiprocessing
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from recurra.cli.main import main
from recurra.training import has_run, read_log

FILES = (
    *("best.safetensors", "health.csv", "learned.json", "learned.safetensors", "log.csv", "run.json"),
    *("skipped.csv", "time.csv", "training.json", "training.png"),
)
STEPS, LONG = 12, 100  # of the runs killed at a rename, and of the others
OPTIONS = ("--horizon", "4", "--hidden-size", "4", "--batch-size", "4", "--dropout", "0.2")

_context = multiprocessing.get_context("forkserver")
# torch imports torch._dynamo with the first optimiser, matplotlib its backend with the first picture.
_context.set_forkserver_preload(
    [
        "pytest",
        "torch._dynamo",
        "matplotlib.backends.backend_agg",
        "recurra.cli.commands",
        "recurra.tasks.forecast.results",
        "recurra.tasks.forecast.training",
    ]
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "waves.csv"
    lines = [f"{name},{t},{math.sin(t / 3 + at):.4f}" for at, name in enumerate("ab") for t in range(80)]
    path.write_text("\n".join(["unique_id,ds,y", *lines]) + "\n")
    return path


def train(data: Path, folder: Path, max_steps: int, *more: str) -> list[str]:
    """The arguments of the command line."""
    every = "5" if max_steps == STEPS else "25"
    return [
        "train",
        "forecast",
        "--data",
        str(data),
        "--out",
        str(folder),
        "--max-steps",
        str(max_steps),
        "--validate-every",
        every,
        *OPTIONS,
        *more,
    ]


def command(arguments: list[str]) -> subprocess.Popen[str]:
    """`python -m recurra`, started."""
    return subprocess.Popen(
        [sys.executable, "-m", "recurra", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def child(arguments: list[str], output: Path, kill_at: int | None = None) -> None:
    """The command line in a forked process; killed at a moment of its renames, counted before and after each."""
    moments = iter(range(10_000))
    rename = os.replace

    def counted(source: Path, target: Path) -> None:
        if next(moments) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)
        if next(moments) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = counted  # type: ignore[assignment]
    with output.open("w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        status = main(arguments)
        print(f"{next(moments)} moments")
    sys.exit(status)


def fork(arguments: list[str], output: Path, kill_at: int | None = None) -> BaseProcess:
    process = _context.Process(target=child, args=(arguments, output, kill_at))
    process.start()
    return process


def run(arguments: list[str], output: Path) -> str:
    """Run to the end, without fault; what was printed."""
    process = fork(arguments, output)
    process.join()
    assert process.exitcode == 0, output.read_text()
    return output.read_text()


def wait_for_step(folder: Path, step: int) -> None:
    deadline = time.monotonic() + 120
    while not any(int(row["step"]) >= step for row in read_log(folder / "log.csv")):
        assert time.monotonic() < deadline, "training did not begin"
        time.sleep(0.01)


def assert_same_run(folder: Path, straight: Path) -> None:
    """The same weights and the same log, bit for bit, and nothing left lying about."""
    for name in ("best.safetensors", "log.csv", "health.csv", "skipped.csv"):
        assert (folder / name).read_bytes() == (straight / name).read_bytes(), name
    left, expected = ({file.name for file in path.iterdir()} - {"forecast.csv"} for path in (folder, straight))
    assert left == expected
    assert {name for name in expected if not name.startswith("checkpoint-")} == set(FILES)


def finish(data: Path, folder: Path, max_steps: int, output: Path, killed_at: str) -> None:
    """Use the run that a killed process left, and bring it to its end."""
    if has_run(folder):
        run(["predict", str(folder)], output)
        assert (folder / "forecast.csv").read_text().startswith("unique_id,ds,"), killed_at
        run(train(data, folder, max_steps, "--resume"), output)
    else:
        run(train(data, folder, max_steps), output)


@pytest.fixture(scope="module")
def straight(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `STEPS` steps that nothing disturbed; what it printed is beside it."""
    folder = tmp_path_factory.mktemp("straight") / "run"
    run(train(data, folder, STEPS), folder.parent / "output")
    return folder


def kill_and_finish(data: Path, straight: Path, moment: int, tmp_path: Path) -> bool:
    """Whether the process was killed at that moment of its renames, there being so many."""
    folder, output = tmp_path / f"{moment}", tmp_path / "output"
    process = fork(train(data, folder, STEPS), output, moment)
    process.join()
    if process.exitcode == 0:
        return False
    assert process.exitcode == -signal.SIGKILL, output.read_text()
    finish(data, folder, STEPS, output, f"moment {moment}")
    assert_same_run(folder, straight)
    return True


def moments(straight: Path) -> int:
    """The moments before and after renames in a whole training."""
    return int((straight.parent / "output").read_text().split()[-2])


def test_killed_around_the_renames_at_the_start_and_at_the_first_best(
    data: Path, straight: Path, tmp_path: Path
) -> None:
    # In turn: the two files of what was learned, run.json, the four tables, training.json, the first checkpoint,
    # best; then at the first validation best and the second checkpoint.
    for moment in (3, 15, 19):
        assert kill_and_finish(data, straight, moment, tmp_path)


@pytest.mark.slow
def test_killed_before_and_after_every_rename(data: Path, straight: Path, tmp_path: Path) -> None:
    count = moments(straight)
    assert count > 20
    for moment in range(count):
        assert kill_and_finish(data, straight, moment, tmp_path)


@pytest.fixture(scope="module")
def long(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A run of `LONG` steps that nothing disturbed, and the seconds it took."""
    folder = tmp_path_factory.mktemp("long") / "run"
    began = time.monotonic()
    run(train(data, folder, LONG), folder.parent / "output")
    return folder, time.monotonic() - began


def kill_at_random(data: Path, long: tuple[Path, float], tmp_path: Path, count: int) -> None:
    straight, seconds = long
    output = tmp_path / "output"
    generator = random.Random(3)
    for number in range(count):
        folder = tmp_path / f"{number}"
        delay = generator.uniform(0, seconds)
        process = fork(train(data, folder, LONG), output)
        process.join(delay)
        process.kill()
        process.join()
        if process.exitcode != 0:  # it may have been quicker than the one before
            finish(data, folder, LONG, output, f"{delay:.3f} s")
        assert_same_run(folder, straight)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_fifty_random_moments(data: Path, long: tuple[Path, float], tmp_path: Path) -> None:
    kill_at_random(data, long, tmp_path, 50)


def test_the_command_line_interrupted(data: Path, long: tuple[Path, float], tmp_path: Path) -> None:
    folder, output = tmp_path / "run", tmp_path / "output"
    process = command(train(data, folder, LONG))
    wait_for_step(folder, 40)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "2 series of 80 steps" in out
    assert "Traceback" not in err
    assert f"and saved; resume with: {shlex.join(['recurra', *train(data, folder, LONG), '--resume'])}" in err
    run(["predict", str(folder)], output)
    refused = fork(train(data, folder, LONG), output)
    refused.join()
    assert refused.exitcode == 2
    assert "already holds a run. Resume it (--resume)" in output.read_text()
    run(train(data, folder, LONG, "--resume"), output)
    assert_same_run(folder, long[0])


@pytest.mark.slow
def test_the_command_line_killed(data: Path, long: tuple[Path, float], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = command(train(data, folder, LONG))
    wait_for_step(folder, 40)
    process.kill()
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert has_run(folder)
    assert f"trained {LONG} steps" in run(train(data, folder, LONG, "--resume"), tmp_path / "output")
    assert_same_run(folder, long[0])
