import json
import re
import sys
from pathlib import Path

import pytest

from made_sentences import columns, conllu, sentences
from recurra.cli.main import main
from standard_input import StandardInput

SMALL = [
    *("--hidden-size=8", "--word-size=6", "--character-size=4", "--character-hidden-size=4", "--batch-size=8"),
    *("--max-steps=40", "--validate-every=20", "--learning-rate=0.03", "--averaging=0.8", "--dropout=0.1"),
    "--device=cpu",
]


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files, and a run trained on CoNLL-U; not to be written to."""
    folder = tmp_path_factory.mktemp("tag")
    for name, count, seed in (("train", 40, 0), ("dev", 10, 1), ("test", 10, 2)):
        _write(folder / f"{name}.conllu", conllu(sentences(count, seed, entities=False)))
        _write(folder / f"{name}.conll", columns(sentences(count, seed)))
    assert _train(folder / "train.conllu", folder / "run", "--validation", str(folder / "dev.conllu")) == 0
    return folder


def _train(data: Path, out: Path, *options: str) -> int:
    return main(["train", "tag", "--data", str(data), "--out", str(out), *SMALL, *options])


def _error(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error."""
    found = capsys.readouterr().err
    assert found.count("\n") == 1, found
    assert found.startswith("recurra: error: "), found
    return found.removeprefix("recurra: error: ").strip()


def test_parts_of_speech(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = folder / "run", tmp_path / "new" / "test.conllu"
    test = folder / "test.conllu"
    assert main(["evaluate", str(run), "--data", str(test), "--out", str(tmp_path / "e")]) == 0
    found = capsys.readouterr().out
    assert f"{test}: 10 sentences, " in found
    assert re.search(r"^model +100\.00$", found, re.MULTILINE)
    assert re.search(r"^most frequent tag of each word +100\.00$", found, re.MULTILINE)
    assert re.search(r"^VERB +100\.00 +100\.00 +100\.00 +10$", found, re.MULTILINE)
    values = json.loads((tmp_path / "e" / "evaluation.json").read_text())
    assert values["methods"]["model"]["accuracy"] == 1
    assert (
        (tmp_path / "e" / "by_tag.csv").read_text().startswith("tag,method,precision,recall,f1,true,predicted,right\n")
    )

    blank = _write(tmp_path / "blank.conllu", re.sub("NAME|VERB|ADV", "_", test.read_text()))
    assert main(["predict", str(run), "--data", str(blank), "--out", str(out)]) == 0
    assert re.search(r"words of 10 sentences, mean confidence 0\.\d+", capsys.readouterr().out)
    assert out.read_text() == test.read_text()
    text = _write(tmp_path / "a.txt", "Ann sees Bob today\n")
    assert main(["predict", str(run), "--data", str(text), "--out", str(out), "--confidence"]) == 0
    assert re.fullmatch(r"Ann/NAME/0\.\d{4} sees/VERB/0\.\d{4} Bob/NAME/0\.\d{4} today/ADV/0\.\d{4}\n", out.read_text())


def test_a_text_is_split_into_words_and_marks(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["predict", str(folder / "run"), "--text"]
    assert main([*command, "Ann sees Bob today."]) == 0
    assert re.fullmatch(r"Ann/\w+ sees/\w+ Bob/\w+ today/\w+ \./\w+\n", capsys.readouterr().out)
    assert not (folder / "run" / "tagged").exists()
    assert main([*command, "Ann sees\n\nBob", "--confidence"]) == 0
    assert re.fullmatch(r"Ann/\w+/[01]\.\d{4} sees/\w+/[01]\.\d{4}\n\nBob/\w+/[01]\.\d{4}\n", capsys.readouterr().out)
    assert main([*command, "Ann sees", "--out", str(tmp_path / "a.txt")]) == 0
    assert re.fullmatch(r"Ann/\w+ sees/\w+\n", (tmp_path / "a.txt").read_text())
    assert capsys.readouterr().out == f"written: {tmp_path / 'a.txt'}\n"


def test_predict_reads_standard_input(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command, test = ["predict", str(folder / "run"), "--data", "-"], folder / "test.conllu"
    text = b"Ann sees Bob\r\n\r\nBob sees Ann,\r\n"
    for options, ending in ((), r"Ann/\w+ ,/\w+"), (["--format", "spaces"], r"Ann,/\w+"):
        monkeypatch.setattr(sys, "stdin", StandardInput(text))
        assert main([*command, *options]) == 0
        expected = rf"Ann/\w+ sees/\w+ Bob/\w+\r\n\r\nBob/\w+ sees/\w+ {ending}\r\n"
        assert re.fullmatch(expected, capsys.readouterr().out)
    blank = re.sub("NAME|VERB|ADV", "_", test.read_text())
    for options in ([], ["--format", "conllu"]):
        monkeypatch.setattr(sys, "stdin", StandardInput(blank.encode()))
        assert main([*command, *options]) == 0
        assert capsys.readouterr().out == test.read_text()
    monkeypatch.setattr(sys, "stdin", StandardInput(b"1\tAnn\n"))
    assert main([*command, "--format", "conllu"]) == 2
    assert "standard input, line 1: expected 10 tab-separated columns" in _error(capsys)


def test_named_entities(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    options = ["--validation", str(folder / "dev.conll"), "--columns=w,t", "--tag-column=t", "--characters=convolution"]
    assert _train(folder / "train.conll", run, *options) == 0
    found = capsys.readouterr().out
    assert "entities of 1 type in IOB2, learned as IOBES; validated on 10 sentences" in found
    assert re.search(r"trained 40 steps in \d+ s, best validation F1 [\d.]+ % at step (20|40)", found)
    assert f"next: recurra evaluate {run}" in found
    odd = _write(tmp_path / "odd.conll", columns([[("Ann", "B-ORG"), ("sees", "O"), ("Zed", "B-PER")]]))
    assert main(["evaluate", str(run), "--data", str(odd)]) == 0
    found = capsys.readouterr().out
    assert re.search(r"^ +precision, % +recall, % +F1, % +accuracy, %$", found, re.MULTILINE)
    assert "of 1 words that training did not see" in found
    assert "tags that training never saw, which count as wrong: ORG (1)" in found
    assert main(["predict", str(run), "--data", str(folder / "test.conll"), "--scheme", "iobes"]) == 0
    tagged = (run / "tagged" / "test.conll").read_text()
    assert "S-PER" in tagged
    assert main(["predict", str(run), "--data", str(folder / "test.conll"), "--out", str(folder / "test.conll")]) == 2
    assert "out: expected another file than the data" in _error(capsys)


BAD_DATA = {
    "empty": ("", "data.conllu: the file is empty"),
    "not CoNLL-U": ("a b\n", "data.conllu, line 1: expected 10 tab-separated columns of CoNLL-U, got 1"),
    "no tags": ("1\ta\t_\t_\t_\t_\t0\troot\t_\t_\n", "data.conllu: no word has a tag"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_is_one_line_and_leaves_no_run(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, message = BAD_DATA[case]
    assert _train(_write(tmp_path / "data.conllu", text), tmp_path / "run") == 2
    assert message in _error(capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tag-column=ner"], "train.conllu: no column 'ner' among 10"),
        (["--tag-column=12"], "train.conllu: no column '12' among 10"),
        (["--output=hmm"], "output: expected one of crf, softmax, got 'hmm'"),
        (["--vectors=nowhere.txt"], "nowhere.txt: no such file"),
        (["--validation=nowhere.conllu"], "nowhere.conllu: no such file"),
        (["--resume"], "not a run"),
        (["--hidden-size=few"], "hidden_size: expected a whole number of at least 1, got 'few'"),
    ],
)
def test_a_bad_option_is_one_line(
    options: list[str], message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _train(folder / "train.conllu", tmp_path / "run", *options) == 2
    assert message in _error(capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "RUN"], "data"),
        (["evaluate", "RUN", "--data=nowhere.conllu"], "nowhere.conllu: no such file"),
        (["evaluate", "RUN", "--data=TEST", "--tag-column=ner"], "no column 'ner' among 10"),
        (["predict", "RUN"], "one of the two, got 'neither'"),
        (["predict", "RUN", "--data=TEST", "--text=Ann"], "one of the two, got 'both'"),
        (["predict", "RUN", "--text= "], "the text: expected one or more words, got ' '"),
        (["predict", "RUN", "--data=nowhere.conllu"], "nowhere.conllu: no such file"),
        (["predict", "RUN", "--data=TEST", "--scheme=bilou"], "scheme"),
    ],
)
def test_a_mistaken_command_is_one_line(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"RUN": str(folder / "run"), "--data=TEST": f"--data={folder / 'test.conllu'}"}
    assert main([places.get(argument, argument) for argument in arguments]) == 2
    assert message in _error(capsys)


def test_a_finished_run_is_kept_and_resuming_it_changes_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, options = tmp_path / "run", ["--max-steps=3"]
    assert _train(folder / "train.conllu", run, *options) == 0
    before = (run / "best.safetensors").read_bytes()
    capsys.readouterr()
    assert _train(folder / "train.conllu", run, *options) == 2
    assert "already holds a run. Resume it (--resume)" in _error(capsys)
    assert _train(folder / "train.conllu", run, *options, "--resume") == 0
    assert (run / "best.safetensors").read_bytes() == before
    capsys.readouterr()
    assert _train(folder / "dev.conllu", run, *options, "--resume") == 2
    assert "cannot resume with other data" in _error(capsys)
