"""Predictions that are killed at random moments and started again."""

import multiprocessing
import random
import signal
import time
from pathlib import Path

import polars as pl
import pytest
from slow_pieces import predict_slowly
from small_tables import contents, run_of, steps, write_texts

from recurra.prediction import TableOptions, predict_files
from recurra.task import load

_OPTIONS = TableOptions(piece_rows=10)


def _broken_series(folder: Path) -> None:
    """Write series spread over three tables; some rows have no id."""
    folder.mkdir()
    missing = (pl.col("id") == "s7") & (pl.int_range(pl.len()) < 400)
    frame = steps(40, 40).with_columns(pl.when(missing).then(None).otherwise("id").alias("id"))
    for k in range(3):
        frame.filter(pl.int_range(pl.len()) % 3 == k).write_csv(folder / f"{k}.csv")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("task", ["classify", "forecast"])
def test_killed_ten_times_it_ends_with_the_same_bytes(task: str, tmp_path: Path) -> None:
    estimator = load(run_of(task, tmp_path / "run"))
    if task == "classify":
        write_texts(tmp_path / "in", (300, 41, 209))
        with open(tmp_path / "in" / "table1.csv", "a") as file:
            file.write("too,many,cells,here\n")
    else:
        _broken_series(tmp_path / "in")
    predict_files(estimator, tmp_path / "in", tmp_path / "whole", options=_OPTIONS, progress=False)
    whole, out = contents(tmp_path / "whole"), tmp_path / "out"
    # Each process has its own threads of polars, and its imports from the server that it is forked from.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["slow_pieces"])
    chance, parts = random.Random(0), []
    for kill in range(10):
        arguments = (tmp_path / "run", tmp_path / "in", out, _OPTIONS, 0.05)
        child = processes.Process(target=predict_slowly, args=arguments)
        child.start()
        # The first is killed before its first piece or soon after, the others after some progress.
        while kill and child.is_alive() and len(list(out.glob("part-*"))) <= parts[-1]:
            time.sleep(0.001)
        time.sleep(chance.random() * 0.1)
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL, "it ended before it was killed"
        there = {} if not out.exists() else contents(out)
        assert {name: one for name, one in there.items() if not name.startswith(".")}.items() <= whole.items()
        parts.append(sum(name.startswith("part-") for name in there))
    assert 0 < parts[-1] < len(whole) - 2
    predict_files(estimator, tmp_path / "in", out, options=_OPTIONS, progress=False)
    assert contents(out) == whole
    assert whole["bad_rows.csv"].count(b"\n") > 1
