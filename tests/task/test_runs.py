"""Runs side by side, without loading them."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from recurra.cli.main import main
from recurra.errors import RunError
from recurra.task import runs_in
from toy import Toy

ROWS = [[0.1 * k, 0.2, 0.3 * k] for k in range(6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs")
    Toy(max_steps=3).fit(ROWS, validation=ROWS, folder=path / "small", progress=False)
    large = Toy(max_steps=4, hidden_size=9).fit(ROWS, folder=path / "deep" / "large", progress=False)
    large.evaluate(ROWS).write(path / "deep" / "large" / "evaluation")
    (path / ".hidden").mkdir()
    (path / ".hidden" / "run.json").write_text("{}")
    return path


def test_options_that_differ_scores_time_and_size(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = runs_in(folder)
    assert [run.name for run in found.runs] == ["deep/large", "small"]
    assert found.differing == ["max_steps", "hidden_size"]
    large, small = found.runs
    assert (large.steps, small.steps) == (4, 3)
    assert large.evaluation is not None
    assert large.evaluation[0] == "MSE"
    assert small.validation.startswith("loss ")
    assert large.parameters == sum(one.numel() for one in Toy.load(folder / "deep/large").fitted.network.parameters())
    assert small.size == sum(file.stat().st_size for file in (folder / "small").iterdir())
    assert small.has_weights
    assert main(["runs", str(folder)]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split()[-2:] == ["max-steps", "hidden-size"]
    assert table[1].split()[-2:] == ["4", "9"]


def test_as_csv_and_json(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", str(folder), "--format", "csv"]) == 0
    printed = capsys.readouterr().out
    assert [row["hidden_size"] for row in csv.DictReader(printed.splitlines())] == ["9", "4"]
    for ending in ("csv", "json"):
        assert main(["runs", str(folder), "--out", str(tmp_path / f"runs.{ending}")]) == 0
    assert (tmp_path / "runs.csv").read_text() == printed
    values = json.loads((tmp_path / "runs.json").read_text())
    assert [one["options"]["hidden_size"] for one in values] == [9, 4]
    assert main(["runs", str(folder), "--out", str(tmp_path / "runs.png")]) == 2


def test_damaged_runs_are_named_and_left_out(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "run.json").write_text('{"task": "toy", ')
    with pytest.raises(RunError, match=r"cut/run\.json: damaged"):
        runs_in(tmp_path / "cut")
    assert len(runs_in(folder).damaged) == 0
    with pytest.raises(RunError, match="no folder there"):
        runs_in(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="holds no run"):
        runs_in(tmp_path / "empty")
    assert main(["runs"]) == 2
    assert "FOLDER" in capsys.readouterr().err


def test_no_torch_is_imported(folder: Path) -> None:
    code = "import sys; from recurra.cli.main import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code, "runs", str(folder)], check=True, capture_output=True)
