import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recurra.cli.main import main
from recurra.errors import DataError
from recurra.inspection import Inspection
from recurra.tasks.forecast import Forecaster
from recurra.tasks.forecast.inspect import inspect_forecaster


def _frame() -> pl.DataFrame:
    rows = []
    for name, n in (("a", 40), ("b", 60), ("short", 12)):
        for t in range(n):
            y = 20 + 5 * np.sin(2 * np.pi * t / 7) + np.cos(1.7 * t + len(name))
            rows.append((name, date(2024, 1, 1) + timedelta(days=t), None if t % 11 == 3 else y))
    return pl.DataFrame(rows, schema=["unique_id", "ds", "y"], orient="row")


def _fitted(**options: object) -> Forecaster:
    small = {"hidden_size": 4, "max_steps": 2, "batch_size": 8, "context_length": 8, "device": "cpu"}
    return Forecaster(horizon=5, **(small | options)).fit(_frame(), progress=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be written to."""
    folder = tmp_path_factory.mktemp("inspected") / "run"
    _fitted().save(folder)
    return folder


def _error(capsys: pytest.CaptureFixture[str]) -> str:
    found = capsys.readouterr().err
    assert found.count("\n") == 1, found
    return found.removeprefix("recurra: error: ").strip()


def test_inspect_writes_the_page(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "deep" / "page"
    assert main(["inspect", str(run), "--series", "b", "--out", str(target)]) == 0
    assert f"page, pictures and tables: {target / 'index.html'}" in capsys.readouterr().out
    page = (target / "index.html").read_text(encoding="utf-8")
    assert f"Inspection of {run}" in page
    assert "drawn is series &#x27;b&#x27;, with 2024-02-24 as its last step before the forecast" in page
    assert "context 8 steps, horizon 5" in page
    assert len(list(target.glob("*.png"))) == 9
    assert len(list(target.glob("*.csv"))) > 9
    assert not (run / "inspection").exists()


def test_the_page_goes_into_the_run_by_default(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []
    monkeypatch.setattr("recurra.tasks.forecast.inspect.write_inspection", lambda _, folder: written.append(folder))
    assert main(["inspect", str(run)]) == 0
    assert written == [run / "inspection"]


def test_what_cannot_be_inspected(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / "nothing")]) == 2
    assert "not a run" in _error(capsys)
    assert main(["inspect", str(run), "--series", "c", "--out", str(tmp_path / "page")]) == 2
    assert "c" in _error(capsys)
    assert main(["inspect", str(run), "--series", "short", "--out", str(tmp_path / "page")]) == 2
    assert "series 'short' is not long enough to look at" in _error(capsys)
    other = shutil.copytree(run, tmp_path / "other")
    values = json.loads((other / "run.json").read_text()) | {"task": "dreaming"}
    (other / "run.json").write_text(json.dumps(values))
    assert main(["inspect", str(other)]) == 2
    assert "a run of task 'dreaming'; `recurra inspect` knows forecast" in _error(capsys)


def test_encoder_and_decoder_are_named_and_joined() -> None:
    found = inspect_forecaster(_fitted())
    assert [row.name for row in found.unrolled.rows] == ["encoder to decoder"]
    assert found.unrolled.rows[0].starts == (0, 8)
    assert {gate.name for gate in found.gates} == {"encoder", "decoder"}
    assert found.words.first_step == -7
    _check_figures(found, steps=13)


@pytest.mark.parametrize("options", [{"model": "recursive", "cell": "gru"}, {"output": "normal", "num_layers": 2}])
def test_every_kind_of_forecaster(options: dict[str, object]) -> None:
    found = inspect_forecaster(_fitted(**options), series="a")
    _check_figures(found, steps=13)
    assert len(found.unrolled.rows) == options.get("num_layers", 1)


def _check_figures(found: Inspection, steps: int) -> None:
    assert found.unrolled.steps == steps
    assert found.unrolled.largest > 0
    assert all(np.isfinite(curve.norms).all() and len(curve.norms) == steps for curve in found.gradients.curves)
    assert all(np.isfinite(spectrum.largest) for spectrum in found.lyapunov)
    assert found.attribution is not None
    assert found.attribution.by_step.shape[1] == steps
    assert found.attribution.relative_residual < 0.05
    assert found.unseen == ()


def test_a_series_that_is_not_there() -> None:
    with pytest.raises(DataError):
        inspect_forecaster(_fitted(), series="nobody")
