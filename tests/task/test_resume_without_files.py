"""Runs whose examples are from Python hold none of them: resuming asks for them, in every task."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from made_classes import texts
from made_sentences import conllu, sentences
from recurra.data.labelled.texts import LabelledTexts
from recurra.errors import ParameterError
from recurra.task import Estimator
from recurra.tasks.anomaly import AnomalyDetector
from recurra.tasks.classify import Classifier
from recurra.tasks.forecast import Forecaster
from recurra.tasks.language import LanguageModel
from recurra.tasks.tag import Tagger

TINY: dict[str, Any] = {"hidden_size": 4, "max_steps": 1, "device": "cpu"}


def _labelled() -> LabelledTexts:
    values, labels = texts(12)
    return LabelledTexts(tuple(values), tuple((label,) for label in labels))


def _frame() -> pl.DataFrame:
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 2, 29), eager=True)
    return pl.DataFrame({"unique_id": "a", "ds": days, "y": [float(k % 7) for k in range(len(days))]})


@pytest.mark.parametrize(
    ("kind", "options", "data"),
    [
        (Classifier, {}, _labelled()),
        (Forecaster, {"horizon": 7, "context_length": 14}, _frame()),
        (LanguageModel, {}, {"train": "to be or not to be " * 20, "validation": "that is the question " * 5}),
        (Tagger, {}, sentences(8)),
        (AnomalyDetector, {}, _frame()),
    ],
)
def test_resuming_asks_for_the_examples(
    kind: type[Estimator[Any, Any, Any]], options: dict[str, Any], data: Any, tmp_path: Path
) -> None:
    options = {**TINY, **options}
    kind(**options).fit(data, folder=tmp_path / "run", progress=False)
    with pytest.raises(ParameterError, match="data: expected the examples that the run was trained on, which it does"):
        kind(**options).fit(folder=tmp_path / "run", resume=True)
    kind(**options).fit(data, folder=tmp_path / "run", resume=True, progress=False)


def test_resuming_asks_for_validation_examples_beside_a_file(tmp_path: Path) -> None:
    data, validation = tmp_path / "train.conllu", sentences(4, seed=1, entities=False)
    data.write_text(conllu(sentences(8, entities=False)), encoding="utf-8")
    Tagger(**TINY).fit(data, validation=validation, folder=tmp_path / "run", progress=False)
    with pytest.raises(ParameterError, match="validation: expected the examples that the run was validated with"):
        Tagger(**TINY).fit(folder=tmp_path / "run", resume=True)
    Tagger(**TINY).fit(validation=validation, folder=tmp_path / "run", resume=True, progress=False)
