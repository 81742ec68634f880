import base64
import csv
import json
import logging
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_images import COLOURS, WINDOWS, wall, walls, write_walls
from numpy.testing import assert_allclose

from recurra import load
from recurra.cli.main import main
from recurra.errors import DataError, ParameterError
from recurra.tasks.caption import Captioner, CaptionReading, CaptionSearch
from recurra.tasks.caption.results import score_captions
from recurra.tasks.caption.training import ImageBatches, TrainingBatches
from recurra.training import TrainingInterruptedError

pytest.importorskip("PIL", reason="the extra `image` is not installed")
pytest.importorskip("sacrebleu", reason="the extra `caption` is not installed")

SMALL: dict[str, Any] = {
    "features": "trained", "image_size": 16, "feature_size": 16, "hidden_size": 32, "embedding_size": 16,
    "attention_size": 8, "batch_size": 16, "learning_rate": 0.02, "dropout": 0.0, "image_shift": 1, "max_steps": 120,
    "validate_every": 60, "device": "cpu", "min_count": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_walls(tmp_path_factory.mktemp("walls"), 60)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("caption") / "run"
    Captioner(**SMALL).fit(data, folder=folder, progress=False)
    return folder


def test_what_is_in_the_image_is_said(run: Path) -> None:
    kinds = [(colour, size) for colour in COLOURS for size in WINDOWS]
    captions = Captioner.load(run).predict([wall(*kind, seed=77) for kind in kinds])
    right = [colour in caption for caption, (colour, _) in zip(captions, kinds, strict=True)]
    assert sum(right) >= 5, captions


def test_evaluation_beside_baselines_and_what_is_copied(run: Path, data: Path, tmp_path: Path) -> None:
    evaluation = load(run).evaluate(str(data))
    assert list(evaluation.methods) == ["model", "most frequent caption", "nearest training image"]
    assert list(evaluation.scores) == ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "CIDEr-D", "ROUGE-L"]
    assert evaluation.scores["CIDEr-D"] > evaluation.baselines["most frequent caption"]["CIDEr-D"]
    assert evaluation.facts["images"] == 10
    assert evaluation.facts["copied by people"] == 1
    rows = evaluation.tables["captions"].rows
    training = {f"{k}.png" for k in range(40)}
    assert all(row[3] in training for row in rows) == (evaluation.facts["copied"] == 1)
    written = {path.name for path in evaluation.write(tmp_path / "evaluation")}
    assert written == {"evaluation.json", "captions.csv", "worst.png"}


def test_scores_by_hand() -> None:
    references = [(("a", "dog", "runs"), ("the", "dog")), (("two", "cats"),)]
    scores, signature = score_captions([("a", "dog"), ("two", "dogs")], references)
    # Three of four words and one of two pairs are right; the nearest references have 2 words each.
    assert scores["BLEU-1"] == pytest.approx(100 * 3 / 4)
    assert scores["BLEU-2"] == pytest.approx(100 * (3 / 4 * 1 / 2) ** 0.5)
    assert scores["BLEU-4"] == 0
    assert "tok:none" in signature
    perfect, _ = score_captions([("a", "dog", "runs"), ("two", "cats")], references)
    assert perfect["BLEU-1"] == pytest.approx(100)
    assert perfect["ROUGE-L"] == pytest.approx(1)


def test_commands(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    options = [f"--{name.replace('_', '-')}={value}" for name, value in {**SMALL, "max_steps": 6}.items()]
    assert main(["train", "caption", "--data", str(data), "--out", str(run), *options]) == 0
    assert main(["train", "caption", "--out", str(run), "--resume", "--max-steps=8"]) == 0
    assert (run / "log.csv").read_text().splitlines()[-1].startswith("8,")
    capsys.readouterr()
    photo, picture, page = data.parent / "images" / "3.png", tmp_path / "a.png", tmp_path / "a.html"
    shown = ["--attention", str(picture), "--page", str(page), "--n-best", "2"]
    assert main(["predict", str(run), "--data", str(photo), *shown]) == 0
    *captions, written = capsys.readouterr().out.splitlines()
    assert len(captions) == 2
    assert written == f"written: {picture}, {page}"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert page.read_text().count("<section") == 1
    table = tmp_path / "captions.csv"
    assert main(["predict", str(run), "--data", str(photo.parent), "--out", str(table)]) == 0
    names = [row["image"] for row in csv.DictReader(table.read_text().splitlines())]
    assert names == sorted(f"{k}.png" for k in range(60))
    assert main(["predict", str(run), "--data", str(data), "--out", str(tmp_path / "c.jsonl")]) == 0
    assert len((tmp_path / "c.jsonl").read_text().splitlines()) == 10
    assert main(["predict", str(run), "--data", str(photo), "--attention", "a.jpg"]) != 0


@pytest.mark.slow
def test_the_demo_captions_the_bundled_emoji(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from recurra.cli import demo

    small = "--features=trained --image-size=16 --feature-size=8 --hidden-size=8 --max-steps=2 --device=cpu"
    monkeypatch.setattr(demo, "_OPTIONS", {"caption": {"emoji": small}})
    assert main(["demo", "--task", "caption", "--out", str(tmp_path)]) == 0
    run = tmp_path / "emoji"
    assert json.loads((run / "evaluation" / "evaluation.json").read_text())["images"] == 174
    assert (run / "captions.html").read_text().count("<section") == 12
    assert (run / "captions.csv").is_file()


@pytest.mark.parametrize(
    ("batches", "stage"),
    [
        (TrainingBatches, {"teacher_forcing_ratio": 0.5, "teacher_forcing_epochs": 1}),
        (ImageBatches, {"self_critical": True}),
    ],
)
def test_resumed_training_is_straight_training(
    batches: Any, stage: dict[str, Any], data: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**SMALL, "max_steps": 6, "validate_every": 2, "dropout": 0.2, "max_length": 8, **stage}
    first = run if "self_critical" in stage else None
    Captioner(**options).fit(data, folder=tmp_path / "straight", start_from=first, progress=False)
    read, calls = batches.__call__, []

    def interrupting(batches: Any, step: int) -> Any:
        calls.append(step)
        if len(calls) == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return read(batches, step)

    monkeypatch.setattr(batches, "__call__", interrupting)
    with pytest.raises(TrainingInterruptedError):
        Captioner(**options).fit(data, folder=tmp_path / "run", start_from=first, progress=False)
    Captioner(**options).fit(data, folder=tmp_path / "run", resume=True, progress=False)
    for name in ("log.csv", "best.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_self_critical_training_raises_the_score_of_a_run(data: Path, tmp_path: Path) -> None:
    first = Captioner(**{**SMALL, "max_steps": 40, "learning_rate": 6e-3}).fit(
        data, folder=tmp_path / "run", progress=False
    )
    options = {**SMALL, "learning_rate": 3e-3, "max_steps": 40, "max_length": 8, "self_critical": True}
    second = Captioner(**options).fit(data, start_from=tmp_path / "run", progress=False)
    greedy = CaptionSearch(beam_size=1, no_repeat_ngram=0)
    before, after = (one.evaluate(data, search=greedy).scores["CIDEr-D"] for one in (first, second))
    assert after > before + 0.3
    assert "CIDEr-D" in second.summary()
    with pytest.raises(ParameterError, match="self_critical: expected its default without a run to start from"):
        Captioner(**options).fit(data, progress=False)
    for refused in ({"label_smoothing": 0.1}, {"teacher_forcing_ratio": 0.5}):
        with pytest.raises(ParameterError, match="self_critical"):
            Captioner(**{**options, **refused})


def test_attention_sums_to_one_and_without_it_there_is_none_to_show(run: Path, data: Path) -> None:
    from recurra.tasks.caption.captioning import attention

    captioner = Captioner.load(run)
    images = captioner._for_verb(str(data), None, True)
    weights = attention(captioner.fitted, images, 0, images.words[0][0])
    assert weights.shape == (len(images.words[0][0]) + 1, 8, 8)
    assert_allclose(weights.sum((1, 2)), 1, rtol=1e-5)
    plain = Captioner(**{**SMALL, "attention": "none", "max_steps": 10}).fit(data, progress=False)
    assert plain.evaluate(data).scores["BLEU-1"] > 0
    with pytest.raises(ParameterError, match="attention"):
        plain.predictions([wall("red", "big")], attention="a.png")


def test_n_best_and_ensembles(run: Path) -> None:
    captioner = Captioner.load(run)
    images = [wall("red", "big", 5), wall("blue", "small", 6)]
    best = captioner.predictions(images, search=CaptionSearch(n_best=3)).captions
    for captions in best:
        assert [one.score for one in captions] == sorted((one.score for one in captions), reverse=True)
        assert len({one.words for one in captions}) == 3
        assert_allclose(sum(captions[0].token_log_probs), captions[0].log_prob, rtol=1e-4)
    twice = captioner.predictions(images, search=CaptionSearch(n_best=3), ensemble=(run,)).captions
    assert [[one.words for one in captions] for captions in twice] == [[one.words for one in own] for own in best]
    other = Captioner(**{**SMALL, "max_steps": 1}).fit(*walls(6), progress=False)
    with pytest.raises(ParameterError, match="vocabulary"):
        captioner.predict(images, ensemble=(Captioner(**{**SMALL, "min_count": 9, "max_steps": 1}).fit(
            *walls(12), progress=False),))  # fmt: skip
    assert other.predict(images)


def test_broken_images_are_set_aside_and_listed_in_the_run(data: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    rows = [{**row, "image": str(data.parent / "images" / row["image"])} for row in rows]
    cut = tmp_path / "cut.png"
    cut.write_bytes((data.parent / "images" / "0.png").read_bytes()[:60])
    rows += [{"image": name, "caption": "A word", "split": "train"} for name in ("cut.png", "missing.png")]
    listed = tmp_path / "broken.jsonl"
    listed.write_text("".join(json.dumps(row) + "\n" for row in rows))
    Captioner(**{**SMALL, "max_steps": 1}).fit(listed, folder=tmp_path / "run", progress=False)
    problems = (tmp_path / "run" / "problems.tsv").read_text().splitlines()[1:]
    assert [line.split("\t")[0] for line in problems] == ["left out"] * 2
    assert ["cut.png" in problems[0], "missing.png" in problems[1]] == [True, True]
    with pytest.raises(DataError, match=r"2 of 52 images"):
        Captioner(**SMALL).fit(listed, reading=CaptionReading(most_unusable=0.01), progress=False)
    # The captions of a list are in its order, so that none may be missing.
    captioner, reading = Captioner.load(tmp_path / "run"), CaptionReading(most_unusable=1)
    with pytest.raises(DataError, match=r"1 of 2 images.*cut\.png"):
        captioner.predictions([cut, data.parent / "images" / "0.png"], reading=reading)


@pytest.mark.parametrize(
    ("images", "captions", "says"),
    [
        (walls(4)[0], None, "no caption"),
        (walls(4)[0], [["!"]] * 4, "no caption with a word"),
        ([np.zeros((4, 4))] * 2, ["a", "b"], "uint8"),
        (["nowhere.png"], ["a"], "no such file"),
    ],
)
def test_data_that_cannot_be_used(images: Any, captions: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        Captioner(**SMALL).fit(images, captions, progress=False)


def test_words_too_rare_and_captions_too_long(caplog: pytest.LogCaptureFixture) -> None:
    images, captions = walls(8)
    with pytest.raises(DataError, match="min_count = 99"):
        Captioner(**{**SMALL, "min_count": 99}).fit(images, captions, progress=False)
    with pytest.raises(DataError, match="max_length = 2"):
        Captioner(**{**SMALL, "max_length": 2}).fit(images, captions, progress=False)
    with caplog.at_level(logging.WARNING):
        Captioner(**{**SMALL, "max_length": 4, "max_steps": 1}).fit(images, captions, progress=False)
    assert "longer than max_length = 4" in caplog.text


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ParameterError, match="feature_size: expected a multiple of 2"):
        Captioner(**{**SMALL, "feature_size": 9}).fit(*walls(4), progress=False)


def test_inspection(run: Path, data: Path) -> None:
    captioner = Captioner.load(run)
    page = captioner.inspect(str(data), row=2, progress=False)
    assert page is not None
    with pytest.raises(ParameterError, match="row"):
        captioner.inspect(str(data), row=99, progress=False)


def test_a_server_reads_the_content_of_images_and_no_paths(run: Path, data: Path) -> None:
    pytest.importorskip("fastapi", reason="the extra `serve` is not installed")
    from recurra.server.refusal import Refusal
    from recurra.server.whole_sequences import predict

    captioner, photo = Captioner.load(run), data.parent / "images" / "0.png"
    content = base64.b64encode(photo.read_bytes()).decode()
    assert predict(captioner, [content, content]) == captioner.predict([photo]) * 2
    for refused in ([str(photo)], str(photo), [[1.0, 2.0]], [base64.b64encode(b"no image").decode()], []):
        with pytest.raises(Refusal):
            predict(captioner, refused)
