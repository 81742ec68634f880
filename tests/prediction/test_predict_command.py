"""`recurra predict` on folders and patterns of tables."""

from pathlib import Path

import pytest
from small_tables import contents, write_texts

from recurra.cli.main import main
from recurra.prediction import TableOptions, predict_files


def test_a_pattern_is_predicted_into_a_folder(
    text_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pattern, out = write_texts(tmp_path / "in", (12, 3)), tmp_path / "out"
    command = ["predict", str(text_run), "--data", pattern, "--out", str(out), "--piece-rows", "5", "--keep", "id"]
    assert main([*command, "--probabilities"]) == 0
    assert "15 rows of 2 files" in capsys.readouterr().out
    expected = tmp_path / "expected"
    options = TableOptions(piece_rows=5, keep=("id",))
    predict_files(text_run, pattern, expected, options=options, probabilities=True, progress=False)
    assert contents(out) == contents(expected)
    assert main(command) == 2
    assert "other options: arguments" in capsys.readouterr().err


def test_what_the_command_refuses(text_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pattern = write_texts(tmp_path / "in", (3,))
    single = str(tmp_path / "in" / "table0.csv")
    for arguments, fact in (
        (["--data", pattern], "--out FOLDER"),
        (["--data", single, "--engine", "local"], "--out FOLDER"),
        (["--data", f"{tmp_path}/none/*.csv", "--out", str(tmp_path / "out")], "no file fits"),
        (["--data", pattern, "--out", str(tmp_path / "out"), "--text", "a"], "text: expected none"),
        (["--data", pattern, "--out", str(tmp_path / "out"), "--workers", "2"], "--engine ray"),
        (["--data", pattern, "--out", single], "cannot be written"),
    ):
        assert main(["predict", str(text_run), *arguments]) == 2, arguments
        captured = capsys.readouterr().err
        assert fact in captured, captured
        assert captured.count("\n") == 1


def test_help_names_the_options_of_tables(text_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(text_run), "--help"]) == 0
    text = capsys.readouterr().out
    assert "--engine {local,ray}" in text
    assert text.count("--text-column") == 1
