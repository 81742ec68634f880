from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_classes import series, series_csv, several, several_csv, texts, texts_csv
from recurra import inspection
from recurra.errors import DataError, ParameterError
from recurra.inspection import Inspection, pictures, write_inspection
from recurra.tasks.classify import Classifier, ItemReading

SMALL: dict[str, Any] = {
    "hidden_size": 4, "word_size": 4, "max_steps": 10, "batch_size": 12, "validate_every": 10, "learning_rate": 0.05,
    "device": "cpu",
}  # fmt: skip

TEXTS, LABELS = texts(40, seed=3)


def fitted(data: Any, labels: Any, **options: Any) -> Classifier:
    return Classifier(**{**SMALL, **options}).fit(data, labels, progress=False)


@pytest.fixture(scope="module")
def of_texts() -> Classifier:
    spelling = {"characters": "recurrent", "character_size": 3, "character_hidden_size": 3}
    return fitted(*texts(60), **spelling)


@pytest.fixture(scope="module")
def of_series() -> Classifier:
    return fitted(*series(40), pooling="last", filters=0, members=2)


@pytest.fixture(scope="module")
def found(of_texts: Classifier) -> Inspection:
    """Of texts without labels: the loss is that of the labels predicted."""
    return of_texts.inspect(TEXTS, row=7)


def test_only_the_layers_that_read_tokens_are_seen_into(found: Inspection) -> None:
    assert [row.name for row in found.unrolled.rows] == ["recurrent forward", "recurrent reverse"]
    assert found.gradients.sequences == 32
    assert {gate.name for gate in found.gates} == {"recurrent forward", "recurrent reverse"}


def test_the_loss_is_of_the_label_predicted_where_none_is_known(of_texts: Classifier) -> None:
    few, labels = TEXTS[:6], LABELS[:6]
    predicted = of_texts.predictions(few)
    certain = [one.confidence for one in predicted]
    unknown = of_texts.inspect(few)
    assert unknown.gradients.loss == pytest.approx(-np.log(certain).sum(), rel=1e-4)
    unseen = of_texts.inspect(few, ["fair"] * 6, row=1)
    assert unseen.gradients.loss == pytest.approx(unknown.gradients.loss, rel=1e-5)
    assert "Its label is fair. Training never saw fair. The model predicts " in unseen.words.facts["looked at"]
    true = [one.probabilities[label] for one, label in zip(predicted, labels, strict=True)]
    assert of_texts.inspect(few, labels).gradients.loss == pytest.approx(-np.log(true).sum(), rel=1e-4)


def test_log_odds_are_those_explained_and_attributions_are_complete(of_texts: Classifier, found: Inspection) -> None:
    assert list(found.words.labels) == TEXTS[6].split()
    assert found.attribution is not None
    assert found.attribution.missed(0) < 0.01
    assert len(found.attribution.of(0)[0]) == len(TEXTS[6].split())
    assert found.attribution.values[0].shape[2] == 4 + 2 * 3 + 4 * 2  # words, spellings, evidence of two labels
    assert found.attribution.output[0] == pytest.approx(of_texts.explain(text=TEXTS[6]).log_odds, abs=1e-4)
    (label,) = {"good", "bad"} - {of_texts.explain(text=TEXTS[6]).label}
    named = of_texts.inspect(TEXTS[:8], row=7, label=label)
    assert named.attribution is not None
    assert named.attribution.output[0] == pytest.approx(-found.attribution.output[0], abs=1e-4)
    assert named.words.output == f"log-odds of label {label}"


def test_what_is_last_in_each_text_is_nearest(found: Inspection) -> None:
    assert found.forgetting is not None
    lengths = [len(text.split()) for text in TEXTS]
    assert found.forgetting.lags.tolist() == list(range(max(lengths) + 1))
    assert np.allclose(found.forgetting.change[-1], 0, atol=1e-6)
    # Of a text of n tokens nothing is replaced from n on.
    drawn = found.forgetting.change[:, 0]
    assert np.allclose(drawn[lengths[6] :], 0, atol=1e-6)
    assert abs(drawn[lengths[6] - 1]) > 1e-4


def test_a_typical_text_is_drawn_with_others_that_are_not_much_longer(
    of_texts: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recurra.tasks.classify.view._LONGEST_TEXT", 6)
    monkeypatch.setattr("recurra.tasks.classify.view._TYPICAL_LENGTH", 4)
    given = ["film " * n for n in (9, 5, 3, 12, 6, 7)]
    monkeypatch.setattr(inspection, "inspect", lambda _, batch, **given: batch.lengths.tolist())
    chosen: Any = of_texts.inspect(given)
    assert chosen == [5, 3, 6]
    chosen = of_texts.inspect(given, row=1)
    assert chosen == [9, 5, 3, 6, 7]


def test_series_where_the_last_step_is_read(of_series: Classifier) -> None:
    values, labels = series(12, 5)
    found = of_series.inspect(values, labels, name="runs/x")
    assert found.words.title == "Inspection of runs/x"
    assert found.words.labels == ()
    assert found.unrolled.steps == len(values[0])
    above = [edges.norms for edges in found.unrolled.edges if edges.upper is None]
    assert [np.flatnonzero(norms).tolist() for norms in above] == [[len(values[0]) - 1], [0]]
    assert found.attribution is not None
    assert found.attribution.missed(0) < 0.01
    assert found.words.facts["looked at"].startswith(
        f"12 series are shown, spread over the data. Series 1, of {len(values[0])} steps, is plotted. It"
    )


def test_a_mean_is_read_at_every_step() -> None:
    found = fitted(*texts(20), pooling="mean", bidirectional=False).inspect(TEXTS[:8], row=7)
    (above,) = (edges.norms for edges in found.unrolled.edges if edges.upper is None)
    assert (above > 0).all()
    assert len(found.unrolled.rows) == 1
    assert found.words.loss.endswith("lags count from its end")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Any, ...]]:
    """What the pictures would be drawn of, from now on; they are empty files."""
    seen: dict[str, tuple[Any, ...]] = {}

    def keep(name: str, *given: Any, **_: Any) -> pictures.Picture:
        seen[name] = given
        path = given[1 if isinstance(given[1], Path) else 2]
        path.write_bytes(b"")
        return pictures.Picture(path, ())

    for name in (name for name in pictures.__all__ if name.startswith("draw_")):
        monkeypatch.setattr(pictures, name, partial(keep, name))
    return seen


def test_behind_a_convolution_with_a_stride_layers_have_steps_of_their_own(
    drawn: dict[str, tuple[Any, ...]], tmp_path: Path
) -> None:
    classifier = fitted(*texts(20), filters=5, kernel_sizes=(3,), stride=2, num_layers=2, cell="gru")
    found = classifier.inspect(TEXTS[:8], row=7)
    assert found.unrolled.steps == -(-len(TEXTS[6].split()) // 2)
    assert len(found.unrolled.rows) == 4
    assert found.attribution is not None
    assert len(found.attribution.of(0)[0]) == len(found.words.labels) == len(TEXTS[6].split())
    assert "one step for every 2 tokens" in write_inspection(found, tmp_path).read_text(encoding="utf-8")
    steps = "step of the recurrent layers, one for every 2 tokens"
    assert drawn["draw_unrolled"][2:] == (1, steps, ())
    assert drawn["draw_jacobian_norms"][2:] == (1, steps)
    assert "token" in drawn["draw_attribution"]


def test_several_labels_an_item(tmp_path: Path) -> None:
    classifier = fitted(*several(40))
    given, labels = several(8, 1)
    table = tmp_path / "some.csv"
    table.write_text(several_csv(8, 1))
    found = classifier.inspect(table, row=4, label="good", reading=ItemReading(label_separator="|"))
    shares = classifier.predictions(given)
    certain = [
        one.probabilities[name] if name in true else 1 - one.probabilities[name]
        for one, true in zip(shares, labels, strict=True)
        for name in ("good", "bad")
    ]
    assert found.gradients.loss == pytest.approx(-np.log(certain).sum() / 2, rel=1e-4)
    assert found.attribution is not None
    share = shares[3].probabilities["good"]
    assert found.attribution.output[0] == pytest.approx(np.log(share / (1 - share)), abs=1e-4)
    assert "Its labels are bad, good. The model predicts " in found.words.facts["looked at"]
    sure = [max(share, 1 - share) for one in shares for share in one.probabilities.values()]
    unknown = classifier.inspect(given)
    assert unknown.gradients.loss == pytest.approx(-np.log(sure).sum() / 2, rel=1e-4)


def test_files(of_texts: Classifier, of_series: Classifier, tmp_path: Path) -> None:
    table, steps = tmp_path / "some.csv", tmp_path / "steps.csv"
    table.write_text(texts_csv(5))
    steps.write_text(series_csv(5))
    assert of_texts.inspect(table).words.facts["data"] == str(table)
    found = of_series.inspect(str(steps), row=2)
    assert "Series 2 (s1), of " in found.words.facts["looked at"]


def test_an_item_of_one_step(of_texts: Classifier) -> None:
    found = of_texts.inspect(["great", " "])
    assert found.unrolled.steps == 1
    assert found.jacobians == ()
    assert found.words.facts["looked at"].startswith(
        "2 texts are shown, spread over the data. Text 1 is plotted: “great”. It has no label."
    )


def test_what_cannot_be_looked_at(of_texts: Classifier, of_series: Classifier) -> None:
    with pytest.raises(ParameterError, match="row: expected 1 to 40, the items of the data, got 0"):
        of_texts.inspect(TEXTS, row=0)
    with pytest.raises(ParameterError, match="label: expected one of bad, good, got 'fair'"):
        of_texts.inspect(TEXTS, label="fair")
    with pytest.raises(DataError, match="expected series, which the classifier was trained on, got texts"):
        of_series.inspect(TEXTS)
