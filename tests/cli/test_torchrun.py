"""`torchrun -m recurra train`: real processes; they train as one does, and one that is killed is started again."""

import os
import signal
from pathlib import Path

import pytest
from torchruns import ONE_MACHINE, STEPS, free_port, torchrun, train, wait_for_step

from recurra.cli.main import main
from recurra.training import read_log


def test_two_processes_have_the_loss_curve_of_one(waves: Path, two: Path, tmp_path: Path) -> None:
    assert main(train(waves, tmp_path / "one")) == 0
    one, other = (read_log(folder / "log.csv") for folder in (tmp_path / "one", two))
    assert len(one) > 30
    for column in ("step", "loss", "validation_loss"):
        expected = [float(row[column]) for row in one if row[column]]
        assert [float(row[column]) for row in other if row[column]] == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert {path.name for path in two.iterdir()} == {path.name for path in (tmp_path / "one").iterdir()}


def workers(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_worker_killed_is_started_again_from_the_last_checkpoint(
    rank: int, waves: Path, two: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    process = torchrun(train(waves, folder), *ONE_MACHINE, "--max-restarts", "1")
    wait_for_step(folder, 60)
    os.kill(workers(process.pid)[rank], signal.SIGKILL)
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    assert f"trained {STEPS} steps" in out
    assert "exitcode: -9" in err
    assert "Traceback" not in err
    assert "contact with another process is lost" in err
    for name in ("best.safetensors", "log.csv", "health.csv"):
        assert (folder / name).read_bytes() == (two / name).read_bytes(), name


@pytest.mark.slow
def test_two_torchruns_as_on_two_machines_go_on_where_a_worker_is_killed(
    waves: Path, two: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    options = ("--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--max-restarts", "3")
    place = ("--rdzv-endpoint", f"localhost:{free_port()}", "--rdzv-id", "waves")
    machines = [torchrun(train(waves, folder), *options, *place) for _ in range(2)]
    wait_for_step(folder, 60)
    os.kill(workers(machines[1].pid)[0], signal.SIGKILL)
    for machine in machines:
        _, err = machine.communicate(timeout=240)
        assert machine.returncode == 0, err
    for name in ("best.safetensors", "log.csv", "health.csv"):
        assert (folder / name).read_bytes() == (two / name).read_bytes(), name


@pytest.mark.slow
def test_a_run_that_was_refused_is_not_gone_on_with(waves: Path, two: Path) -> None:
    before = (two / "log.csv").read_bytes()
    process = torchrun(train(waves, two), *ONE_MACHINE, "--max-restarts", "1")
    _, err = process.communicate(timeout=180)
    assert process.returncode == 1
    assert err.count("already holds a run") == 2
    assert (two / "log.csv").read_bytes() == before
