"""Tasks whose network is a reservoir: fitted, saved, resumed, exported, and refused where an option does not fit."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import recurra
from recurra import Classifier, Forecaster, Regressor
from recurra.errors import ParameterError
from recurra.layers import Reservoir
from recurra.models import RidgeSums, SequenceClassifier, solve_ridge
from recurra.options import Range
from recurra.tuning.space import default_space

TINY: dict[str, Any] = {"reservoir": True, "hidden_size": 24, "device": "cpu"}


def waves(count: int, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Waves of three frequencies from any phase, and which frequency each has."""
    random = np.random.default_rng(seed)
    kinds = random.integers(0, 3, count)
    series = [np.sin(np.arange(random.integers(20, 30)) * (0.3 + 0.3 * kind) + random.uniform(0, 6)) for kind in kinds]
    return series, kinds


def monthly(steps: int = 80) -> pl.DataFrame:
    random, at = np.random.default_rng(0), np.arange(steps)
    return pl.DataFrame(
        {"unique_id": ["a"] * steps, "ds": at, "y": 10 + np.sin(at / 2) + 0.05 * random.normal(size=steps)}
    )


def reservoir_of(model: Any) -> Reservoir:
    [layer] = [one for one in model.fitted.network.modules() if isinstance(one, Reservoir)]
    return layer


def test_a_classifier(tmp_path: Path) -> None:
    (series, kinds), (others, truth) = waves(40, 0), waves(60, 1)
    labels = [f"wave {kind}" for kind in kinds]
    classifier = Classifier(**TINY).fit(series, labels, folder=tmp_path / "run", progress=False)
    assert "trained in closed form" in classifier.summary()
    assert not (tmp_path / "run" / "training.png").exists()  # of a single step
    assert classifier.score(others, [f"wave {kind}" for kind in truth]) > 0.8
    # Scores of items left out were calibrated: they say more than equal probabilities would.
    probabilities = classifier.predict_proba(others)
    assert -np.log(probabilities[np.arange(60), truth]).mean() < 0.8
    loaded = Classifier.load(tmp_path / "run")
    np.testing.assert_allclose(loaded.predict_proba(others), probabilities, rtol=1e-6)
    assert loaded.fitted.learned.temperature == classifier.fitted.learned.temperature != 1
    before = reservoir_of(loaded).weight_ih_l0
    resumed = Classifier(**TINY).fit(series, labels, folder=tmp_path / "run", resume=True, progress=False)
    assert torch.equal(reservoir_of(resumed).weight_ih_l0, before)
    np.testing.assert_allclose(resumed.predict_proba(others), probabilities, rtol=1e-6)
    assert "It is a reservoir" in loaded.view(others).words.facts["network"]


def test_validation_data_choose_the_penalty_of_a_regressor() -> None:
    (series, kinds), (others, truth) = waves(40, 0), waves(60, 1)
    regressor = Regressor(**TINY, leak=0.7, pooling=("mean",)).fit(
        series, 2.0 * kinds, validation=(others, 2.0 * truth), progress=False
    )
    learned, reader = regressor.fitted.learned, regressor.fitted.network.reader
    assert isinstance(reader, SequenceClassifier)
    sums = []
    for ones, targets in ((series, kinds), (others, truth)):
        encoded = learned.encode([one[:, None] for one in ones])
        batch = encoded.batch(np.arange(len(ones)))
        with torch.no_grad():
            features = reader.pooled(batch.values, batch.lengths)[0]
        sums.append(RidgeSums(features.shape[1], 1))
        sums[-1].add(features, torch.from_numpy(learned.standardize(2.0 * targets)).unsqueeze(1))
    # The errors, and not the weights: two penalties may be as good as each other but for rounding.
    found = sums[1].errors(reader.scores.weight.double(), reader.scores.bias.double())
    torch.testing.assert_close(found, solve_ridge(*sums).errors, rtol=0.01, atol=1e-4)
    assert regressor.score(others, 2.0 * truth) > 0.5
    assert reservoir_of(regressor).zoneout == (pytest.approx(0.3),)


def test_a_classifier_of_several_labels() -> None:
    series, kinds = waves(30, 2)
    labels = [["slow"] if kind == 0 else ["fast", "wave"] for kind in kinds]
    found = Classifier(**TINY).fit(series, labels, progress=False).predict(series)
    assert np.mean([set(one) == set(other) for one, other in zip(found, labels, strict=True)]) > 0.8


def test_a_forecaster(tmp_path: Path) -> None:
    options = {**TINY, "horizon": 6, "context_length": 12, "leak": 0.8}
    forecaster = Forecaster(**options).fit(monthly(), folder=tmp_path / "run", progress=False)
    evaluation = forecaster.evaluate()
    assert evaluation.scores["MASE"] < 0.5 * evaluation.baselines["seasonal naive"]["MASE"]
    frame = forecaster.predict()
    loaded = recurra.load(tmp_path / "run")
    np.testing.assert_allclose(loaded.predict()["q0.9"], frame["q0.9"], rtol=1e-6)
    assert bool((frame["q0.1"] < frame["forecast"]).all())
    loaded.export().write(tmp_path / "onnx")  # which compares it with the network
    stream = loaded.open_stream()
    state, last = stream.stepper.new_state(), {}
    for step, value in list(enumerate(monthly()["y"]))[-14:]:  # as many as a window has
        [last] = stream.step([{"ds": step, "y": value}], [state])
    np.testing.assert_allclose([row["forecast"] for row in last["forecast"]], frame["forecast"], rtol=1e-5)


def test_windows_with_missing_targets_teach_the_baseline_alone(caplog: pytest.LogCaptureFixture) -> None:
    frame = monthly().with_columns(y=pl.when(pl.col("ds") % 4 == 1).then(None).otherwise(pl.col("y")))
    forecaster = Forecaster(**TINY, horizon=6, context_length=12, folds=0, validation_windows=0)
    forecaster.fit(frame, progress=False)
    assert "does not read the reservoir" in caplog.text
    assert not bool(forecaster.fitted.network.get_parameter("readout.weight").any())
    assert bool(forecaster.predict()["forecast"].is_finite().all())


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Classifier, {"reservoir": False, "leak": 0.5}, "leak: expected its default without a reservoir.*--reservoir"),
        (Classifier, {"learning_rate": 0.1}, "learning_rate: expected its default with a reservoir"),
        (Classifier, {"choose_by": "macro_f1"}, "choose_by: expected its default with a reservoir"),
        (Regressor, {"members": 2}, "members: expected its default with a reservoir"),
        (
            Classifier,
            {"architecture": ("hawk",), "bidirectional": False},
            "architecture: expected its default with a res",
        ),
        (Classifier, {"pooling": ("attention",)}, "pooling: expected last, mean or max"),
        (Classifier, {"cell": "gru_d"}, "cell: .*reads the time"),
        (Forecaster, {"cell": "min_gru"}, "cell: .*no recurrent weights"),
        (Forecaster, {"quick": True}, "quick: expected its default"),
        (Forecaster, {"model": "recursive"}, "model: expected 'direct'"),
        (Forecaster, {"output": "quantiles"}, "output: expected 'auto' or 'normal'"),
        (Forecaster, {"density": 2.0}, "density"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_before_data_are_read(kind: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        kind(**{"reservoir": True, **options})


def test_texts_are_refused() -> None:
    with pytest.raises(ParameterError, match="reservoir: expected False for texts"):
        Classifier(**TINY).fit(["a b", "c d"], ["x", "y"], progress=False)


def test_a_search_tries_what_a_reservoir_has() -> None:
    of_reservoirs = {"spectral_radius", "leak", "input_scale"}
    for kind in (Forecaster, Classifier, Regressor):
        space = default_space(kind(reservoir=True))
        assert set(space) == {*of_reservoirs, "hidden_size"}
        sizes = space["hidden_size"]
        assert isinstance(sizes, Range)
        assert sizes.low < 300 < sizes.high, "the default"
        assert default_space(kind()).get("hidden_size") != sizes
    assert not set(default_space(Forecaster())) & of_reservoirs
