"""Predictions by the workers of Ray."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_tables import contents, run_of, steps, write_texts

from process_tree import descendants, name_of
from recurra.errors import DataError, ParameterError
from recurra.prediction import TableOptions, predict_files

pytest.importorskip("ray.data", reason="needs the extra ray", exc_type=ImportError)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200), pytest.mark.filterwarnings("ignore")]

COMMAND = "import sys; from recurra.cli.main import main; sys.exit(main(sys.argv[1:]))"


def command(run: Path, data: str, out: Path, *more: str) -> list[str]:
    fixed = ["--data", data, "--out", str(out), "--piece-rows", "10"]
    return [sys.executable, "-c", COMMAND, "predict", str(run), *fixed, *more]


@pytest.mark.parametrize("task", ["classify", "tag", "forecast"])
def test_bytes_are_those_of_one_process(task: str, tmp_path: Path) -> None:
    run = run_of(task, tmp_path / "run")
    if task == "forecast":
        (tmp_path / "in").mkdir()
        frame = steps(6, 40)
        frame[::2].write_parquet(tmp_path / "in" / "a.parquet")
        frame[1::2].write_parquet(tmp_path / "in" / "b.parquet")
        data = str(tmp_path / "in")
    else:
        data = f"file://{write_texts(tmp_path / 'in', (31, 12), '.parquet')}"
    for engine, more in (("local", ()), ("ray", ("--workers", "2"))):
        done = subprocess.run(
            command(run, data, tmp_path / engine, "--engine", engine, *more),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")


def test_a_worker_that_is_killed_loses_nothing(text_run: Path, tmp_path: Path) -> None:
    pattern = write_texts(tmp_path / "in", (900,))
    subprocess.run(command(text_run, pattern, tmp_path / "local"), check=True, capture_output=True)
    out = tmp_path / "ray"
    process = subprocess.Popen(
        command(text_run, pattern, out, "--engine", "ray", "--workers", "2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while process.poll() is None and len(list(out.glob("part-*"))) < 5:
        time.sleep(0.02)
    killed = [pid for pid in descendants(process.pid) if "_Worker" in name_of(pid)][:1]
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    output = process.communicate()[0]
    assert process.returncode == 0, output
    assert killed
    assert contents(out) == contents(tmp_path / "local")


def test_an_error_of_a_worker_is_one_line(text_run: Path, tmp_path: Path) -> None:
    import ray

    pattern = write_texts(tmp_path / "in", (30,), ".parquet")
    source = tmp_path / "in" / "table0.parquet"
    content = bytearray(source.read_bytes())
    content[len(content) // 4 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 4)
    source.write_bytes(content)
    with pytest.raises(DataError, match=r"table0\.parquet: rows \d+ to \d+ are damaged") as damaged:
        predict_files(text_run, pattern, tmp_path / "out", options=TableOptions(engine="ray", piece_rows=10))
    assert "\n" not in str(damaged.value)
    assert not ray.is_initialized()
    with pytest.raises(ParameterError, match="address"):
        predict_files(text_run, pattern, tmp_path / "b", options=TableOptions(engine="ray", address="127.0.0.1:1"))
