import csv
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recurra.cli.commands import parser_of
from recurra.cli.main import main
from recurra.tasks.forecast import Forecaster, ForecastReading

SMALL = ["--hidden-size=8", "--max-steps=3", "--batch-size=8", "--context-length=8", "--device=cpu"]


def _write(path: Path, lengths: dict[str, int] | None = None, first: int = 0) -> Path:
    """Daily series with a weekly season and two covariates."""
    lines = ["unique_id,ds,y,price,load"]
    for name, n in ({"a": 50, "b": 60} if lengths is None else lengths).items():
        for t in range(first, first + n):
            y = 20 + 5 * np.sin(2 * np.pi * t / 7) + np.cos(1.7 * t + len(name))
            lines.append(f"{name},{np.datetime64('2024-01-01') + t},{y:.3f},{t % 5},{y * 2:.2f}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return _write(tmp_path / "data.csv")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two folds of five steps held out; not to be written to."""
    folder = tmp_path_factory.mktemp("trained")
    _write(folder / "data.csv", {"a": 50, "b": 60, "c": 23})
    assert _train(folder / "data.csv", folder / "run") == 0
    return folder / "run"


def _train(data: Path, out: Path, *options: str) -> int:
    return main(["train", "forecast", "--data", str(data), "--out", str(out), "--horizon=5", *SMALL, *options])


def _error(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error."""
    found = capsys.readouterr().err
    assert found.count("\n") == 1, found
    assert found.startswith("recurra: error: "), found
    return found.removeprefix("recurra: error: ").strip()


def _is_png(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n") and path.stat().st_size > 1000


def test_train_evaluate_predict(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = tmp_path / "deep" / "run"
    assert _train(data, run) == 0
    found = capsys.readouterr()
    assert "2 series of 50 to 60 steps, frequency 1d, season 7; the last 10 of each are held out" in found.out
    assert f"next: recurra evaluate {run}" in found.out
    assert found.err == ""
    assert _is_png(run / "training.png")

    assert main(["evaluate", str(run)]) == 0
    found = capsys.readouterr().out
    assert "backtest: 4 forecasts of 5 steps, 2 series, MASE over a season of 7" in found
    assert re.search(r"^seasonal naive +[\d.]+", found, re.MULTILINE)
    methods = json.loads((run / "evaluation" / "evaluation.json").read_text())["methods"]
    assert list(methods) == ["model", "seasonal naive", "naive"]
    assert list(methods["model"]) == ["MAE", "RMSE", "sMAPE", "MASE", "wQL", "80 % coverage"]
    assert f"{methods['model']['MAE']:.4g}" in found
    with (run / "evaluation" / "by_series.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 6
    assert pl.read_csv(run / "evaluation" / "forecasts.csv").height == 20
    assert _is_png(run / "evaluation" / "forecasts.png")
    assert _is_png(run / "evaluation" / "error_by_step.png")
    assert _is_png(run / "evaluation" / "coverage_by_step.png")

    assert main(["predict", str(run), "--picture", str(tmp_path / "new" / "p.png")]) == 0
    assert "5 steps of 2 series" in capsys.readouterr().out
    forecast = pl.read_csv(run / "forecast.csv", try_parse_dates=True)
    assert forecast.columns == ["unique_id", "ds", "forecast", *(f"q0.{k}" for k in range(1, 10))]
    assert forecast["ds"].dt.date().cast(pl.String).to_list()[::5] == ["2024-02-20", "2024-03-01"]
    assert _is_png(tmp_path / "new" / "p.png")


def test_covariates_and_parquet(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    parquet = tmp_path / "data.parquet"
    pl.read_csv(data, try_parse_dates=True).write_parquet(parquet)
    run = tmp_path / "run"
    assert (
        _train(parquet, run, "--known", "price", "--past=load", "--conformal=true", "--quantiles", "0.1,0.5,0.9") == 0
    )
    capsys.readouterr()
    assert main(["predict", str(run)]) == 2
    assert "series 'a' has 0 of 5 future rows of the known covariates (price)" in _error(capsys)
    ahead = [("a", 50), ("b", 60)]
    rows = [f"{n},{np.datetime64('2024-01-01') + t},{t % 5}" for n, end in ahead for t in range(end, end + 5)]
    (tmp_path / "future.csv").write_text("\n".join(["unique_id,ds,price", *rows]))
    out = tmp_path / "out.parquet"
    assert main(["predict", str(run), "--future", str(tmp_path / "future.csv"), "--out", str(out)]) == 0
    assert pl.read_parquet(out).columns == ["unique_id", "ds", "forecast", "q0.1", "q0.5", "q0.9"]


def test_newer_and_other_data(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    newer = _write(tmp_path / "newer.csv", {"a": 57, "zebra": 30})
    assert main(["predict", str(trained), "--data", str(newer), "--out", str(tmp_path / "f.csv")]) == 0
    assert pl.read_csv(tmp_path / "f.csv")["unique_id"].to_list() == ["a"] * 5 + ["zebra"] * 5
    assert main(["evaluate", str(trained), "--data", str(newer), "--folds=2", "--out", str(tmp_path / "e")]) == 0
    assert "4 forecasts of 5 steps, 2 series" in capsys.readouterr().out
    following = _write(tmp_path / "test.csv", {"a": 5}, first=50)
    with following.open("a") as file:
        file.write(_write(tmp_path / "b.csv", {"b": 5}, first=60).read_text().split("\n", 1)[1])
        file.write(_write(tmp_path / "c.csv", {"c": 5}, first=23).read_text().split("\n", 1)[1])
    assert main(["evaluate", str(trained), "--test", str(following), "--out", str(tmp_path / "t")]) == 0
    assert "3 forecasts of 5 steps, 3 series" in capsys.readouterr().out


def test_series_too_short_for_all_folds_are_named(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    other = _write(tmp_path / "other.csv", {"x": 60, "y": 20, "z": 14})
    assert main(["evaluate", str(trained), "--data", str(other), "--folds=3", "--out", str(tmp_path / "e")]) == 0
    assert "Too short for all 3 folds, with those they have: 'y' (2), 'z' (1)" in capsys.readouterr().out


def test_refit_and_chosen_series(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    options = ["--refit", "--folds=2", "--step=3", "--series", "b,a", "--out", str(tmp_path / "e")]
    assert main(["evaluate", str(trained), *options]) == 0
    assert "6 forecasts of 5 steps, 3 series" in capsys.readouterr().out
    assert _is_png(tmp_path / "e" / "forecasts.png")


def test_resuming_a_finished_run_changes_nothing(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = tmp_path / "run"
    assert _train(data, run) == 0
    assert main(["predict", str(run), "--out", str(tmp_path / "first.csv")]) == 0
    assert _train(data, run, "--resume") == 0
    assert main(["predict", str(run), "--out", str(tmp_path / "second.csv")]) == 0
    assert (tmp_path / "first.csv").read_bytes() == (tmp_path / "second.csv").read_bytes()


def test_a_configuration_file_and_the_command_line_over_it(data: Path, tmp_path: Path):
    config = tmp_path / "run.yaml"
    config.write_text(
        f"data: {data}\nout: {tmp_path / 'run'}\nhorizon: 5\nknown: [price]\nseasons: [7]\nquantiles: [0.1, 0.5, 0.9]\n"
        "hidden_size: 6\nmax_steps: 7\nbatch_size: 8\nconformal: true\nfolds: 1\ndevice: cpu\n"
    )
    assert main(["train", "forecast", "--config", str(config), "--max-steps", "2", "--hidden_size=4"]) == 0
    fitted = Forecaster.load(tmp_path / "run").fitted
    options = fitted.options
    assert (options["max_steps"], options["hidden_size"], options["batch_size"]) == (2, 4, 8)
    assert (options["seasons"], options["quantiles"], options["conformal"]) == ((7,), (0.1, 0.5, 0.9), True)
    assert fitted.learned.held_out == 5
    assert fitted.reading == ForecastReading(known=("price",), frequency="1d")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--conformal"], True),
        (["--no-conformal"], False),
        (["--no_conformal"], False),
        (["--conformal", "false"], False),
        (["--conformal=no"], False),
        (["--no-conformal", "--conformal=true"], True),
    ],
)
def test_what_is_true_or_false_is_written_in_any_common_way(arguments: list[str], expected: bool):
    assert parser_of("train", Forecaster).parse(arguments) == {"conformal": expected}


def test_the_help_names_how_to_turn_off_what_is_on(capsys: pytest.CaptureFixture[str]):
    assert main(["train", "forecast", "--help-all"]) == 0
    found = " ".join(capsys.readouterr().out.split())
    assert "(default: true; --no-header for false)" in found
    assert found.count("--no-header") == 1


def test_every_option_arrives_under_its_name(data: Path, tmp_path: Path):
    """A value of its own for every option of a forecaster, written with hyphens or underscores."""
    values: dict[str, object] = {
        "seasons": (3, 7), "context_length": 9, "model": "recursive", "cell": "gru", "num_layers": 2, "hidden_size": 5,
        "dropout": 0.25, "output": "normal", "quantiles": (0.2, 0.5, 0.8), "conformal": True, "sample_paths": 11,
        "nonnegative": True, "calendar": False, "validation_windows": 2, "batch_size": 3, "horizon": 3, "folds": 1,
        "holidays": "US", "map_above": 7, "learning_rate": 0.003, "patience": 9,
    }  # fmt: skip
    own = {name for name in Forecaster.__annotations__ if name in Forecaster.settings()}
    assert set(values) == own
    texts = {n: ",".join(map(str, v)) if isinstance(v, tuple) else str(v) for n, v in values.items()}
    options = [
        text
        for k, (name, value) in enumerate(texts.items())
        for text in (f"--{name.replace('_', '-') if k % 2 else name}", value)
    ]
    more = ["--max-steps=2", "--device=cpu", "--out", str(tmp_path / "run")]
    assert main(["train", "forecast", "--data", str(data), *options, *more]) == 0
    found = Forecaster.load(tmp_path / "run")
    assert {name: getattr(found, name) for name in values} == values


BAD_DATA = {
    "missing file": (None, "data.csv: "),
    "empty file": ("", "data.csv"),
    "header only": ("unique_id,ds,y\n", "data.csv: no rows"),
    "no target": ("unique_id,ds,z\na,2024-01-01,1\n", "'y'"),
    "not a number": ("unique_id,ds,y\na,2024-01-01,1\na,2024-01-02,high\n", "line 3"),
    "not a date": ("unique_id,ds,y\na,2024-01-01,1\na,soon,2\n", "line 3"),
    "twice": ("unique_id,ds,y\na,2024-01-01,1\na,2024-01-01,2\n", "line 3"),
    "too short": (
        "unique_id,ds,y\n" + "".join(f"a,2024-01-{d:02},{d}\n" for d in range(1, 17)),
        "data.csv: every series is too short to learn from",
    ),
    "shorter than what is held out": (
        "unique_id,ds,y\n" + "".join(f"a,2024-01-{d:02},{d}\n" for d in range(1, 9)),
        "series 'a': no steps are left to learn from with 10 steps held out",
    ),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_is_one_line_and_leaves_no_run(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    text, message = BAD_DATA[case]
    path = tmp_path / "data.csv"
    if text is not None:
        path.write_text(text)
    assert _train(path, tmp_path / "run") == 2
    error = _error(capsys)
    assert message in error
    assert "data.csv" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--horizon=0"], "horizon: expected a whole number of at least 1, or None, got 0"),
        (["--horizon=two"], "horizon: expected a whole number of at least 1, or None, got 'two'"),
        (["--folds=-1"], "folds: expected a whole number of at least 0, got -1"),
        (["--folds=12"], "no steps are left to learn from with 60 steps held out"),
        (["--cell=tcn"], "cell: expected one of brc, cfc, "),
        (["--conformal=maybe"], "conformal: expected true or false, got 'maybe'"),
        (["--dropout=much"], "dropout: expected a number from 0 to 1, got 'much'"),
        (["--context-length=long"], "context_length: expected a whole number of at least 2, or None, got 'long'"),
        (["--seasons=7,x"], "seasons: expected a tuple of values"),
        (["--quantiles=0.1,0.9"], "quantiles: expected increasing levels between 0 and 1, with 0.5 among them"),
        (["--known=prize"], "no column 'prize'"),
        (["--known=y"], "columns: expected each column in one role, got 'y'"),
        (["--frequency=fortnight"], "frequency: expected "),
        (["--holidays=Atlantis"], "holidays: expected an ISO country code"),
        (["--output=negative_binomial"], "expected a count for output='negative_binomial'"),
        (["--freq=1d"], "Did you mean 'frequency'?"),
        (["--config=nowhere.yaml"], "--config: nowhere.yaml: cannot be read"),
        (["--resume"], "not a run"),
    ],
)
def test_a_bad_option_is_one_line_and_leaves_no_run(
    options: list[str], message: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert _train(data, tmp_path / "run", *options) == 2
    assert message in _error(capsys)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_a_run_is_kept(trained: Path, data: Path, capsys: pytest.CaptureFixture[str]):
    before = {path.name: path.stat().st_mtime_ns for path in trained.iterdir()}
    assert _train(data, trained) == 2
    assert f"{trained}: already holds a run. Resume it (--resume), choose another folder (--out)" in _error(capsys)
    assert {path.name: path.stat().st_mtime_ns for path in trained.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "RUN", "--folds=0"], "folds: expected a whole number of at least 1"),
        (["evaluate", "RUN", "--folds=3"], "training saw later steps"),
        (["evaluate", "RUN", "--folds=30", "--refit"], "no series is long enough for 30 folds"),
        (["evaluate", "RUN", "--step=0"], "step: expected a whole number of at least 1"),
        (["evaluate", "RUN", "--folds=few"], "folds: expected a whole number of at least 1, or None, got 'few'"),
        (["evaluate", "RUN", "--series=a,bb"], "no series 'bb' among its 3"),
        (["evaluate", "RUN", "--test=x.csv", "--folds=2"], "test: expected no folds, step, refit or data beside it"),
        (["evaluate", "RUN", "--data=nowhere.csv"], "nowhere.csv"),
        (["evaluate"], "run: expected a folder that `recurra train` wrote, got 'nothing'. As in: recurra"),
        (["evaluate", "NOWHERE"], "not a run, as it has no run.json"),
        (["predict", "NOWHERE"], "not a run, as it has no run.json"),
        (["predict", "RUN", "--out=f.xlsx"], "out: expected a file ending in .csv or .parquet, got 'f.xlsx'"),
        (["predict", "RUN", "--out=OUT/f.csv", "--series=bb"], "no series 'bb' among its 3"),
        (["predict", "RUN", "--future=nowhere.csv"], "nowhere.csv"),
    ],
)
def test_a_mistaken_command_is_one_line(
    arguments: list[str], message: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    places = {"RUN": str(trained), "NOWHERE": str(tmp_path)}
    given = [places.get(a, a.replace("OUT", str(tmp_path / "out"))) for a in arguments]
    assert main(given) == 2
    assert message in _error(capsys)
    assert not list(tmp_path.iterdir())


def test_a_form_that_cannot_be_written_is_refused_before_the_run_is_read(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "run.json").write_bytes((trained / "run.json").read_bytes())
    assert main(["predict", str(tmp_path), "--out=f.xlsx"]) == 2
    assert _error(capsys) == "out: expected a file ending in .csv or .parquet, got 'f.xlsx'."


def test_a_run_that_held_nothing_out_says_what_it_needs(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert _train(data, tmp_path / "run", "--folds=0") == 0
    assert f"next: recurra predict {tmp_path / 'run'} (nothing was held out" in capsys.readouterr().out
    assert main(["evaluate", str(tmp_path / "run")]) == 2
    assert "training held nothing out" in _error(capsys)
    assert main(["evaluate", str(tmp_path / "run"), "--refit"]) == 0


def test_a_newer_file_is_read_in_the_form_of_the_training_file(tmp_path: Path):
    def write(name: str, first: int, days: int) -> Path:
        dates = [np.datetime64("2024-01-01") + day for day in range(first, first + days)]
        rows = [f"{day.item():%d.%m.%Y};{3 + k % 7},5" for k, day in enumerate(dates)]
        (tmp_path / name).write_text("\n".join(["ds;y", *rows]) + "\n")
        return tmp_path / name

    assert _train(write("data.csv", 0, 50), tmp_path / "run") == 0
    # 1 to 12 March: each may be the third day of a month.
    newer = write("newer.csv", 60, 12)
    assert main(["predict", str(tmp_path / "run"), "--data", str(newer), "--out", str(tmp_path / "f.csv")]) == 0
    assert pl.read_csv(tmp_path / "f.csv")["ds"].to_list() == [f"{day}.03.2024" for day in range(13, 18)]


def test_warnings_are_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = _write(tmp_path / "data.csv", {"a": 50, "b": 16})
    assert _train(data, tmp_path / "run") == 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("recurra: warning: ")
    assert "'b' (6)" in error


def test_the_demo_replaces_its_runs_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from recurra.cli import demo

    small = "--horizon=6 --max-steps=2 --hidden-size=4 --batch-size=4 --device=cpu"
    monkeypatch.setattr(demo, "_OPTIONS", {"forecast": {"air_passengers": small}})
    folder = tmp_path / "air_passengers"
    folder.mkdir()
    (folder / "mine.txt").write_text("not a run's")
    assert main(["demo", "--out", str(tmp_path)]) == 0
    assert (folder / "mine.txt").exists()
    found = capsys.readouterr().out
    assert "== recurra train forecast --data air_passengers" in found
    assert "2 forecasts of 6 steps, 1 series, MASE over a season of 12" in found
    assert main(["demo", "--out", str(tmp_path)]) == 0
    assert _is_png(folder / "evaluation" / "forecasts.png")


@pytest.mark.slow
def test_the_demo_beats_its_baselines(tmp_path: Path):
    assert main(["demo", "--out", str(tmp_path)]) == 0
    for name in ("air_passengers", "weather"):
        overall = json.loads((tmp_path / name / "evaluation" / "evaluation.json").read_text())["methods"]
        assert overall["model"]["MASE"] < overall["seasonal naive"]["MASE"]
        assert overall["model"]["wQL"] < overall["seasonal naive"]["wQL"]
