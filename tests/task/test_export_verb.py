"""`recurra export`: a run written for other programs, from Python and from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import recurra
from recurra.cli.main import main
from recurra.errors import ExportError, StreamError
from recurra.kernels.native import extension

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="the check of exported C needs the C++ extension")


@pytest.fixture(scope="module")
def series() -> tuple[list[np.ndarray], list[str]]:
    generator = np.random.default_rng(0)
    x = [generator.standard_normal((20, 2)) for _ in range(24)]
    return x, ["up" if one.mean() > 0 else "down" for one in x]


@pytest.fixture(scope="module")
def run(series: tuple[list[np.ndarray], list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that streams."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    options = {"filters": 0, "bidirectional": False, "members": 1, "hidden_size": 8}
    recurra.Classifier(max_steps=3, **options).fit(*series).save(folder)
    return folder


def test_c(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run), "--to=c", "--name=pump", "--weights=int8", f"--out={tmp_path / 'c'}"]) == 0
    names = {path.name for path in (tmp_path / "c").iterdir()}
    assert names == {"pump.h", "pump.c", "pump_check.c", "Makefile", "pump.json"}
    assert sorted(json.loads((tmp_path / "c" / "pump.json").read_text())["labels"]) == ["down", "up"]
    assert "pump.c: " in capsys.readouterr().out


def test_onnx_holds_what_a_program_has_to_know(run: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    assert main(["export", str(run), f"--out={tmp_path}"]) == 0
    properties = {one.key: json.loads(one.value) for one in onnx.load(tmp_path / "model.onnx").metadata_props[:3]}
    assert sorted(properties["labels"]) == ["down", "up"]
    assert properties["temperature"] > 0


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_torch_script(run: Path, series: tuple[list[np.ndarray], list[str]], tmp_path: Path) -> None:
    model = recurra.Classifier.load(run)
    files = model.export(to="torch").write(tmp_path)
    assert [path.name for path in files] == ["model.pt", "model.json"]
    script = torch.jit.load(tmp_path / "model.pt")
    facts = json.loads((tmp_path / "model.json").read_text())
    x = np.stack(series[0][:3])
    scaled = (x - np.array(facts["encoding"]["mean"])) / np.array(facts["encoding"]["deviation"])
    state = [torch.zeros(1, 3, 8) for _ in range(2)]
    scores, *_ = script(torch.from_numpy(scaled).float(), torch.full((3,), 20), *state)
    probabilities = (scores.detach() / facts["temperature"]).softmax(1).numpy()
    order = [facts["labels"].index(name) for name in sorted(facts["labels"])]
    assert np.abs(probabilities[:, order] - model.predict_proba(list(x))).max() < 1e-5


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_tagger_as_torch_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentences = [[("the", "D"), ("cat", "N")], [("a", "D"), ("dog", "N"), ("runs", "V")]] * 20
    model = recurra.Tagger(max_steps=30, hidden_size=8, word_size=4).fit(sentences, validation=sentences[:4])
    model.export(to="torch").write(tmp_path)
    printed = capsys.readouterr().out
    assert printed.count("  checked: ") == 3
    assert "forward(words, lengths, characters, character_lengths, spellings, recurrent.h_0" in printed
    facts = json.loads((tmp_path / "model.json").read_text())
    script = torch.jit.load(tmp_path / "model.pt")
    # As a program without Recurra does: its own look-ups, by the vocabularies of model.json.
    lines = [["the", "dog", "runs"], ["cat"]]
    rows = {name: row for row, name in enumerate(facts["words"]["words"])}
    letters = {name: row for row, name in enumerate(facts["words"]["characters"])}
    forms = sorted({form for line in lines for form in line})
    padded = [[*line, *[""] * (3 - len(line))] for line in lines]
    words = torch.tensor([[rows.get(form, 0) for form in line] for line in padded])
    spelled = torch.tensor([[letters.get(one, 0) for one in form.ljust(5)] for form in forms])
    spellings = torch.tensor([[forms.index(form) if form else 0 for form in line] for line in padded])
    ends = torch.tensor([len(form) for form in forms])
    state = [torch.zeros(2, 2, 8) for _ in range(2)]
    _, tags, *_ = script(words, torch.tensor([3, 1]), spelled, ends, spellings, *state)
    names = [[facts["tags"][tag] for tag in line if tag != -100] for line in tags.tolist()]
    assert names == [[*one.tags] for one in model.predict(lines)]


def test_what_has_no_such_form_says_so(series: tuple[list[np.ndarray], list[str]], tmp_path: Path) -> None:
    both_ways = recurra.Classifier(max_steps=2, members=1, hidden_size=4).fit(*series)
    with pytest.raises(StreamError, match="Train with filters=0"):
        both_ways.export(to="c").write(tmp_path)
    with pytest.raises(ExportError, match=r"--to torch: a translator reads .* Use --to onnx"):
        recurra.Translator().export(to="torch")
