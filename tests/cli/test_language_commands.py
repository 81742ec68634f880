import json
import re
import sys
from pathlib import Path

import pytest

from recurra.cli.main import main
from standard_input import StandardInput

TEXT = "The sun did not shine.\nIt was too wet to play.\nSo we sat in the house\nAll that cold, cold, wet day.\n" * 10
SMALL = ["--hidden-size=8", "--max-steps=4", "--batch-size=4", "--truncation-length=10", "--device=cpu"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run; not to be written to."""
    folder = tmp_path_factory.mktemp("language")
    (folder / "wet day.txt").write_text(TEXT)
    data = str(folder / "wet day.txt")
    assert main(["train", "language", "--data", data, "--out", str(folder / "run"), "--test-fraction=0.1", *SMALL]) == 0
    return folder / "run"


def _error(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error."""
    found = capsys.readouterr().err
    assert found.count("\n") == 1, found
    assert found.startswith("recurra: error: "), found
    return found.removeprefix("recurra: error: ").strip()


def test_train_says_what_it_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data, out = tmp_path / "a.txt", tmp_path / "run"
    data.write_text(TEXT)
    options = ["train", "language", "--data", str(data), "--out", str(out), *SMALL]
    assert main(options) == 0
    found = capsys.readouterr()
    assert "train 900, validation 100 characters (the first 90 % to train, the last 10 % to validate)" in found.out
    assert "at step 4" in found.out
    assert f"next: recurra evaluate {out}" in found.out
    assert found.err == ""
    assert (out / "training.png").read_bytes().startswith(b"\x89PNG")
    assert main(options) == 2
    assert "already holds a run. Resume it (--resume)" in _error(capsys)
    assert main([*options, "--resume"]) == 0


def test_evaluate_prints_both_methods(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", str(run), "--part", "validation", "--out", str(tmp_path / "there")]) == 0
    assert "validation text: 100 characters, 100 bytes (it chose the weights" in capsys.readouterr().out
    assert main(["evaluate", str(run), "--out", str(tmp_path / "there")]) == 0
    shown = capsys.readouterr().out
    assert "test text: 100 characters, 100 bytes\n" in shown
    assert "nats/character  bits/character  perplexity/character  bits/byte" in shown
    assert "6-gram, Kneser-Ney" in shown
    assert "Only bits/byte compares models" in shown
    written = json.loads((tmp_path / "there" / "evaluation.json").read_text())
    assert written["name"] == "test"
    other = tmp_path / "other.txt"
    other.write_text("The sun 日 did\n")
    assert main(["evaluate", str(run), "--data", str(other), "--out", str(tmp_path / "there")]) == 0
    assert "1 of 14 characters are not in the vocabulary" in capsys.readouterr().out


def test_generate_writes_prompt_and_text(run: Path, capsys: pytest.CaptureFixture[str]):
    options = ["generate", str(run), "--prompt", "The sun", "--length=30", "--seed=1"]
    assert main(options) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("The sun")
    assert len(shown.out) == 7 + 30 + 1
    assert shown.err == ""
    assert main([*options, "--temperature=0.5", "--top-k=5", "--top-p=0.9"]) == 0
    assert capsys.readouterr().out != shown.out
    assert main(options) == 0
    assert capsys.readouterr().out == shown.out


def test_predict_says_what_comes_next(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert main(["predict", str(run), "--prompt", "The sun", "--top", "3"]) == 0
    found = capsys.readouterr().out
    lines = found.splitlines()
    assert len(lines) == 3
    monkeypatch.setattr(sys, "stdin", StandardInput(b"The sun\n"))
    for source in (["--text", "The sun"], ["--data", "-"]):
        assert main(["predict", str(run), *source, "--top", "3"]) == 0
        assert capsys.readouterr().out == found
    assert main(["predict", str(run), "--prompt", "The", "--text", "The sun"]) == 2
    assert "prompt: expected none beside a text or a file" in capsys.readouterr().err
    assert all(re.fullmatch(r"('.+'|\".+\"|byte \d+) +\d+\.\d %", line) for line in lines)


def test_generate_shows_surprise(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    page = tmp_path / "pages" / "a.html"
    options = ["generate", str(run), "--prompt", "The sun", "--out", str(page)]
    assert main([*options, "--length=0", "--color=always"]) == 0
    shown = capsys.readouterr()
    assert f"written: {page}" in shown.out
    assert "surprise in bits, from" in shown.err
    assert page.read_text().count('class="prompt"') == 7
    assert main([*options[:4], "--length=3", "--color=always"]) == 0
    assert "\x1b[1;38;5;16;48;5;" in capsys.readouterr().out
    assert main([*options[:4], "--length=3"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--prompt", "Zoé"], "prompt, character 1: the model has never seen 'Z'"),
        (["--temperature=-1"], "temperature: expected a number of at least 0"),
        (["--length=many"], "length: expected a whole number of at least 0, got 'many'"),
        (["--out", "page.pdf"], "out: expected a file ending in .txt, .html or .htm"),
        (["--color=red"], "color: expected one of auto, always, never"),
    ],
)
def test_generate_refuses(run: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert main(["generate", str(run), *options]) == 2
    assert message in _error(capsys)


def test_what_cannot_be_read_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    empty, binary = tmp_path / "empty.txt", tmp_path / "binary.txt"
    empty.touch()
    binary.write_bytes(b"\0\1\2")
    for path, message in ((empty, "the file is empty"), (binary, "the file is binary"), (tmp_path / "no", "no such")):
        assert main(["train", "language", "--data", str(path), "--out", str(tmp_path / "run")]) == 2
        assert message in _error(capsys)
    assert main(["generate", str(tmp_path)]) == 2
    assert "not a run" in _error(capsys)
    (tmp_path / "run.json").write_text('{"format": 1, "task": "forecast"}')
    assert main(["generate", str(tmp_path)]) == 2
    assert re.search("a run of task 'forecast', and `recurra generate` is for .*language", _error(capsys))
