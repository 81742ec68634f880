import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_drawings import drawings
from made_handwriting import handwriting, text_of, write_ndjson
from recurra import DrawingModel, load
from recurra.cli.main import main
from recurra.data.drawings.read import read_drawings
from recurra.errors import DataError, ParameterError
from recurra.tasks.draw.drawing_model import DrawingReading
from recurra.tasks.draw.results import windows_of

SMALL: dict[str, Any] = {
    "hidden_size": 16, "mixtures": 2, "window": 3, "max_steps": 120, "batch_size": 24, "learning_rate": 0.02,
    "schedule": "constant", "stretch": 0.0, "merging": 0.0, "recurrent_dropout": 0.0, "validation_fraction": 0.0,
    "averaging": 0.0, "device": "cpu",
}  # fmt: skip
BRIEF = {**SMALL, "hidden_size": 8, "max_steps": 4}


def pairs(count: int, first: int = 0) -> list[tuple[np.ndarray, str]]:
    return [(handwriting(text_of(seed), seed), text_of(seed)) for seed in range(first, first + count)]


@pytest.fixture(scope="module")
def model() -> DrawingModel:
    return DrawingModel(**SMALL).fit(pairs(96), progress=False)


def test_the_text_says_what_comes_next(model: DrawingModel) -> None:
    items = pairs(16, 500)
    assert model.fitted.learned.characters == "lvz"
    with_texts = model.evaluate(items).scores["nats/point"]
    others = [(strokes, text[::-1].translate(str.maketrans("lvz", "vzl"))) for strokes, text in items]
    assert with_texts < model.evaluate(others).scores["nats/point"] - 0.5
    # The window is read in the order of the text.
    read = model.read(items, None, DrawingReading(), labelled=False)
    centres = [
        windows[:, :-1] @ np.arange(len(text)) / windows[:, :-1].sum(1).clip(1e-6)
        for windows, text in zip(windows_of(model.fitted, read), read.texts, strict=True)
    ]
    assert np.mean([one[0] for one in centres]) < 0.8
    assert all(one[-1] > one[0] + 0.5 for one in centres)


def test_what_is_written_ends_with_its_text(model: DrawingModel) -> None:
    """A longer text has more points, those of a seed are the same however many, and no text is cut."""
    lengths = {}
    for text in ("vl", "vlvlvl"):
        many = model.generate(text=text, count=6, temperature=0.1, seed=1)
        np.testing.assert_array_equal(model.generate(text=text, count=1, temperature=0.1, seed=1)[0], many[0])
        lengths[text] = np.mean([len(one) for one in many])
    assert 3 <= lengths["vl"] <= 8
    assert lengths["vlvlvl"] > lengths["vl"] + 4


def test_a_start_gives_its_style_and_its_text(model: DrawingModel, tmp_path: Path) -> None:
    traces = "<trace>0 0, 2 8, 4 0</trace>"
    for name, note in (("known", '<annotation type="transcription">v</annotation>'), ("unknown", "")):
        (tmp_path / f"{name}.inkml").write_text(f"<ink>{note}{traces}</ink>", encoding="utf-8")
    options = {"text": "lz", "start_epsilon": 0.0, "count": 1}
    known = model.generate(start=str(tmp_path / "known.inkml"), **options)[0]
    np.testing.assert_array_equal(known[:2], [[2, 8, 0], [2, -8, 1]])
    assert len(known) > 2
    named = model.generate(start=str(tmp_path / "unknown.inkml"), start_text="v", **options)[0]
    np.testing.assert_array_equal(known, named)
    with pytest.raises(ParameterError, match="start_text"):
        model.generate(start=str(tmp_path / "unknown.inkml"), **options)


def test_the_bias_makes_writing_alike(model: DrawingModel) -> None:
    spread = []
    for options in ({"bias": 0.0}, {"bias": 3.0}, {"temperature": 1.0}):
        firsts = np.array([one[0, :2] for one in model.generate(text="vlz", count=12, **options)])
        spread.append(firsts.std(axis=0).sum())
    assert spread[1] < 0.5 * spread[0]
    assert spread[0] == spread[2]
    with pytest.raises(ParameterError, match="bias"):
        model.generate(text="v", bias=1.0, temperature=0.5)


def test_texts_that_cannot_be_used(model: DrawingModel) -> None:
    for text in (None, ""):
        with pytest.raises(ParameterError, match="text"):
            model.generate(text=text)
    with pytest.raises(DataError, match="'x'"):
        model.generate(text="vxl")
    with pytest.raises(DataError, match="drawing 2"):
        model.predict([*pairs(1), handwriting("vl", 0)])
    with pytest.raises(DataError, match=r"drawing 3.*window = 0"):
        DrawingModel(**BRIEF).fit([*pairs(2), handwriting("vl", 0)])
    with pytest.raises(ParameterError, match="latent_size"):
        DrawingModel(**BRIEF, latent_size=2).fit(pairs(8), progress=False)
    plain = DrawingModel(**{**BRIEF, "window": 0}).fit(pairs(8), progress=False)
    assert len(plain.predict(pairs(2))) == 2
    with pytest.raises(ParameterError, match="text"):
        plain.generate(text="v")


def test_commands(tmp_path: Path, drawn: list[Any]) -> None:
    data, run = str(write_ndjson(tmp_path / "hand.ndjson", 40)), tmp_path / "run"
    options = [f"--{name.replace('_', '-')}={value}" for name, value in {**BRIEF, "num_layers": 2}.items()]
    assert main(["train", "draw", "--data", data, "--epsilon", "0", "--out", str(run), *options]) == 0
    assert read_drawings(data).texts[:2] == (text_of(0), text_of(1))
    assert main(["evaluate", str(run), "--data", data]) == 0
    window = json.loads((run / "evaluation" / "evaluation.json").read_text())
    assert window["drawings"] == 40
    assert (run / "evaluation" / "window.png").exists()
    names = [label.get_text() for label in drawn[-1].axes[1].get_yticklabels()]
    assert names == [*text_of(0), "end"]
    assert main(["generate", str(run), "--text", "vlz", "--count", "3", "--out", str(tmp_path / "a.svg")]) == 0
    assert main(["generate", str(run), "--count", "3", "--out", str(tmp_path / "b.svg")]) != 0
    assert not (tmp_path / "b.svg").exists()
    again = load(run)
    assert isinstance(again, DrawingModel)
    assert again.fitted.learned.pace == pytest.approx(
        sum(len(text_of(k)) for k in range(40)) / sum(map(len, read_drawings(data, 0).strokes))
    )


def test_training_resumes_to_the_same_weights(tmp_path: Path) -> None:
    data = write_ndjson(tmp_path / "hand.ndjson", 24)
    values = {**BRIEF, "recurrent_dropout": 0.2, "stretch": 0.1}
    whole = DrawingModel(**values).fit(data, folder=tmp_path / "a", progress=False)
    DrawingModel(**{**values, "max_steps": 2}).fit(data, folder=tmp_path / "b", progress=False)
    resumed = DrawingModel(**values).fit(None, folder=tmp_path / "b", resume=True, progress=False)
    for name, value in whole.fitted.network.state_dict().items():
        assert np.array_equal(value.numpy(), resumed.fitted.network.state_dict()[name].numpy()), name


@pytest.mark.slow
def test_the_page_that_shows_the_network_inside(model: DrawingModel, tmp_path: Path) -> None:
    model.save(tmp_path / "run")
    data = str(write_ndjson(tmp_path / "hand.ndjson", 6))
    assert main(["inspect", str(tmp_path / "run"), "--data", data, "--epsilon", "0", "--row", "2"]) == 0
    assert list((tmp_path / "run" / "inspection").iterdir())


def test_drawings_without_text_are_as_before() -> None:
    items = drawings(8)
    read = DrawingModel(**BRIEF).read(*items, DrawingReading(), labelled=True)
    assert read.texts == ()
    assert not DrawingModel(**BRIEF).learn(read, None).characters
