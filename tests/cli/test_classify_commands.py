import csv
import json
import re
import sys
from pathlib import Path

import pytest

from made_classes import series_csv, several_csv, texts_csv
from recurra.cli.main import main
from recurra.task import Estimator
from recurra.task.reservoir_options import ReservoirOptions
from recurra.tasks.classify import Classifier
from standard_input import StandardInput

SMALL = [
    *("--hidden-size=6", "--word-size=6", "--batch-size=12", "--max-steps=40", "--validate-every=20"),
    *("--learning-rate=0.05", "--averaging=0.8", "--dropout=0.1", "--device=cpu"),
]


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files, and a run of each kind; not to be written to."""
    folder = tmp_path_factory.mktemp("classify")
    for name, count, seed in (("train", 60, 0), ("dev", 20, 1), ("test", 12, 2)):
        _write(folder / f"{name}.csv", texts_csv(count, seed))
        _write(folder / f"{name}-series.csv", series_csv(count, seed))
        _write(folder / f"{name}-several.csv", several_csv(count, seed))
    for kind, options in (("", []), ("-series", []), ("-several", ["--label-separator=|"])):
        valid = f"--validation={folder / f'dev{kind}.csv'}"
        assert _train(folder / f"train{kind}.csv", folder / f"run{kind}", valid, *options) == 0
    return folder


def _train(data: Path, out: Path, *options: str) -> int:
    return main(["train", "classify", "--data", str(data), "--out", str(out), *SMALL, *options])


def _error(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error."""
    found = capsys.readouterr().err
    assert found.count("\n") == 1, found
    assert found.startswith("recurra: error: "), found
    return found.removeprefix("recurra: error: ").strip()


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.slow
def test_training_tells_what_it_does(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _train(folder / "train.csv", tmp_path / "run", "--max-steps=3", "--validate-every=1") == 0
    found = capsys.readouterr().out
    assert f"54 texts of {folder / 'train.csv'}, 2 labels: bad (36), good (18); validated on 6\n" in found
    assert re.search(r"best validation accuracy [\d.]+ % \(temperature [\d.]+\) at step \d\n", found)
    assert f"next: recurra evaluate {tmp_path / 'run'}" in found
    few = _write(tmp_path / "few.csv", texts_csv(4))
    assert _train(few, tmp_path / "few", "--max-steps=1") == 0
    found = capsys.readouterr().out
    assert "; no validation\n" in found
    assert "temperature" not in found
    options = [
        f"--validation={folder / 'dev-several.csv'}",
        "--label-separator=|",
        "--max-steps=1",
        "--validate-every=1",
    ]
    assert _train(folder / "train-several.csv", tmp_path / "several", *options) == 0
    found = capsys.readouterr().out
    assert "2 labels, several an item: bad (30), good (30); validated on 20\n" in found
    assert "validation micro F1 " in found
    assert _train(folder / "train-series.csv", tmp_path / "series", "--max-steps=1", "--choose-by=loss") == 0
    found = capsys.readouterr().out
    assert "60 series of 2 channels and 4 to 9 steps" in found
    assert "2 labels: down (30), up (30); no validation\n" in found


def test_texts(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = folder / "run", tmp_path / "evaluation"
    assert main(["evaluate", str(run), "--data", str(folder / "dev.csv"), "--out", str(out)]) == 0
    found = capsys.readouterr().out
    assert f"{folder / 'dev.csv'}: 20 items\n" in found
    assert re.search(r"^model +100\.00 +100\.00$", found, re.MULTILINE)
    assert re.search(r"^naive Bayes +\d", found, re.MULTILINE)
    assert re.search(r"^bad +100\.00 +100\.00 +100\.00 +13$", found, re.MULTILINE)
    assert re.search(
        r"loss is 0\.\d+ nats\. The expected calibration error, in 15 bins of equal width, is [\d.]+ points", found
    )
    assert re.search(r"95 % of the accuracy is reached once \d+ % of each item is read", found)
    assert {path.name for path in out.iterdir()} == {
        *("evaluation.json", "by_label.csv", "confusion.csv", "confusion.png", "reliability.png"),
        "early_decision.png",
    }
    assert _rows(out / "confusion.csv") == [
        ["true \\ predicted", "bad", "good"],
        ["bad", "13", "0"],
        ["good", "0", "7"],
    ]
    assert json.loads((out / "evaluation.json").read_text())["methods"]["model"]["accuracy"] == 1

    table = tmp_path / "new" / "found.csv"
    assert main(["predict", str(run), "--data", str(folder / "dev.csv"), "--out", str(table), "--probabilities"]) == 0
    assert re.search(r"^20 texts, mean confidence [01]\.\d{3}\n", capsys.readouterr().out)
    rows = _rows(table)
    assert rows[0] == ["text", "label", "confidence", "p(bad)", "p(good)"]
    assert [row[:2] for row in rows[1:]] == _rows(folder / "dev.csv")[1:]
    assert all(float(row[2]) == max(map(float, row[3:])) for row in rows[1:])
    assert main(["predict", str(run), "--text", "a great film"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\* good +[\d.]+ %", lines[0])
    assert re.fullmatch(r"  bad  +[\d.]+ %", lines[1])


def test_predict_reads_standard_input(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = folder / "run"
    monkeypatch.setattr(sys, "stdin", StandardInput(b"a great film\n\na bad, dull film\n"))
    assert main(["predict", str(run), "--data", "-"]) == 0
    printed = capsys.readouterr().out
    rows = list(csv.reader(printed.splitlines()))
    assert rows[0] == ["text", "label", "confidence"]
    assert [row[0] for row in rows[1:]] == ["a great film", "", "a bad, dull film"]
    assert rows[1][1] == "good"
    assert not (run / "predictions").exists()
    monkeypatch.setattr(sys, "stdin", StandardInput(b"a great film\n\na bad, dull film\n"))
    assert main(["predict", str(run), "--data", "-", "--out", str(tmp_path / "a.csv")]) == 0
    assert (tmp_path / "a.csv").read_text() == printed
    assert "great" not in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", StandardInput(b""))
    assert main(["predict", str(run), "--data", "-"]) == 2
    assert "no items are in it" in _error(capsys)


def test_several_labels(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = folder / "run-several"
    assert main(["evaluate", str(run), "--data", str(folder / "dev-several.csv"), "--out", str(tmp_path)]) == 0
    found = capsys.readouterr().out
    assert re.search(r"^ +accuracy, % +micro F1, % +macro F1, %$", found, re.MULTILINE)
    assert "95 % of the micro F1 is reached" in found
    assert not (tmp_path / "confusion.csv").exists()
    assert main(["predict", str(run), "--data", str(folder / "dev-several.csv"), "--out", str(tmp_path / "a.csv")]) == 0
    assert {row[1] for row in _rows(tmp_path / "a.csv")} <= {"label", "", "bad", "good", "bad|good"}
    assert len({row[1] for row in _rows(tmp_path / "a.csv")}) >= 4


def test_series(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, data = folder / "run-series", folder / "test-series.csv"
    assert main(["evaluate", str(run), "--data", str(data), "--out", str(tmp_path / "e")]) == 0
    assert re.search(r"^nearest mean +\d", capsys.readouterr().out, re.MULTILINE)
    bare = _write(tmp_path / "bare.csv", re.sub(r",(\w+)$", "", data.read_text(), flags=re.MULTILINE))
    assert main(["predict", str(run), "--data", str(bare), "--out", str(tmp_path / "a.csv")]) == 0
    rows = _rows(tmp_path / "a.csv")
    assert [row[0] for row in rows] == ["id", *(f"s{k}" for k in range(12))]
    assert [row[1] for row in rows[1:]] == ["up", "down"] * 6
    picture = tmp_path / "why.png"
    assert main(["explain", str(run), "--data", str(data), "--row", "2", "--out", str(picture)]) == 0
    found = capsys.readouterr().out
    assert re.search(r"^down, probability [\d.]+ %$", found, re.MULTILINE)
    assert re.search(r"^steps that add most to its log-odds, of \d+: 1 \([+-]\d", found, re.MULTILINE)
    assert "of a series of means only" in found
    assert picture.stat().st_size > 5000


def test_explaining_a_text(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, page = folder / "run", tmp_path / "pages" / "why.html"
    arguments = ["explain", str(run), "--text", "film <b> great by \x1b[31m us", "--out", str(page)]
    assert main([*arguments, "--color", "always"]) == 0
    found = capsys.readouterr().out
    assert re.search(r"^good, probability [\d.]+ %$", found, re.MULTILINE)
    assert "\x1b[38;5;16;48;5;" in found
    assert "\x1b[31m" not in found
    assert re.search(r"log-odds \+[\d.]+, of a text of unknown words [+-][\d.]+; unexplained [+-][\d.]+", found)
    assert f"written: {page}" in found
    assert "&lt;" in page.read_text()
    assert "<title>film &lt;b&gt; great by" in page.read_text()
    assert main([*arguments, "--label", "bad"]) == 0
    found = capsys.readouterr().out
    assert re.search(r"^bad, probability [\d.]+ %$", found, re.MULTILINE)
    assert "\x1b" not in found
    assert main(["explain", str(run), f"--data={folder / 'test.csv'}", "--row=3", "--out", str(page)]) == 0
    assert _rows(folder / "test.csv")[3][0][:20] in page.read_text()


def test_bytes_that_are_no_text_are_replaced(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "why.html"
    assert main(["explain", str(folder / "run"), "--text", "great \udcff", "--out", str(page), "--color=always"]) == 0
    assert "\ufffd" in page.read_text(encoding="utf-8")
    assert main(["predict", str(folder / "run"), "--text", "great \udcff"]) == 0
    assert capsys.readouterr().out.isascii() is False


def test_labels_that_training_never_saw(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = _write(tmp_path / "odd.csv", 'text,label\nso so,"fa$ir, $\x1b[31m"\ngreat,good\n')
    assert main(["evaluate", str(folder / "run"), "--data", str(odd), "--out", str(tmp_path / "e")]) == 0
    found = capsys.readouterr().out
    assert "Labels that training never saw, which count as wrong: fa$ir, $\ufffd[31m (1)" in found
    assert "\x1b" not in found
    alone = _write(tmp_path / "alone.csv", "text,label\nso so,fair\n")
    assert main(["evaluate", str(folder / "run"), "--data", str(alone), "--out", str(tmp_path / "e")]) == 0
    assert json.loads((tmp_path / "e" / "evaluation.json").read_text())["loss_nats"] is None


def test_every_option_arrives_under_its_name(folder: Path, tmp_path: Path) -> None:
    given = {
        "cell": "gru", "num_layers": 2, "hidden_size": 5, "bidirectional": False, "pooling": ["last", "attention"],
        "filters": 4, "kernel_sizes": [5, 3], "stride": 2, "members": 2, "dropout": 0.25, "recurrent_dropout": 0.05,
        "jitter": 0.1, "scaling": 0.2,
        "class_weights": "balanced", "label_smoothing": 0.1, "choose_by": "macro_f1", "validation_fraction": 0.3,
        "tokenization": "spaces", "lowercase": False, "min_count": 2, "unknown_rate": 0.75, "word_size": 7,
        "characters": "convolution", "character_size": 3, "character_hidden_size": 4, "max_vectors": 99,
        "max_length": 50, "evidence": False, "normalization": "series", "batch_size": 3, "device": "cpu",
        "max_steps": 2,
    }  # fmt: skip
    # An architecture or a reservoir stands in the place of a cell that is trained.
    inherited = set(Estimator.settings()) | set(ReservoirOptions.settings()) | {"vectors", "architecture"}
    assert set(given) | inherited == set(Classifier.settings())
    words = {name: ",".join(map(str, v)) if isinstance(v, list) else str(v) for name, v in given.items()}
    options = [text for name, value in words.items() for text in (f"--{name.replace('_', '-')}", value)]
    run = tmp_path / "run"
    assert main(["train", "classify", "--data", str(folder / "dev.csv"), "--out", str(run), *options]) == 0
    found = json.loads((run / "run.json").read_text())["options"]
    assert {name: found[name] for name in given} == given


@pytest.mark.parametrize("command", ["evaluate", "predict", "explain", "inspect"])
def test_the_help_of_a_run(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, str(folder / "run"), "--help"]) == 0
    assert "--label-column" in capsys.readouterr().out


BAD_DATA = {
    "empty": (b"", "data.csv: the file is empty"),
    "no items": (b"text,label\n", "data.csv: "),
    "not UTF-8": (b"text,label\ncaf\xe9,good\n", "data.csv, line 2: the text is not UTF-8"),
    "no text": (b"text,label\n,good\n", "data.csv, line 2: the text is blank"),
    "no label": (b"text,label\nfine,\n", "data.csv, line 2: the label is missing"),
    "one label": (b"text,label\nfine,good\nwell,good\n", "data.csv: every item has the label 'good'"),
    "another column": (b"text,mood\nfine,good\n", "--label-column"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_is_one_line_and_leaves_no_run(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, message = BAD_DATA[case]
    (tmp_path / "data.csv").write_bytes(content)
    assert _train(tmp_path / "data.csv", tmp_path / "run") == 2
    assert message in _error(capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--label-column=mood"], "no column 'mood'"),
        (["--text-column=review"], "no column 'review'"),
        (["--label-separator="], "label_separator: expected at least one character"),
        (["--pooling=sum"], "pooling: expected one or more of last, mean, max, attention"),
        (["--stride=2"], "stride: expected 1 without a convolution, got 2. Give it filters"),
        (["--format=wide"], "format: expected one of"),
        (["--vectors=nowhere.txt"], "nowhere.txt: no such file"),
        (["--validation=nowhere.csv"], "nowhere.csv: no such file"),
        (["--validation=SERIES"], "expected texts, which the classifier is trained on, got series"),
        (["--resume"], "not a run"),
        (["--hidden-size=few"], "hidden_size: expected a whole number of at least 1, or None, got 'few'"),
    ],
)
def test_a_bad_option_is_one_line(
    options: list[str], message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [option.replace("SERIES", str(folder / "test-series.csv")) for option in options]
    assert _train(folder / "train.csv", tmp_path / "run", *options) == 2
    assert message in _error(capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "run"], "data"),
        (["evaluate", "run", "--data=nowhere.csv"], "nowhere.csv: no such file"),
        (["evaluate", "run", "--data=TEST", "--label-column=mood"], "no column 'mood'"),
        (["evaluate", "run-series", "--data=TEST"], "no column 'id'"),
        (["predict", "run"], "data: expected data (--data FILE, or - for standard input) or a text"),
        (["predict", "run", "--data=TEST", "--text=fine"], "one of the two, got 'both'"),
        (["predict", "run", "--text= "], "text: expected one or more words"),
        (["predict", "run-series", "--text=fine"], "text: expected a file (--data FILE) for a classifier of series"),
        (
            ["predict", "run-series", "--data=-"],
            "data: expected a file (--data FILE) for a classifier of series, got '-'",
        ),
        (
            ["predict", "run", "--data=TEST", "--out=a.xlsx"],
            "out: expected a file ending in .csv or .txt, got 'a.xlsx'",
        ),
        (["explain", "run", "--text=fine", "--out=a.pdf"], "out: expected a file ending in .html or .png"),
        (["predict", "run", "--data=TEST", "--out=TEST"], "out: expected another file than the data"),
        (["explain", "run"], "one of the two, got 'neither'"),
        (
            ["explain", "run-series", "--text=fine"],
            "text: expected a file (--data FILE) for a classifier of series",
        ),
        (["explain", "run", "--data=TEST", "--row=13"], "row: expected 1 to 12, the items of"),
        (["explain", "run", "--text=fine", "--label=fair"], "label: expected one of bad, good, got 'fair'"),
        (["explain", "run", "--text=fine", "--out=a.png"], "out: expected a file ending in .html, got 'a.png'"),
    ],
)
def test_a_mistaken_command_is_one_line(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, run, *options = arguments
    options = [option.replace("TEST", str(folder / "test.csv")) for option in options]
    assert main([command, str(folder / run), *options]) == 2
    assert message in _error(capsys)


def test_a_finished_run_is_kept_and_resuming_it_changes_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, options = tmp_path / "run", ["--max-steps=3"]
    assert _train(folder / "train.csv", run, *options) == 0
    before = {name: (run / name).read_bytes() for name in ("best.safetensors", "learned.safetensors")}
    values = json.loads((run / "run.json").read_text())
    capsys.readouterr()
    assert _train(folder / "train.csv", run, *options) == 2
    assert "already holds a run. Resume it (--resume)" in _error(capsys)
    assert _train(folder / "train.csv", run, *options, "--resume") == 0
    assert {name: (run / name).read_bytes() for name in before} == before
    assert {**json.loads((run / "run.json").read_text()), "written": values["written"]} == values
    capsys.readouterr()
    assert _train(folder / "dev.csv", run, *options, "--resume") == 2
    assert "cannot resume with other data" in _error(capsys)
