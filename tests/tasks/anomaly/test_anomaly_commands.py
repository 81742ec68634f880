"""The command line, from files to files, and its errors in one line."""

import gzip
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from made_machines import CHANNELS, csv, hours, machine, tiny
from numpy.testing import assert_allclose

from recurra import load
from recurra.cli.main import main
from recurra.errors import ParameterError

SMALL = ["--hidden-size=4", "--max-steps=3", "--batch-size=4", "--horizon=2", "--device=cpu"]
LABELS = np.isin(np.arange(200), [120, 121])


def train(data: Path, out: Path, *more: str) -> int:
    return main(["train", "anomaly", "--data", str(data), "--out", str(out), *SMALL, *more])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be written to."""
    folder = tmp_path_factory.mktemp("anomaly")
    assert train(csv(folder / "train.csv"), folder / "run") == 0
    return folder / "run"


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    found = capsys.readouterr().err
    assert found.count("\n") == 1, found
    assert found.startswith("recurra: error: "), found
    return found


def test_from_training_to_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, values = tmp_path / "run", machine()
    values[120:122, 1] += 30
    today = csv(tmp_path / "today.csv", values, LABELS)
    assert train(csv(tmp_path / "train.csv"), run, "--budget", "1 a week") == 0
    found = capsys.readouterr().out
    assert "1 series of 200 rows, 3 channels; a row every 1 hour" in found
    assert f"next: recurra predict {run} --data FILE" in found

    assert main(["predict", str(run), "--data", str(today), "--picture", str(tmp_path / "new" / "p.png")]) == 0
    assert "today.csv: 200 rows, " in capsys.readouterr().out
    rows = pl.read_csv(run / "predictions" / "today.csv")
    expected = load(run).predict(today)
    assert rows.columns == expected.columns
    assert rows["time"].to_list() == [str(stamp).replace("T", " ")[:19] for stamp in hours(200)]
    assert_allclose(rows["score"].to_numpy(), expected["score"].to_numpy(), rtol=1e-4)
    assert pl.read_csv(run / "predictions" / "today.events.csv").columns[:4] == ["series", "event", "start", "end"]
    assert (tmp_path / "new" / "p.png").stat().st_size > 1000
    page = (run / "predictions" / "today.events.html").read_text(encoding="utf-8")
    assert "Events in today.csv" in page
    assert "<summary>How the thresholds were set</summary><img alt=" in page

    assert main(["evaluate", str(run), "--data", str(today)]) == 0
    assert "1 labelled event" in capsys.readouterr().out
    written = json.loads((run / "evaluation" / "evaluation.json").read_text())
    simple = ["moving deviation", "seasonal change", "windows (PCA)", "random", "isolation forest"]
    assert list(written["methods"]) == ["model", *simple]
    assert {"range F1", "NAB", "NAB, few false", "NAB, few missed"} <= written["ranges"]["model"].keys()
    assert pl.read_csv(run / "evaluation" / "rows.csv").height == 200
    assert (run / "evaluation" / "detections.png").stat().st_size > 1000
    assert (run / "tail.png").read_bytes() == (run / "evaluation" / "tail.png").read_bytes()

    assert main(["inspect", str(run), "--data", str(today), "--row", "122"]) == 0
    page = (run / "inspection" / "index.html").read_text(encoding="utf-8")
    for fact in (f"Inspection of {run}", "up to row 122", "VUS-PR", "moving deviation", "forecast of "):
        assert fact in page
    assert len(list((run / "inspection").glob("*.png"))) > 5


def test_windows_of_anomalies(run: Path, tmp_path: Path) -> None:
    labelled = csv(tmp_path / "labelled.csv", labels=LABELS)
    bare = csv(tmp_path / "bare.csv")
    start, end = (str(hours(200)[row]).replace("T", " ")[:19] for row in (120, 121))
    (tmp_path / "w.csv").write_text(f"start,end\n{start},{end}\n")
    (tmp_path / "w.json").write_text(json.dumps({"pumps/bare.csv": [[start, end]]}))
    methods = []
    for name, more in ((labelled, []), (bare, ["--windows", "w.csv"]), (bare, ["--windows", "w.json"])):
        places = [str(tmp_path / one) if one.startswith("w.") else one for one in more]
        out = tmp_path / f"out{len(methods)}"
        assert main(["evaluate", str(run), "--data", str(name), "--out", str(out), *places]) == 0
        methods.append(json.loads((out / "evaluation.json").read_text())["methods"])
    assert methods[0] == methods[1] == methods[2]


def test_point_adjustment_is_labelled_as_inflated(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)  # the forest is left out with a line that says so
    labelled = csv(tmp_path / "labelled.csv", labels=LABELS)
    for more in ([], ["--point-adjustment"]):
        assert main(["evaluate", str(run), "--data", str(labelled), "--out", str(tmp_path / "out"), *more]) == 0
        printed = capsys.readouterr().out
        assert ("point-adjusted F1" in printed) == ("inflates" in printed) == bool(more)
        assert "pip install 'recurra[anomaly]'" in printed
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert "point-adjusted F1" in written["point_adjusted_and_inflated"]["model"]
    assert "isolation forest" not in written["methods"]


def test_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = csv(tmp_path / "train.csv")
    for name, steps in (("one", ["6"]), ("two", ["3", "6"])):
        for step in steps:
            resume = ["--resume"] if (tmp_path / name).exists() else []
            assert train(data, tmp_path / name, f"--max-steps={step}", "--schedule=constant", *resume) == 0
    capsys.readouterr()
    first, second = (load(tmp_path / name).predict(data) for name in ("one", "two"))
    assert first.equals(second)


def test_names_of_columns_and_forms_are_those_of_training(tmp_path: Path) -> None:
    def write(name: str, rows: int, first: int = 0) -> Path:
        lines = [
            f"{stamp.item():%d.%m.%Y %H:%M};{str(round(a, 3)).replace('.', ',')};{k % 5};1;{int(k == 40)}"
            for k, (stamp, a) in enumerate(zip(hours(rows, first), machine(rows)[:, 0].tolist(), strict=True))
        ]
        path = tmp_path / name
        path.write_bytes(gzip.compress("\n".join(["when;flow;level;shift;fault", *lines]).encode()))
        return path

    data, run = write("a.csv.gz", 600), tmp_path / "run"
    reading = ["--time-column=when", "--ignore=shift", "--label-column=fault"]
    assert train(data, run, *reading) == 0
    assert load(run).fitted.learned.channels == ("flow", "level")
    later = write("b.csv.gz", 60, first=24 * 61)  # 1 to 3 May: each may be the fifth day of a month
    assert main(["predict", str(run), "--data", str(later)]) == 0
    found = pl.read_csv(run / "predictions" / "b.csv")
    assert found["when"].to_list()[24] == "02.05.2024 00:00"
    assert main(["evaluate", str(run), "--data", str(later)]) == 0


@pytest.mark.slow
def test_zones_come_back(tmp_path: Path) -> None:
    stamps = [f"{str(stamp)[:19]}+02:00" for stamp in hours(100)]
    data, run = tmp_path / "zoned.csv", tmp_path / "run"
    data.write_text("\n".join(["time,a", *(f"{s},{k % 7}" for k, s in enumerate(stamps))]))
    assert train(data, run, "--budget=2 per week") == 0
    assert main(["predict", str(run), "--data", str(data)]) == 0
    assert pl.read_csv(run / "predictions" / "zoned.csv")["time"].to_list() == stamps


ROWS = "\n".join(f"{k},{k % 7},{k % 5}" for k in range(100))
BAD_DATA: dict[str, tuple[str, list[str], str]] = {
    "empty": ("", [], "the file is empty"),
    "only a header": ("time,a\n", [], "no rows, only columns"),
    "one row": ("time,a\n1,2\n", [], "the longest has 1. Give more rows"),
    "text": ("a,b\n" + "x,y\n" * 60, [], "there are 'a', 'b'. Name them with --channels"),
    "a bad cell": (f"time,a,b\n{ROWS}\n100,high,1\n", [], "line 102: a is 'high'"),
    "infinite": (f"time,a,b\n{ROWS}\n100,inf,1\n", [], "line 102: a is infinite"),
    "twice": (f"time,a,b\n{ROWS}\n99,1,1\n", [], "line 102: the stamp 99 is already at line 101"),
    "no date": ("time,a\n2024-01-01,1\nsoon,1\n", [], "line 3: time is 'soon'"),
    "fractions": ("time,a\n" + "\n".join(f"{k / 4},1" for k in range(60)), [], "--ignore time"),
    "an empty channel": ("time,a,b\n" + "\n".join(f"{k},{k % 3},nan" for k in range(60)), [], "--ignore b"),
    "other labels": (f"time,a,fault\n{ROWS}\n", ["--label-column=fault"], "line 4: fault is '2'"),
    "other channels": (f"time,a,b\n{ROWS}\n", ["--channels=a,c"], "no column 'c'; there are 'time', 'a', 'b'"),
    "none left": (f"time,a,b\n{ROWS}\n", ["--ignore=a,b"], "no column of numbers to watch"),
    "both": (f"time,a,b\n{ROWS}\n", ["--channels=a", "--ignore=a"], "ignore: expected columns that are not channels"),
    "budget": (f"time,a,b\n{ROWS}\n", ["--budget=few"], "budget: expected a budget of false alarms such as '1 a week'"),
    "budget in time": (f"time,a,b\n{ROWS}\n", ["--budget=1 a week"], "The data have no dates"),
    "contamination": (f"time,a,b\n{ROWS}\n", ["--contamination=0.7"], "contamination: expected a number of at least 0"),
    "horizon": (f"time,a,b\n{ROWS}\n", ["--horizon=90"], "expected a series of at least 140 rows"),
    "cell": (f"time,a,b\n{ROWS}\n", ["--cell=tcn"], "cell: expected one of"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_is_one_line_and_leaves_no_run(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, options, message = BAD_DATA[case]
    (tmp_path / "data.csv").write_text(text)
    assert train(tmp_path / "data.csv", tmp_path / "run", *options) == 2
    assert message in one_line(capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict"], "data: expected a file, got 'nothing'"),
        (["predict", "--data=nowhere.csv"], "nowhere.csv: no such file"),
        (["predict", "--data=OTHER"], "no column 'speed'"),
        (["predict", "--data=COUNTED"], "no column 'time'"),
        (["predict", "--data=BARE", "--budget=often"], "budget: expected"),
        (["predict", "--data=BARE", "--out=x.xlsx"], "out: expected a file ending in .csv"),
        (["evaluate", "--data=BARE"], "the anomalies are not known. Name the column of labels (--label-column)"),
        (["evaluate", "--data=BARE", "--label-column=bad"], "there is no column 'bad' of labels"),
        (["evaluate", "--data=BARE", "--windows=nowhere.csv"], "nowhere.csv: no such file"),
        (["evaluate", "--data=WORDS", "--label-column=label"], "line 2: label is 'fine', expected a label"),
        (["inspect", "--data=BARE", "--row=0"], "row: expected"),
        (["inspect", "--data=BARE", "--row=999"], "row: expected 2 to 200"),
    ],
)
def test_a_mistaken_command_is_one_line(
    run: Path, arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files: dict[str, Any] = {name: tmp_path / f"{name.lower()}.csv" for name in ("BARE", "OTHER", "COUNTED")}
    bare = pl.read_csv(csv(files["BARE"]))
    bare.rename({"speed": "pace"}).write_csv(files["OTHER"])
    bare.drop("time").write_csv(files["COUNTED"])
    files["WORDS"] = tmp_path / "words.csv"
    bare.with_columns(label=pl.lit("fine")).write_csv(files["WORDS"])
    given = [f"--data={files[one[7:]]}" if one[7:] in files else one for one in arguments]
    assert main([given[0], str(run), *given[1:]]) == 2
    assert message in one_line(capsys)
    assert not list(tmp_path.glob("*.xlsx"))


def test_one_row_is_scored_and_plotted(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    picture = tmp_path / "p.png"
    data = csv(tmp_path / "one.csv", machine(1))
    assert main(["predict", str(copy), "--data", str(data), "--picture", str(picture)]) == 0
    found = capsys.readouterr()
    assert "one.csv: 1 row, no events" in found.out
    assert found.err == ""
    assert picture.exists()


def test_the_picture_shows_the_channels_of_the_alarms(run: Path, tmp_path: Path, drawn: list[Any]) -> None:
    values = machine()
    values[120:122, 1] += 30
    load(run).predictions(csv(tmp_path / "today.csv", values, LABELS), picture=tmp_path / "p.png")
    with pytest.raises(ParameterError, match=r"picture: expected a file ending in \.png"):
        load(run).predictions(tmp_path / "today.csv", picture=tmp_path / "p.txt")
    (figure,) = drawn
    names = [ax.get_ylabel() for ax in figure.axes]
    assert names == [*(name for name in CHANNELS if name in names), "score"]
    axes = figure.axes[names.index(CHANNELS[1])]
    lines = {str(line.get_label()): np.asarray(line.get_ydata(), float) for line in axes.lines}
    assert_allclose(lines["observed"], values[:, 1], rtol=1e-6)
    (legend,) = figure.legends
    shown = {text.get_text() for text in legend.get_texts()}
    assert shown >= {"observed", "expected, 2 deviations", "score", "threshold", "labelled anomaly"}


def test_rows_from_standard_input_are_judged_as_in_a_file(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = machine(300, 4)
    values[200:204, 1] += 20
    values[50, 2] = np.nan
    path = csv(tmp_path / "today.csv", values)
    expected = load(run).predict(path)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    assert main(["predict", str(run), "--data", "-"]) == 0
    live = pl.read_csv(io.StringIO(capsys.readouterr().out))
    assert live["alarm"].to_list() == expected["alarm"].to_list()
    assert sum(live["alarm"]) > 0
    assert_allclose(live["score"].to_numpy(), expected["score"].to_numpy(), rtol=1e-3, atol=1e-4)
    # Its numbers have the decimal mark of the training file.
    lines = path.read_text(encoding="utf-8").replace(",", ";").replace(".", ",").encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines)))
    assert main(["predict", str(run), "--data", "-", "--decimal", ","]) == 0
    assert pl.read_csv(io.StringIO(capsys.readouterr().out))["alarm"].to_list() == expected["alarm"].to_list()
    for content, words in ((b"", "line 1"), (lines[:200] + b"\n1;2\n", "cells")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert main(["predict", str(run), "--data", "-", "--decimal", ","]) != 0
        assert words in capsys.readouterr().err


def test_decimal_commas_of_training_are_those_of_standard_input(tmp_path: Path) -> None:
    path = csv(tmp_path / "german.csv", machine())
    path.write_text(path.read_text(encoding="utf-8").replace(",", ";").replace(".", ","), encoding="utf-8")
    detector = tiny().fit(path, progress=False)
    assert detector.fitted.learned.decimal == ","
