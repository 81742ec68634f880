from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from recurra.data.labelled.word_evidence import MOST_LABELS
from recurra.tasks.classify import Classifier

SMALL: dict[str, Any] = {
    "hidden_size": 8, "word_size": 6, "max_steps": 60, "batch_size": 16, "validate_every": 30, "learning_rate": 0.02,
    "averaging": 0.9, "dropout": 0.1, "device": "cpu",
}  # fmt: skip


def texts(count: int, seed: int) -> tuple[list[str], list[str]]:
    """Texts of a quality, perhaps denied: the label is the quality's, or the other if "not" comes before it."""
    generator = np.random.default_rng(seed)
    given, labels = [], []
    for _ in range(count):
        good, denied = generator.random(2) < 0.5
        quality = f"{'good' if good else 'bad'}{generator.integers(4)}"
        filling = [f"w{k}" for k in generator.integers(20, size=4)]
        given.append(" ".join([*filling[:2], *(["not"] if denied else []), quality, *filling[2:]]))
        labels.append("+" if good != denied else "-")
    return given, labels


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(**{**SMALL, "max_steps": 240}).fit(*texts(400, 0), validation=texts(100, 1), progress=False)


def test_order_corrects_what_counting_says(classifier: Classifier) -> None:
    """Half of all qualities are denied: a word alone says nothing, a pair of words says all."""
    evaluation = classifier.evaluate(*texts(200, 2))
    assert evaluation.scores["accuracy"] > 0.97 > 0.7 > evaluation.baselines["naive Bayes"]["accuracy"]
    assert classifier.predict(["w1 w2 not bad0 w3 w4", "w1 w2 bad0 w3 w4"]).tolist() == ["+", "-"]


def test_a_saved_run_reads_the_same_evidence(classifier: Classifier, tmp_path: Path) -> None:
    classifier.save(tmp_path / "run")
    given, _ = texts(20, 3)
    assert_allclose(Classifier.load(tmp_path / "run").predict_proba(given), classifier.predict_proba(given))


def test_an_explanation_counts_evidence_in(classifier: Classifier) -> None:
    explanation = classifier.explain(text="w1 w2 not good1 w3 w4", label="-")
    largest = np.argsort(-np.abs(explanation.contributions))[:2]
    assert set(largest.tolist()) & {2, 3}
    assert abs(explanation.residual) < 0.05 * abs(explanation.log_odds - explanation.baseline_log_odds) + 0.05


def test_it_can_be_left_out() -> None:
    given, labels = texts(40, 0)
    options = {**SMALL, "max_steps": 1}
    assert Classifier(**options, evidence=False).fit(given, labels, progress=False).fitted.learned.evidence is None
    many = [f"label {k}" for k in range(MOST_LABELS + 1)]
    one = Classifier(**options).fit([f"a b {name}" for name in many], many, validation=None, progress=False)
    assert one.fitted.learned.evidence is None


def test_a_resumed_training_sees_the_same_evidence(tmp_path: Path) -> None:
    data, held = texts(80, 0), texts(20, 1)
    options = {**SMALL, "schedule": "constant"}
    whole = Classifier(**{**options, "max_steps": 12}).fit(*data, validation=held, progress=False)
    Classifier(**{**options, "max_steps": 7}).fit(*data, validation=held, folder=tmp_path / "run", progress=False)
    resumed = Classifier(**{**options, "max_steps": 12})
    resumed.fit(*data, validation=held, folder=tmp_path / "run", resume=True, progress=False)
    given, _ = texts(9, 2)
    assert_allclose(resumed.predict_proba(given), whole.predict_proba(given), atol=1e-6)
