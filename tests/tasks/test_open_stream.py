"""Trained tasks as streams: what they answer is what they say of the whole."""

import datetime as dt
import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import recurra
from recurra.errors import DataError, StreamError
from recurra.kernels.native import extension

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")

WORDS = [("the", "DET"), ("cat", "NOUN"), ("dog", "NOUN"), ("runs", "VERB"), ("sees", "VERB"), ("a", "DET")]


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> recurra.LanguageModel:
    choose = random.Random(0)
    text = "".join(choose.choice(["the cat sat on the mat. ", "a dog ran home.\n"]) for _ in range(300))
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(text, encoding="utf-8")
    return recurra.LanguageModel(max_steps=10, hidden_size=24, seed=1).fit(str(path))


def tagger(**options: Any) -> recurra.Tagger:
    choose = random.Random(0)
    sentences = [[choose.choice(WORDS) for _ in range(choose.randint(2, 6))] for _ in range(40)]
    return recurra.Tagger(max_steps=5, hidden_size=8, word_size=4, **options).fit(sentences, validation=sentences[:9])


def test_language(language: recurra.LanguageModel) -> None:
    stream = language.open_stream()
    state = stream.new_state()
    surprise = [one.surprise for one in language.surprise("the dog sat")]
    [first] = stream.step(["the d"], [state])
    [second] = stream.step(["og sat"], [state])
    assert first["surprise"] == pytest.approx(surprise[1:5], abs=1e-4)
    assert second["surprise"] == pytest.approx(surprise[6:], abs=1e-4)
    likeliest = max(first["next"], key=lambda one: one["probability"])
    assert first["next"][0] == likeliest
    assert sum(one["probability"] for one in first["next"]) < 1.0001


def test_the_example_is_of_characters_that_the_model_knows(language: recurra.LanguageModel) -> None:
    digits = "12 21 1212\n" * 60
    other = recurra.LanguageModel(max_steps=1, hidden_size=4).fit({"train": digits, "validation": digits})
    for model, expected in ((language, "the "), (other, "1")):
        stream = model.open_stream()
        assert stream.example == expected
        stream.step([stream.example], [stream.new_state()])


def test_streams_together_are_as_alone(language: recurra.LanguageModel) -> None:
    stream = language.open_stream()
    texts = ["the ", "a dog", "ran ", "home"]
    alone = [stream.new_state() for _ in texts]
    expected = [stream.step([text], [state])[0] for text, state in zip(texts, alone, strict=True)]
    together = [stream.new_state() for _ in texts]
    for one, other in zip(stream.step(texts, together), expected, strict=True):
        assert one["surprise"] == pytest.approx(other["surprise"], abs=1e-5)
    for one, other in zip(together, alone, strict=True):
        assert np.abs(one.values - other.values).max() < 1e-6


@pytest.mark.parametrize("item", ["", 3, None, ["a"], "ü"])
def test_items_that_cannot_be_read_leave_the_state(language: recurra.LanguageModel, item: Any) -> None:
    stream = language.open_stream()
    state = stream.new_state()
    before = state.copy()
    with pytest.raises(DataError):
        stream.step([item], [state])
    assert state == before


@pytest.mark.parametrize("output", ["crf", "softmax"])
def test_tags(output: Any) -> None:
    model = tagger(bidirectional=False, output=output)
    stream = model.open_stream()
    state = stream.new_state()
    words = ["the", "cat", "sees", "unheard-of", "dog"]
    answers = [stream.step([word], [state])[0] for word in words]
    # The last word has the whole sentence behind it; a CRF knows of its end only in `predict`.
    whole = model.predict([words])[0]
    assert answers[-1]["confidence"] == pytest.approx(whole.confidence[-1], abs=0.02 if output == "crf" else 1e-5)
    if output == "softmax":
        assert [answer["tag"] for answer in answers] == list(whole.tags)
    with pytest.raises(DataError, match="item: expected a word, without white space"):
        stream.step(["two words"], [state])


def test_a_tagger_that_reads_backward_says_what_to_do() -> None:
    with pytest.raises(
        StreamError, match=r"open_stream\(look_ahead=8\).*--look-ahead 8.*train with bidirectional=False"
    ):
        tagger().open_stream()


def test_a_tagger_that_reads_backward_looks_ahead() -> None:
    model = tagger(output="softmax")
    stream = model.open_stream(look_ahead=2)
    state = stream.new_state()
    sentences = [["the", "cat", "sees", "unheard-of", "dog"], ["a", "dog"], ["cat"]]
    for words in sentences:
        results = [stream.step([word], [state])[0] for word in [*words, None]]
        assert [len(one) for one in results] == [*[0, 0, 1, 1, 1][: len(words)], min(2, len(words))]
        answers = [answer for one in results for answer in one]
        assert [answer["index"] for answer in answers] == list(range(len(words)))
        whole = model.predict([words])[0]
        # The last words have all that comes behind them.
        for answer, tag, confidence in list(zip(answers, whole.tags, whole.confidence, strict=True))[-3:]:
            assert (answer["tag"], answer["confidence"]) == (tag, pytest.approx(confidence, abs=1e-5))
        assert state == stream.new_state()
    with pytest.raises(DataError, match="item: expected a word, without white space"):
        stream.step(["two words"], [state])


def test_a_tagger_that_looks_far_enough_ahead_has_the_confidence_of_the_whole_sentence() -> None:
    model, words = tagger(num_layers=2), ["the", "cat", "sees", "unheard-of", "dog"]
    stream = model.open_stream(look_ahead=9)
    state = stream.new_state()
    assert not any(stream.step([word], [state])[0] for word in words)
    [answers] = stream.step([None], [state])
    whole = model.predict([words])[0]
    assert [answer["confidence"] for answer in answers] == pytest.approx(list(whole.confidence), abs=1e-5)


def test_streams_that_look_ahead_are_together_as_alone() -> None:
    stream = tagger().open_stream(look_ahead=1)
    texts: list[list[Any]] = [["the", "cat", None, "a"], ["a", "dog", "sees", None], ["dog", None, None, "the"]]
    alone = [stream.new_state() for _ in texts]
    expected = [[stream.step([word], [state])[0] for word in text] for text, state in zip(texts, alone, strict=True)]
    together = [stream.new_state() for _ in texts]
    for step in range(4):
        results = stream.step([text[step] for text in texts], together)
        for one, other in zip(results, expected, strict=True):
            assert [answer["index"] for answer in one] == [answer["index"] for answer in other[step]]
            assert [a["confidence"] for a in one] == pytest.approx([a["confidence"] for a in other[step]], abs=1e-5)
    assert all(np.abs(one.values - other.values).max() < 1e-5 for one, other in zip(together, alone, strict=True))


@pytest.mark.parametrize("look_ahead", [0, 4])
def test_models_that_only_read_forward_refuse_to_look_ahead(language: recurra.LanguageModel, look_ahead: int) -> None:
    with pytest.raises(StreamError, match="look_ahead: a language model reads forward only"):
        language.open_stream(look_ahead=look_ahead)
    with pytest.raises(StreamError, match="reads whole inputs"):
        recurra.Translator().open_stream(look_ahead=look_ahead)


def test_a_run_streams_as_the_model_that_wrote_it(language: recurra.LanguageModel, tmp_path: Path) -> None:
    language.save(tmp_path / "run")
    stream, again = language.open_stream(), recurra.load(tmp_path / "run").open_stream()
    state = stream.new_state()
    stream.step(["the c"], [state])
    other = again.read_state(state.to_bytes())
    assert again.step(["at"], [other]) == stream.step(["at"], [state])


@pytest.fixture(scope="module")
def daily() -> pl.DataFrame:
    stamps = pl.datetime_range(dt.datetime(2024, 1, 1), dt.datetime(2024, 4, 29), "1d", eager=True)
    steps = np.arange(len(stamps))
    y = 1e6 + 3 * np.sin(steps * 2 * np.pi / 7) + np.random.default_rng(0).standard_normal(len(stamps))
    return pl.DataFrame({"ds": stamps, "y": y, "rain": np.cos(steps)})


def items_of(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return [row | {"ds": row["ds"].isoformat()} for row in frame.iter_rows(named=True)]


def test_a_forecast_as_observations_arrive(daily: pl.DataFrame) -> None:
    model = recurra.Forecaster(horizon=3, max_steps=6, hidden_size=8, conformal=False)
    model.fit(daily, reading=recurra.ForecastReading(past=("rain",)))
    left_out = daily.filter(pl.col("ds").dt.day() != 9)  # a step without a row, and one without a value
    missing = left_out.with_columns(pl.when(pl.col("ds").dt.day() == 20).then(None).otherwise("y").alias("y"))
    stream = model.open_stream()
    state = stream.new_state()
    answers = [stream.step([item], [state])[0]["forecast"] for item in items_of(missing)]
    assert answers[0] is None
    expected = model.predict(missing)
    assert [row["ds"] for row in answers[-1]] == ["2024-04-30", "2024-05-01", "2024-05-02"]
    for name in ("forecast", "q0.1", "q0.9"):
        assert [row[name] for row in answers[-1]] == pytest.approx(expected[name].to_list(), rel=1e-9)
    assert np.isfinite(state.values).all()


@pytest.mark.parametrize("stamps", ["months", "integers"])
def test_a_forecast_on_other_grids(stamps: str) -> None:
    ds: Any = np.arange(100, 160)
    if stamps == "months":
        ds = pl.date_range(dt.date(1950, 1, 31), dt.date(1954, 12, 31), "1mo", eager=True)
    frame = pl.DataFrame({"ds": ds, "y": np.sin(np.arange(60.0)) + 2})
    model = recurra.Forecaster(horizon=2, max_steps=4, hidden_size=4, conformal=False).fit(frame)
    stream, rows = model.open_stream(), frame.to_dicts()
    state = stream.new_state()
    items = [row | {"ds": row["ds"] if stamps == "integers" else row["ds"].isoformat()} for row in rows]
    answer = [stream.step([item], [state])[0] for item in items][-1]["forecast"]
    expected = model.predict(frame)
    assert [row["ds"] for row in answer] == [str(one) for one in expected["ds"].to_list()]
    assert [row["forecast"] for row in answer] == pytest.approx(expected["forecast"].to_list(), rel=1e-6)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"ds": "2024-04-29", "y": 1}, "expected a stamp after 2024-04-29"),
        ({"ds": "2024-04-30T05:00:00", "y": 1}, "expected a stamp after"),
        ({"ds": "soon", "y": 1}, "which is not a stamp"),
        ({"y": 1}, "expected an object with ds, y"),
        ({"ds": "2024-04-30", "y": 1, "wind": 2}, "expected an object with ds, y"),
        ({"ds": "2024-04-30", "y": "1"}, "expected numbers, or null"),
        ({"ds": "2024-04-30", "y": True}, "expected numbers, or null"),
        (5, "expected an object with ds, y"),
    ],
)
def test_observations_that_do_not_fit_leave_the_state(daily: pl.DataFrame, item: Any, message: str) -> None:
    model = recurra.Forecaster(horizon=3, max_steps=2, hidden_size=4, folds=0).fit(daily.select("ds", "y"))
    stream = model.open_stream()
    state = stream.new_state()
    for one in items_of(daily.select("ds", "y"))[-9:]:
        stream.step([one], [state])
    before = state.copy()
    with pytest.raises(DataError, match=message):
        stream.step([item], [state])
    assert state == before


def test_a_forecaster_that_reads_the_future_does_not_stream(daily: pl.DataFrame) -> None:
    model = recurra.Forecaster(horizon=3, max_steps=2, hidden_size=4)
    model.fit(daily, reading=recurra.ForecastReading(known=("rain",)))
    with pytest.raises(StreamError, match="covariates of the future"):
        model.open_stream()


def test_a_translator_does_not_stream() -> None:
    with pytest.raises(StreamError, match="a translator reads whole inputs; it does not stream"):
        recurra.Translator().open_stream()


@pytest.mark.parametrize("normalization", ["channel", "none"])
def test_a_series_is_classified_as_its_steps_arrive(normalization: Any) -> None:
    generator = np.random.default_rng(0)
    x = [generator.standard_normal((12, 2)) * 3 + 1 for _ in range(24)]
    x[3][2, 1] = np.nan
    options: Any = {
        "filters": 0,
        "bidirectional": False,
        "members": 2,
        "hidden_size": 6,
        "normalization": normalization,
    }
    model = recurra.Classifier(max_steps=3, **options).fit(x, [int(one.mean() > 1) for one in x])
    stream = model.open_stream()
    state = stream.new_state()
    items = [[None if np.isnan(value) else float(value) for value in row] for row in x[3]]
    answers = [stream.step([item], [state])[0] for item in items]
    for length in (1, 7, 12):
        expected = dict(zip(map(str, model.classes_), model.predict_proba([x[3][:length]])[0], strict=True))
        assert answers[length - 1]["probabilities"] == pytest.approx(expected, abs=1e-5)
    for bad in ([1.0], [1.0, "2"], [True, 1.0], 3, {"a": 1.0}, [float("inf"), 0.0]):
        with pytest.raises(DataError, match="item: expected"):
            stream.step([bad], [state])


def test_a_text_is_classified_as_its_words_arrive() -> None:
    texts = ["good film", "bad film", "a good story", "a bad story"] * 6
    options: Any = {"bidirectional": False, "hidden_size": 6, "word_size": 4, "evidence": False, "characters": "none"}
    model = recurra.Classifier(max_steps=3, **options).fit(texts, ["good" if "good" in one else "bad" for one in texts])
    stream = model.open_stream()
    state = stream.new_state()
    answers = [stream.step([word], [state])[0] for word in ["a", "good", "film"]]
    expected = dict(zip(model.classes_, model.predict_proba(["a good film"])[0], strict=True))
    assert answers[-1]["probabilities"] == pytest.approx(expected, abs=1e-5)
    with pytest.raises(DataError, match="one word or mark"):
        stream.step(["two words"], [state])


def test_a_number_is_predicted_as_steps_arrive() -> None:
    generator = np.random.default_rng(0)
    x = [generator.standard_normal((9, 1)) for _ in range(24)]
    options: Any = {"filters": 0, "bidirectional": False, "members": 1, "hidden_size": 5}
    model = recurra.Regressor(max_steps=3, **options).fit(x, [float(one.sum()) for one in x])
    stream = model.open_stream()
    state = stream.new_state()
    answers = [stream.step([[float(value)]], [state])[0]["prediction"] for value in x[0][:, 0]]
    assert answers[-1] == pytest.approx(float(model.predict([x[0]])[0]), abs=1e-5)


@pytest.mark.parametrize("members", [1, 2])
def test_series_that_are_also_read_backward(members: int) -> None:
    generator = np.random.default_rng(0)
    x = [generator.standard_normal((9, 1)) for _ in range(24)]
    options: Any = {"filters": 0, "members": members, "hidden_size": 5, "max_steps": 3}
    number = recurra.Regressor(**options).fit(x, [float(one.sum()) for one in x])
    label = recurra.Classifier(normalization="channel", **options).fit(x, [str(one.sum() > 0) for one in x])
    answers = []
    for model in (number, label):
        stream = model.open_stream(look_ahead=3)
        state = stream.new_state()
        results = [stream.step([item], [state])[0] for item in [*([float(value)] for value in x[0][:, 0]), None]]
        assert [answer["index"] for one in results for answer in one] == list(range(9))
        assert [len(one) for one in results] == [0] * 3 + [1] * 6 + [3]
        answers.append(results[-1][-1])
    # Only the last three steps saw all that comes; the mean over steps of the pooling has the others in it too.
    assert answers[0]["prediction"] == pytest.approx(float(number.predict([x[0]])[0]), abs=0.1)
    expected = dict(zip(map(str, label.classes_), label.predict_proba([x[0]])[0], strict=True))
    assert answers[1]["probabilities"] == pytest.approx(expected, abs=0.1)
    far = number.open_stream(look_ahead=9)
    state = far.new_state()
    for value in x[0][:, 0]:
        far.step([[float(value)]], [state])
    [last] = far.step([None], [state])
    assert last[-1]["prediction"] == pytest.approx(float(number.predict([x[0]])[0]), abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "filters=0"),
        ({"filters": 0}, "bidirectional=False"),
        ({"filters": 0, "bidirectional": False, "normalization": "series"}, "normalization='channel'"),
    ],
)
def test_a_classifier_that_reads_ahead_says_what_to_train(options: Any, message: str) -> None:
    x = [np.random.default_rng(k).standard_normal((9, 1)) for k in range(24)]
    model = recurra.Classifier(max_steps=2, members=1, hidden_size=4, **options).fit(x, [str(k % 2) for k in range(24)])
    with pytest.raises(StreamError, match=message):
        model.open_stream()
