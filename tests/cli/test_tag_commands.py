import json
import re
from pathlib import Path

import pytest

from made_sentences import columns, conllu, sentences
from recurra.cli.main import main
from recurra.tasks.tag import TagSettings

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
    assert _train(folder / "train.conllu", folder / "run", "--valid", str(folder / "dev.conllu")) == 0
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
    assert values["model"]["accuracy"] == 1
    assert (
        (tmp_path / "e" / "by_tag.csv").read_text().startswith("tag,method,precision,recall,f1,true,predicted,right\n")
    )

    blank = _write(tmp_path / "blank.conllu", re.sub("NAME|VERB|ADV", "_", test.read_text()))
    assert main(["predict", str(run), "--data", str(blank), "--out", str(out)]) == 0
    assert re.search(r"words of 10 sentences, mean confidence 0\.\d+: ", capsys.readouterr().out)
    assert out.read_text() == test.read_text()
    text = _write(tmp_path / "a.txt", "Ann sees Bob today\n")
    assert main(["predict", str(run), "--data", str(text), "--out", str(out), "--confidence"]) == 0
    assert re.fullmatch(r"Ann/NAME/0\.\d{4} sees/VERB/0\.\d{4} Bob/NAME/0\.\d{4} today/ADV/0\.\d{4}\n", out.read_text())


def test_named_entities(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    options = ["--valid", str(folder / "dev.conll"), "--columns=w,t", "--tag-column=t", "--characters=convolution"]
    assert _train(folder / "train.conll", run, *options) == 0
    found = capsys.readouterr().out
    assert "entities of 1 types in IOB2, learned as IOBES; validated on 10 sentences" in found
    assert re.search(r"trained 40 steps in \d+ s, validation F1 [\d.]+ at step (20|40)", found)
    assert f"next: recurra evaluate {run} --data FILE" in found
    odd = _write(tmp_path / "odd.conll", columns([[("Ann", "B-ORG"), ("sees", "O"), ("Zed", "B-PER")]]))
    assert main(["evaluate", str(run), "--data", str(odd)]) == 0
    found = capsys.readouterr().out
    assert re.search(r"^ +precision +recall +F1 +accuracy$", found, re.MULTILINE)
    assert "of 1 words that training did not see" in found
    assert "tags that training never saw, counted as wrong: ORG (1)" in found
    assert main(["predict", str(run), "--data", str(folder / "test.conll"), "--scheme", "iobes"]) == 0
    tagged = (run / "tagged" / "test.conll").read_text()
    assert "S-PER" in tagged
    assert main(["predict", str(run), "--data", str(folder / "test.conll"), "--out", str(folder / "test.conll")]) == 2
    assert "out: expected another file than the data" in _error(capsys)


def test_options_are_the_settings(folder: Path, tmp_path: Path) -> None:
    """A value of its own for every setting arrives under its name."""
    given = {
        "output": "softmax", "scheme": "iob2", "cell": "gru", "num_layers": 2, "hidden_size": 5, "word_size": 7,
        "lowercase": "false", "min_count": 2, "unknown_rate": 0.75, "characters": "convolution", "character_size": 3,
        "character_hidden_size": 4, "dropout": 0.25, "recurrent_dropout": 0.05, "max_vectors": 99, "batch_size": 3,
        "device": "cpu", "max_steps": 2, "optimizer": "Adam", "learning_rate": 0.003, "weight_decay": 0.01,
        "schedule": "constant", "max_grad_norm": 2.5, "averaging": 0.5, "validate_every": 1, "patience": 9, "seed": 4,
        "betas": "0.8,0.95", "momentum": 0.0, "warmup_steps": 1, "clipping": "zscore", "clip_value": 0.5,
        "clip_factor": 0.1, "clip_percentile": 20.0, "clip_zscore": 3.0, "accumulation": 2, "max_skipped": 3,
        "triggered_averaging": 0, "activation_penalty": 0.1, "temporal_activation_penalty": 0.2,
        "precision": "float32", "compile": "false", "keep": 1, "health_every": 0,
    }  # fmt: skip
    assert set(given) == set(TagSettings.__dataclass_fields__)
    options = [text for name, value in given.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    run = tmp_path / "run"
    assert main(["train", "tag", "--data", str(folder / "dev.conllu"), "--out", str(run), *options]) == 0
    found = json.loads((run / "run.json").read_text())["settings"]
    words = {"true": True, "false": False}
    expected = {**given, "betas": [0.8, 0.95]}
    assert found == {name: words.get(str(value), value) for name, value in expected.items()}


def test_the_help_explains_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "tag", "--help"])
    found = capsys.readouterr().out
    for name in TagSettings.__dataclass_fields__:
        entry = re.search(rf"^  --{name}\b.*?(?=^  --|\Z)", found, re.MULTILINE | re.DOTALL)
        assert entry is not None, name
        # More than the option and its values: some words.
        assert len(re.sub(r"\(.*?\)", "", entry[0], flags=re.DOTALL).split()) >= 4, entry[0]


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_the_help_of_a_run(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, str(folder / "run"), "--help"])
    assert "--tag_column" in capsys.readouterr().out


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
        (["--valid=nowhere.conllu"], "nowhere.conllu: no such file"),
        (["--resume"], "not a run"),
        (["--hidden-size=few"], "hidden_size: expected a whole number, got 'few'"),
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
    assert "already holds a run. Go on with it (--resume)" in _error(capsys)
    assert _train(folder / "train.conllu", run, *options, "--resume") == 0
    assert (run / "best.safetensors").read_bytes() == before
    capsys.readouterr()
    assert _train(folder / "dev.conllu", run, *options, "--resume") == 2
    assert "cannot resume with other data" in _error(capsys)
