import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from made_classes import series, series_csv, several, several_csv, texts, texts_csv
from recurra.errors import DataError, ParameterError, RunError
from recurra.models.temperature import fit_temperature
from recurra.task.label_evaluation import beginning_lengths
from recurra.tasks.classify import Classifier, ItemReading
from recurra.tasks.classify.network import logits_of
from recurra.training import load_last

SMALL: dict[str, Any] = {
    "hidden_size": 6, "word_size": 6, "max_steps": 40, "batch_size": 12, "validate_every": 20, "learning_rate": 0.05,
    "dropout": 0.1, "averaging": 0.8, "device": "cpu",
}  # fmt: skip


def fitted(data: Any, labels: Any, valid: Any = None, **options: Any) -> Classifier:
    return Classifier(**{**SMALL, **options}).fit(data, labels, validation=valid, progress=False)


@pytest.fixture(scope="module")
def of_texts() -> Classifier:
    return fitted(*texts(90), texts(30, 1), max_steps=80)


@pytest.fixture(scope="module")
def of_series() -> Classifier:
    return fitted(*series(40), series(10, 1), members=2)


@pytest.fixture(scope="module")
def of_several() -> Classifier:
    return fitted(*several(60), several(20, 1), max_steps=60)


@pytest.fixture
def every(request: pytest.FixtureRequest) -> dict[str, tuple[Classifier, Any]]:
    """Of each kind one, with what made its data."""
    made = {"of_texts": texts, "of_series": series, "of_several": several}
    return {name: (request.getfixturevalue(name), data) for name, data in made.items()}


def test_it_learns_texts(of_texts: Classifier) -> None:
    found = of_texts.evaluate(*texts(30, 2))
    assert found.scores == {"accuracy": 1, "macro F1": 1}
    assert found.score == of_texts.score(*texts(30, 2)) == 1
    assert found.facts["loss_nats"] < 0.2
    assert list(found.baselines) == ["naive Bayes"]
    assert (found.facts["source"], found.facts["items"], found.facts["unseen_labels"]) == ("the data", 30, {})
    assert of_texts.classes_.tolist() == ["bad", "good"]


def test_it_learns_series_that_the_nearest_mean_does_not(of_series: Classifier) -> None:
    """Up and down have the same mean, deviation and mean step."""
    found = of_series.evaluate(*series(30, 2))
    assert found.scores["accuracy"] > 0.95
    assert found.baselines["nearest mean"]["accuracy"] < 0.8


def test_it_learns_several_labels_an_item(of_several: Classifier) -> None:
    found = of_several.evaluate(*several(40, 2))
    assert found.scores["accuracy"] > 0.9
    assert found.scores["micro F1"] > 0.95
    assert of_several.score(*several(40, 2)) == found.scores["accuracy"]
    assert list(found.tables) == ["by_label"]
    assert of_several.predict(["great film of today", "film of today"]) == [("good",), ()]


@pytest.mark.parametrize(
    ("made", "options"),
    [
        (texts, {"cell": "gru", "num_layers": 2, "pooling": ("last", "attention"), "class_weights": "balanced"}),
        (
            series,
            {
                "filters": 8,
                "stride": 2,
                "normalization": "series",
                "choose_by": "loss",
                "bidirectional": False,
                "members": 1,
            },
        ),
        (
            texts,
            {"characters": "convolution", "character_size": 4, "character_hidden_size": 4, "tokenization": "spaces"},
        ),
        (several, {"label_smoothing": 0.1, "choose_by": "macro_f1", "class_weights": "balanced"}),
    ],
)
def test_every_network_learns(made: Any, options: dict[str, Any]) -> None:
    data, labels = made(60)
    found = fitted(data, labels, made(20, 3), **options, max_steps=60).evaluate(*made(20, 1))
    assert found.scores.get("micro F1", found.scores["accuracy"]) > 0.9


def test_what_was_read_first_counts(of_series: Classifier) -> None:
    """The shape is seen at the end only."""
    found = of_series.evaluate(*series(30, 3)).facts["early_decision"]
    assert list(found) == [f"{k / 10:g}" for k in range(1, 11)]
    assert found["1"] > 0.95
    # Half of the items have one label and half the other, and nothing is said of it yet.
    assert found["0.1"] < 0.75
    values, labels = series(30, 3)
    assert found["0.1"] == of_series.score([one[: max(1, -(-len(one) // 10))] for one in values], labels)
    assert found["1"] == of_series.score(values, labels)


def test_a_batch_of_many_is_many_of_one(every: dict[str, tuple[Classifier, Any]]) -> None:
    for classifier, made in every.values():
        items = made(9, 5)[0]
        together = classifier.predictions(items)
        assert together.labels == [one.labels for one in together]
        assert_allclose(together.confidence, [one.confidence for one in together], rtol=1e-12)
        for item, found in zip(items, together, strict=True):
            (alone,) = classifier.predictions([item])
            assert alone.labels == found.labels
            assert list(alone.probabilities.values()) == pytest.approx(list(found.probabilities.values()), abs=1e-5)


def test_probabilities_are_of_logits_by_the_temperature(every: dict[str, tuple[Classifier, Any]]) -> None:
    for classifier, made in every.values():
        learned = classifier.fitted.learned
        items = made(20, 1)[0]
        logits = logits_of(classifier.fitted, learned.encode(items))
        expected = learned.labels.probabilities(logits / learned.temperature)
        assert_allclose(classifier.predictions(items).probabilities, expected, atol=1e-6)
        order = [learned.labels.names[name] for name in classifier.classes_]
        assert_allclose(classifier.predict_proba(items), expected[:, order], atol=1e-6)


def test_the_temperature_is_fitted_to_the_validation_data() -> None:
    valid = texts(12, 1)
    wrong = (valid[0], [*valid[1][:9], "good", "good", "good"])
    classifier = fitted(*texts(60), wrong)
    learned = classifier.fitted.learned
    logits = logits_of(classifier.fitted, learned.encode(wrong[0]))
    expected = fit_temperature(logits, learned.labels.encode([(name,) for name in wrong[1]]).numpy())
    assert learned.temperature == expected
    assert 1 / 20 < expected < 20
    assert f"(temperature {expected:.2f})" in classifier.summary()
    assert fitted(*texts(20), validation_fraction=0.0, max_steps=2).fitted.learned.temperature == 1


def test_a_prediction_has_the_confidence_of_its_item() -> None:
    for made in (texts, several):
        classes = fitted(*made(20), max_steps=2).predictions(made(6, 1)[0])
        assert [one.confidence for one in classes] == classes.confidence.tolist()


def test_a_beginning_has_at_least_one_step_and_no_rounding_error() -> None:
    lengths = np.array([10, 1, 3])
    for fraction, expected in ((0.1, [1, 1, 1]), (0.34, [4, 1, 2]), (0.3, [3, 1, 1]), (1.0, [10, 1, 3])):
        assert beginning_lengths(lengths, fraction).tolist() == expected


def test_extreme_logits_are_probabilities_without_a_warning(of_several: Classifier) -> None:
    logits = np.array([[120.0, -120.0]], np.float32)
    assert_allclose(of_several.fitted.learned.labels.probabilities(logits / (1 / 20)), [[1, 0]], atol=1e-12)


def test_save_and_load(every: dict[str, tuple[Classifier, Any]], tmp_path: Path) -> None:
    for name, (classifier, made) in every.items():
        classifier.save(tmp_path / name)
        loaded = Classifier.load(tmp_path / name)
        items, labels = made(15, 4)
        assert_allclose(loaded.predict_proba(items), classifier.predict_proba(items), rtol=1e-12)
        assert loaded.get_params() == classifier.get_params()
        one, other = loaded.evaluate(items, labels), classifier.evaluate(items, labels)
        assert one.to_dict() == other.to_dict()
        assert one.tables["by_label"] == other.tables["by_label"]
        with pytest.raises(RunError, match="already holds a run"):
            classifier.save(tmp_path / name)


def test_labels_that_training_never_saw_count_as_wrong(of_texts: Classifier, caplog: pytest.LogCaptureFixture) -> None:
    items, labels = texts(9, 6)
    found = of_texts.evaluate([*items, "so so", "so"], [*labels, "fair", "fair"])
    assert found.facts["unseen_labels"] == {"fair": 2}
    assert found.scores["accuracy"] == pytest.approx(9 / 11)
    assert found.baselines["naive Bayes"]["accuracy"] <= 9 / 11
    (row,) = (row for row in found.tables["by_label"].rows if row[:2] == ["fair", "model"])
    assert row[3] == 0
    loss = of_texts.evaluate(items, labels).facts["loss_nats"]
    assert found.facts["loss_nats"] == pytest.approx(loss, abs=1e-6)
    assert sum(found.facts["reliability"]["with_temperature"]["counts"]) == 11
    alone = of_texts.evaluate(["so"], ["fair"])
    assert alone.facts["loss_nats"] is None
    assert alone.scores["accuracy"] == 0
    fitted(items, labels, (["so", *items], ["fair", *labels]), max_steps=1)
    assert "the data: labels that training never sees, which count as wrong: 'fair' (1)" in caplog.text


def test_empty_blank_and_very_long_texts(of_texts: Classifier, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        empty, blank = of_texts.predict_proba(["", " \n\t"])
        assert np.array_equal(empty, blank)
        assert not caplog.records
        (found,) = of_texts.predict(["film great " * 50_000])
    assert found == "good"
    assert "1 of 1 texts has more than max_length = 1000 tokens" in caplog.text
    assert of_texts.predict(["\x1b[31m\x00 great \u202e"]) == ["good"]


def test_a_list_of_words_is_a_text(of_texts: Classifier) -> None:
    found, _ = texts(5, 3)
    expected = of_texts.predict_proba(found).tolist()
    assert of_texts.predict_proba([text.split() for text in found]).tolist() == expected
    assert of_texts.predict_proba([tuple(found[0].split()), *found[1:]]).tolist() == expected


def test_training_on_blank_texts_and_words_of_one_text() -> None:
    classifier = fitted(["", " ", "x", "y"] * 3, ["a", "a", "b", "b"] * 3, min_count=2, max_steps=20)
    assert classifier.predict(["", "x"]).tolist() == ["a", "b"]


def test_the_other_kind_and_other_channels_are_refused(of_texts: Classifier, of_series: Classifier) -> None:
    with pytest.raises(DataError, match="expected series, which the classifier was trained on, got texts"):
        of_series.predict(["great"])
    with pytest.raises(DataError, match="expected texts, which the classifier was trained on, got series"):
        of_texts.evaluate([[1.0]], ["good"])
    with pytest.raises(DataError, match="expected series"):
        of_series.explain(["great"])
    with pytest.raises(DataError, match=r"the data: series 1 has the shape \(2, 1\), expected \(T, 2\)"):
        of_series.predict([[1.0, 2.0]])
    with pytest.raises(DataError, match="expected texts, which the classifier is trained on, got series"):
        fitted(*texts(9), valid=series(3))


def test_one_label_an_item_stays_one(of_texts: Classifier) -> None:
    message = "the data: item 2 has not exactly one label"
    with pytest.raises(DataError, match=message):
        of_texts.evaluate(["great", "dull"], ["good", ["good", "bad"]])
    with pytest.raises(DataError, match=message):
        fitted(*texts(9), valid=(["great", "dull"], ["good", ()]))


def test_pretrained_vectors_are_read_and_kept(tmp_path: Path) -> None:
    signs = {"great": 1, "lovely": 1, "superb": 1, "awful": -1, "dull": -1, "poor": -1, "nice": 1}
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("".join(f"{word} {sign} 1 0\n" for word, sign in signs.items()))
    classifier = fitted(*texts(60), unknown_rate=5.0, vectors=str(vectors))
    # A word of no text, told by its vector.
    assert classifier.predict(["nice"]) == ["good"]
    classifier.save(tmp_path / "run")
    vectors.unlink()
    loaded = Classifier.load(tmp_path / "run")
    assert np.array_equal(loaded.predict_proba(["nice film"]), classifier.predict_proba(["nice film"]))
    with pytest.raises(ParameterError, match="vectors: expected None with series"):
        fitted(*series(8), vectors=str(vectors))


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(texts_csv(30).replace("text,label", "review,label"))
    (tmp_path / "s.csv").write_text(series_csv(20))
    (tmp_path / "m.csv").write_text(several_csv(20))
    options, reading = {**SMALL, "max_steps": 2}, ItemReading(text_column="review")
    classifier = Classifier(**options).fit(tmp_path / "a.csv", reading=reading, progress=False)
    assert classifier.fitted.reading == reading
    assert classifier.evaluate(tmp_path / "a.csv").facts["source"] == str(tmp_path / "a.csv")
    assert len(classifier.predict(str(tmp_path / "a.csv"))) == 30
    of_series = Classifier(**options).fit(tmp_path / "s.csv", progress=False)
    assert not of_series.fitted.learned.reads_texts
    many = Classifier(**options).fit(tmp_path / "m.csv", reading=ItemReading(label_separator="|"), progress=False)
    assert many.fitted.learned.labels.multi_label


def test_another_run_of_other_labels_and_words_is_fine_tuned(of_texts: Classifier, tmp_path: Path) -> None:
    of_texts.save(tmp_path / "run")
    items, labels = texts(20, 7)
    options = {**SMALL, "max_steps": 1, "learning_rate": 1e-9}
    tuned = Classifier(**options).fit(
        [*items, "so brand-new"], [*labels, "fair"], start_from=tmp_path / "run", progress=False
    )
    before, after = of_texts.fitted, tuned.fitted
    for name, vocabularies in (
        ("embedding.words.weight", [one.learned.encoding.words.words for one in (before, after)]),  # type: ignore[union-attr]
        ("classifier.scores.weight", [one.learned.labels.names for one in (before, after)]),
    ):
        old, new = before.network.state_dict()[name], after.network.state_dict()[name]
        for symbol in {*vocabularies[0].symbols} & {*vocabularies[1].symbols}:
            assert_allclose(new[vocabularies[1][symbol]], old[vocabularies[0][symbol]], atol=1e-6)


class StopError(Exception):
    pass


def stopped(classifier: Classifier, at: int, **given: Any) -> None:
    """Fit until the loss is asked for the `at`th time."""
    from recurra.tasks.classify import training

    original, asked = training.classification_loss, iter(range(1, 1000))

    def loss(*arguments: Any) -> torch.Tensor:
        if next(asked) == at:
            raise StopError
        return original(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "classification_loss", loss)
        with pytest.raises(StopError):
            classifier.fit(**given)


@pytest.mark.parametrize("made", [texts, several])
def test_resumed_is_as_undisturbed(made: Any, tmp_path: Path) -> None:
    options = {**SMALL, "schedule": "constant", "max_steps": 12, "validate_every": 4, "averaging": 0.8}
    items, labels = made(30)
    given = {"data": items, "y": labels, "validation": made(8, 1), "progress": False}
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    one = Classifier(**options).fit(**given, folder=straight)
    stopped(Classifier(**options), 7, **given, folder=broken)
    assert load_last(broken).values["step"] == 4
    assert Classifier.load(broken).fitted.learned.temperature == 1  # usable at any moment
    other = Classifier(**options).fit(**given, folder=broken, resume=True)
    first, second = load_last(straight), load_last(broken)
    for name, tensor in first.tensors.items():
        assert torch.equal(tensor, second.tensors[name]), name
    for name in ("log.csv", "best.safetensors", "learned.safetensors", "learned.json"):
        assert (straight / name).read_bytes() == (broken / name).read_bytes(), name
    loaded = Classifier.load(broken)
    temperatures = {found.fitted.learned.temperature for found in (one, other, loaded)}
    assert len(temperatures) == 1
    assert temperatures != {1}
    assert np.array_equal(loaded.predict_proba(items), one.predict_proba(items))


def test_a_run_is_resumed_with_the_same_data_only(tmp_path: Path) -> None:
    options, run = {**SMALL, "max_steps": 2}, tmp_path / "run"
    items, labels = texts(12)
    valid = texts(6, 1)
    Classifier(**options).fit(items, labels, validation=valid, folder=run, progress=False)
    with pytest.raises(RunError, match="already holds a run"):
        Classifier(**options).fit(items, labels, validation=valid, folder=run)
    relabelled = [*labels[1:], labels[0]]
    for data, names, checked, message in (
        (items[1:], labels[1:], valid, "data"),
        (items, relabelled, valid, "data"),
        (items, labels, texts(6, 2), "validation data"),
        (items, labels, None, "data and validation data"),
    ):
        with pytest.raises(RunError, match=f"cannot resume with other {message};"):
            Classifier(**options).fit(data, names, validation=checked, folder=run, resume=True)
    for other in ({"dropout": 0.3}, {"vectors": "vectors.txt"}):
        with pytest.raises(RunError, match=f"cannot resume with other {next(iter(other))};"):
            Classifier(**{**options, **other}).fit(items, labels, validation=valid, folder=run, resume=True)
    before = (run / "best.safetensors").read_bytes()
    Classifier(**options).fit(items, labels, validation=valid, folder=run, resume=True, progress=False)
    assert (run / "best.safetensors").read_bytes() == before


def test_a_damaged_run_is_refused(of_texts: Classifier, tmp_path: Path) -> None:
    of_texts.save(tmp_path / "run")
    values = json.loads((tmp_path / "run" / "learned.json").read_text())
    for damaged in (json.dumps({**values, "labels": {}}), "{"):
        (tmp_path / "run" / "learned.json").write_text(damaged)
        with pytest.raises(RunError, match=r"damaged run\.json or learned\.json"):
            Classifier.load(tmp_path / "run")


def test_refusals(of_texts: Classifier) -> None:
    refused: dict[str, Any] = {
        "pooling": "sum", "validation_fraction": 0.6, "cell": "tcn", "device": "tpu", "kernel_sizes": (3, 4),
    }  # fmt: skip
    for name, value in refused.items():
        with pytest.raises(ParameterError, match=f"^{name}: "):
            Classifier(**{name: value})
    with pytest.raises(ParameterError, match="stride: expected 1 without a convolution, got 2"):
        Classifier(filters=0, stride=2)
    with pytest.raises(ParameterError, match="stride: expected 1 without a convolution, got 2"):
        fitted(*texts(6), stride=2)
    assert Classifier(pooling="last").pooling == ("last",)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="the classifier is not fitted"):
        Classifier().predict(["a"])
    with pytest.raises(RunError, match="the classifier is not fitted"):
        _ = Classifier().classes_
    with pytest.raises(DataError, match="every item has the label 'a'; there is nothing to learn"):
        Classifier().fit(["x", "y"], ["a", "a"])
    with pytest.raises(ParameterError, match="label: expected one of bad, good, got 'fair'"):
        of_texts.explain(text="great", label="fair")
    with pytest.raises(ParameterError, match="one of the two, got 'neither'"):
        of_texts.predictions()


def test_a_fraction_beside_validation_data_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"validation_fraction: expected no fraction .* got 0\.2.*--validation"):
        fitted(*texts(20), texts(8, 1), validation_fraction=0.2)
    fitted(*texts(20), texts(8, 1), validation_fraction=0.0, max_steps=1)
