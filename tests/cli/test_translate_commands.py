import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recurra.cli.main import main
from standard_input import StandardInput

pytest.importorskip("sentencepiece", reason="the extra `text` is not installed")

SOURCE = ["eins zwei", "drei", "zwei drei eins", "eins eins"] * 10
TARGET = ["one two", "three", "two three one", "one one"] * 10
OPTIONS = [
    *("--vocabulary-size", "300", "--hidden-size", "16", "--embedding-size", "8", "--max-length", "20"),
    *("--batch-tokens", "200", "--max-steps", "4", "--validate-every", "2", "--device", "cpu"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    with gzip.open(folder / "train.de.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(SOURCE) + "\n")
    (folder / "train.en").write_text("\n".join(TARGET) + "\n", encoding="utf-8")
    rows = [f"{source}\t{target}" for source, target in zip(SOURCE[:4], TARGET[:4], strict=True)]
    (folder / "test.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(files: Path) -> Path:
    folder = files / "run"
    assert (
        main(
            [
                "train",
                "translate",
                *_data(files),
                "--validation",
                str(files / "test.tsv"),
                "--out",
                str(folder),
                *OPTIONS,
            ]
        )
        == 0
    )
    return folder


def _data(files: Path) -> list[str]:
    return ["--data", str(files / "train.de.gz"), str(files / "train.en")]


def _error(capsys: pytest.CaptureFixture[str]) -> str:
    found = capsys.readouterr().err
    assert found.count("\n") == 1, found
    assert found.startswith("recurra: error: "), found
    return found.removeprefix("recurra: error: ").strip()


def test_train_evaluate_predict(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = tmp_path / "deep" / "run"
    assert main(["train", "translate", *_data(files), "--out", str(run), *OPTIONS]) == 0
    found = capsys.readouterr().out
    assert (run / "training.png").read_bytes().startswith(b"\x89PNG")
    assert "38 sentence pairs" in found
    assert "trained 4 steps" in found
    assert "perplexity" in found
    assert f"recurra evaluate {run}" in found
    assert main(["evaluate", str(run), "--data", str(files / "test.tsv"), "--beam-size", "2"]) == 0
    found = capsys.readouterr().out
    assert "4 sentences" in found
    assert "copy the source" in found
    assert "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:" in found
    scores = json.loads((run / "evaluation" / "evaluation.json").read_text())
    assert set(scores["methods"]["model"]) == {"BLEU", "chrF2"}
    assert len((run / "evaluation" / "translations.csv").read_text().splitlines()) == 5
    assert main([*("predict", str(run), "--data", str(files / "train.de.gz")), "--out", str(tmp_path / "out.txt")]) == 0
    assert len((tmp_path / "out.txt").read_text().split("\n")) == 41


def test_options_can_stand_in_a_file(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    names = [option[2:] for option in OPTIONS[::2]]
    lines = [f"{name}: {value}" for name, value in zip(names, OPTIONS[1::2], strict=True)]
    lines.append(f"data: [{files / 'train.de.gz'}, {files / 'train.en'}]")
    (tmp_path / "run.yaml").write_text("\n".join(lines))
    assert main(["train", "translate", "--config", str(tmp_path / "run.yaml"), "--out", str(tmp_path / "run")]) == 0
    assert "38 sentence pairs" in capsys.readouterr().out


def test_predict_reads_standard_input(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "stdin", StandardInput(b"eins zwei\n\ndrei\r\nvier"))
    assert main(["predict", str(run), "--max-length", "4"]) == 0
    printed = capsys.readouterr().out
    lines = printed.split("\n")
    assert len(lines) == 5
    assert lines[1] == lines[-1] == ""
    monkeypatch.setattr(sys, "stdin", StandardInput(b"eins zwei\n\ndrei\r\nvier"))
    assert main(["predict", str(run), "--data", "-", "--max-length", "4"]) == 0
    assert capsys.readouterr().out == printed
    assert main(["predict", str(run), "--text", "eins zwei", "--max-length", "4"]) == 0
    assert capsys.readouterr().out == f"{lines[0]}\n"
    assert main(["predict", str(run), "--data", "-", "--text", "eins"]) == 2
    assert "one of the two, got 'both'" in _error(capsys)


def test_n_best_has_numbers_and_scores(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "stdin", StandardInput(b"eins\nzwei\n"))
    assert (
        main(["predict", str(run), "--n-best", "2", "--beam-size", "3", "--max-length", "3", "--ensemble", str(run)])
        == 0
    )
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == ["1", "1", "2", "2"]
    assert float(rows[0][1]) >= float(rows[1][1])
    monkeypatch.setattr(sys, "stdin", StandardInput(b"eins\n"))
    assert main(["predict", str(run), "--scores", "--prefix", "one", "--max-length", "6"]) == 0
    number, _, text = capsys.readouterr().out.rstrip("\n").split("\t")
    assert number == "1"
    assert text.startswith("one")


def test_in_a_terminal_lines_are_answered_as_they_come(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    answered: list[int] = []

    def typed() -> Iterator[str]:
        for line in ("eins", "zwei"):
            answered.append(capsys.readouterr().out.count("\n"))
            yield line

    lines = typed()

    def type_line(prompt: str) -> str:
        assert prompt == "> "
        for line in lines:
            return line
        raise EOFError

    monkeypatch.setattr(sys, "stdin", StandardInput(b"", terminal=True))
    monkeypatch.setattr("builtins.input", type_line)
    assert main(["predict", str(run), "--max-length", "2"]) == 0
    assert answered == [0, 1]


def test_attention_is_drawn(files: Path, run: Path, tmp_path: Path):
    picture = tmp_path / "attention.png"
    command = ["predict", str(run), "--data", str(files / "train.en"), "--prefix", "one two", "--max-length", "20"]
    assert main([*command, "--out", str(tmp_path / "out.txt"), "--picture", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert picture.stat().st_size > 1000


def test_resume_goes_on(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = ["train", "translate", *_data(files), "--out", str(tmp_path / "run"), *OPTIONS]
    assert main(command) == 0
    assert main(command) == 2
    assert "already holds a run. Resume it (--resume)" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0


def test_wrong_input_is_one_line(
    files: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "short").write_text("one\n")
    (tmp_path / "empty").write_text("")
    train = ["train", "translate", "--out", str(tmp_path / "run")]
    for command, message in (
        ([*train, "--data", str(files / "train.en"), str(tmp_path / "short")], "has 40 lines and"),
        ([*train, "--data", str(tmp_path / "empty"), str(tmp_path / "short")], "empty: the file is empty"),
        ([*train, "--data", str(tmp_path / "short")], "line 1: expected source and target, separated by a tab"),
        ([*train, "--data", "a", "b", "c"], "data: expected a file of source lines and one of target"),
        ([*train, *_data(files), "--attention", "none"], "attention: expected one of additive, dot, general"),
        ([*train, *_data(files), "--vocabulary-size", "262"], "vocabulary_size: expected at least"),
        (["evaluate", str(run), "--data", str(tmp_path / "nothing.tsv")], "no such file"),
        (["predict", str(run), "--n-best", "9"], "n_best: expected at most beam_size = 5"),
        (["predict", str(run), "--ensemble", str(tmp_path)], "not a run"),
    ):
        assert main(command) == 2
        assert message in _error(capsys)
        assert not (tmp_path / "run" / "run.json").exists()
    monkeypatch.setattr(sys, "stdin", StandardInput(b"eins\n\xff\xfe\n"))
    assert main(["predict", str(run)]) == 2
    assert "standard input, line 2: the text is not UTF-8" in _error(capsys)


def test_missing_packages_are_named(
    files: Path, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics.bleu", None)
    assert main(["evaluate", str(run), "--data", str(files / "test.tsv")]) == 2
    assert "pip install 'recurra[translate]'" in _error(capsys)
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    assert main(["predict", str(run)]) == 2
    assert "pip install 'recurra[text]'" in _error(capsys)
