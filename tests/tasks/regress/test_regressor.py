import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from recurra import load
from recurra.cli.main import main
from recurra.errors import DataError, ParameterError, RunError
from recurra.tasks.regress import ItemReading, Regressor
from recurra.tasks.regress.results import scores

SMALL: dict[str, Any] = {
    "hidden_size": 8, "filters": 8, "max_steps": 60, "batch_size": 16, "validate_every": 20, "learning_rate": 0.02,
    "dropout": 0.1, "members": 2, "device": "cpu",
}  # fmt: skip


def bumps(count: int, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """A bump up or down anywhere in noise; its height, in other units, is the target."""
    generator = np.random.default_rng(seed)
    values, heights = [], generator.uniform(0.5, 3, size=count)
    for height in heights:
        one, start = 0.05 * generator.normal(size=(30, 1)), generator.integers(0, 22)
        one[start : start + 8, 0] += generator.choice([-1, 1]) * height * np.sin(np.linspace(0, np.pi, 8))
        values.append(one)
    return values, 100 + 20 * heights


def ts(values: list[np.ndarray], targets: Any) -> str:
    """The text of a .ts file; without targets if there are none."""
    rows = [",".join(f"{value:.6f}" for value in one[:, 0]) for one in values]
    if targets is not None:
        rows = [f"{row}:{target!r}" for row, target in zip(rows, np.asarray(targets).tolist(), strict=True)]
    header = f"@univariate true\n@targetLabel {str(targets is not None).lower()}\n@classLabel false\n@data\n"
    return header + "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def regressor() -> Regressor:
    return Regressor(**{**SMALL, "max_steps": 300}).fit(*bumps(120), validation=bumps(30, 1), progress=False)


def test_it_beats_the_baselines(regressor: Regressor) -> None:
    found = regressor.evaluate(*bumps(60, 2))
    assert found.scores["R2"] > 0.8 > 0.3 > found.baselines["ridge"]["R2"]
    assert not {"mean of training", "ridge"} & {*found.is_beaten}
    assert [name.split()[0] for name in found.baselines] == ["mean", "1-NN", "ridge"]
    assert regressor.score(*bumps(60, 2)) == found.scores["R2"]
    assert regressor.summary().split("best validation ")[1].startswith("RMSE ")


def test_scores_by_hand() -> None:
    found = scores(np.array([1.0, 4.0]), np.array([1.0, 2.0]))
    assert found == {"RMSE": pytest.approx(2**0.5), "MAE": 1.0, "R2": pytest.approx(1 - 2 / 0.25)}
    assert scores(np.array([1.0]), np.array([3.0]))["R2"] == 0


def test_the_scale_of_the_targets_changes_nothing() -> None:
    values, targets = bumps(20)
    one, other = (
        Regressor(**{**SMALL, "max_steps": 5}).fit(values, scale * targets, progress=False).predict(values)
        for scale in (1.0, 1e6)
    )
    assert_allclose(other, 1e6 * one, rtol=1e-4)


def test_saved_and_loaded(regressor: Regressor, tmp_path: Path) -> None:
    regressor.save(tmp_path / "run")
    again, data = load(tmp_path / "run"), bumps(9, 3)
    assert isinstance(again, Regressor)
    assert_allclose(again.predict(data[0]), regressor.predict(data[0]), rtol=1e-6)
    for name, one in again.evaluate(*data).methods.items():
        assert one == pytest.approx(dict(regressor.evaluate(*data).methods[name]))


def test_resumed_is_as_undisturbed(tmp_path: Path) -> None:
    options, data = {**SMALL, "schedule": "constant", "averaging": 0.9}, bumps(30)
    whole = Regressor(**{**options, "max_steps": 12}).fit(*data, progress=False)
    Regressor(**{**options, "max_steps": 7}).fit(*data, folder=tmp_path / "run", progress=False)
    resumed = Regressor(**{**options, "max_steps": 12})
    resumed.fit(*data, folder=tmp_path / "run", resume=True, progress=False)
    assert_allclose(resumed.predict(data[0]), whole.predict(data[0]), rtol=1e-5)
    with pytest.raises(RunError, match="cannot resume with other data"):
        resumed.fit(*bumps(30, 5), folder=tmp_path / "run", resume=True, progress=False)


@pytest.mark.parametrize("command", ["train", "validate", "evaluate", "predict", "inspect", "explain"])
@pytest.mark.parametrize("task", ["classify", "regress"])
def test_a_file_of_the_other_problem_is_refused_by_every_command(
    task: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if (task, command) == ("regress", "explain"):
        pytest.skip("regressors have no such command")
    numbers, classes = tmp_path / "numbers.ts", tmp_path / "classes.ts"
    values, _ = bumps(8)
    numbers.write_text(ts(values, [1.0, 2.0] * 4))
    classes.write_text(numbers.read_text().replace("@targetLabel true\n@classLabel false", "@classLabel true 1.0 2.0"))
    own, other = (classes, numbers) if task == "classify" else (numbers, classes)
    small = [
        "--max-steps=1",
        "--hidden-size=2",
        "--filters=2",
        "--members=1",
        "--device=cpu",
        f"--out={tmp_path / 'run'}",
    ]
    if command == "train":
        found = main(["train", task, "--data", str(other), *small])
    elif command == "validate":
        found = main(["train", task, "--data", str(own), "--validation", str(other), *small])
    else:
        assert main(["train", task, "--data", str(own), *small]) == 0
        found = main([command, str(tmp_path / "run"), "--data", str(other)])
    assert found == 2
    problem, way_out = ("regression", "regress") if task == "classify" else ("classification", "classify")
    error = capsys.readouterr().err
    assert f"{other}: this file holds a {problem} problem" in error
    assert f"recurra train {way_out} --data {other}" in error


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, test, bare, run = (tmp_path / name for name in ("train.ts", "test.ts", "bare.ts", "run"))
    train.write_text(ts(*bumps(30)))
    test.write_text(ts(*bumps(10, 1)))
    bare.write_text(ts(bumps(10, 1)[0], None))
    small = ["--max-steps", "10", "--hidden-size", "4", "--filters", "4", "--members", "1", "--device", "cpu"]
    assert main(["train", "regress", "--data", str(train), "--out", str(run), *small]) == 0
    assert main(["evaluate", str(run), "--data", str(test)]) == 0
    written = json.loads((run / "evaluation" / "evaluation.json").read_text())
    assert set(written["methods"]["model"]) == {"RMSE", "MAE", "R2"}
    assert (run / "evaluation" / "predictions.png").stat().st_size > 1000
    with (run / "evaluation" / "predictions.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 10
    assert main(["predict", str(run), "--data", str(bare)]) == 0
    with (run / "predictions" / "bare.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert_allclose([float(row["prediction"]) for row in rows], load(run).predict(test), rtol=1e-5)
    assert [row["id"] for row in rows] == [str(k) for k in range(1, 11)]
    assert main(["train", "regress", "--out", str(run), "--resume", "--max-steps", "12"]) == 0
    capsys.readouterr()
    assert main(["train", "regress", "--help"]) == 0
    assert "--hidden-size" in capsys.readouterr().out


def test_inspect() -> None:
    # Attributions of a convolution, whose gradient jumps, take long.
    regressor = Regressor(**{**SMALL, "filters": 0, "max_steps": 5}).fit(*bumps(30), progress=False)
    values, targets = bumps(12, 4)
    found = regressor.inspect(values, targets, row=3, name="runs/x")
    assert found.attribution is not None
    assert found.attribution.output[0] == pytest.approx(regressor.predict(values)[2], rel=1e-4)
    assert found.words.facts["looked at"].startswith("12 series are shown, spread over the data. Series 3 (3), of 30")
    standardized = (regressor.predict(values) - targets) / regressor.fitted.learned.deviation
    assert found.gradients.loss == pytest.approx((standardized**2).sum(), rel=1e-3)
    assert "no target is known" in regressor.inspect(values[:1]).words.loss
    with pytest.raises(ParameterError, match="row: expected 1 to 12, the series of the data, got 13"):
        regressor.inspect(values, row=13)


def test_scikit_learn() -> None:
    values, targets = bumps(30)
    flat = np.stack(values)[:, :, 0]
    regressor = Regressor(**{**SMALL, "max_steps": 20})
    copied: Any = clone(regressor)
    assert copied.get_params() == regressor.get_params()
    assert np.isfinite(cross_val_score(regressor, flat, targets, cv=2)).all()


def test_validation_is_held_out_of_many_series_alone() -> None:
    assert Regressor().split(as_data(299))[1] is None
    training, validation = Regressor().split(as_data(300))
    assert validation is not None
    assert (len(training), len(validation)) == (270, 30)
    assert not set(training.ids) & set(validation.ids)


def as_data(count: int) -> Any:
    return Regressor().read([np.zeros((2, 1))] * count, np.arange(count), ItemReading(), True)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["high", "low"], "series '1': expected one finite number as its target, got high"),
        ([1.0, np.inf], "series '2': expected one finite number as its target, got inf"),
        ([1.0, np.nan], "item 2: expected a label, got nan"),
        ([2, 2], "every series has the target 2; there is nothing to learn"),
    ],
)
def test_targets_that_cannot_be_used(targets: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Regressor(**SMALL).fit([np.arange(3.0), np.arange(4.0)], targets, progress=False)


def test_texts_are_refused() -> None:
    with pytest.raises(DataError, match="expected series, got texts"):
        Regressor(**SMALL).fit(["a", "b"], [1, 2])


def test_a_stride_needs_a_convolution() -> None:
    with pytest.raises(ParameterError, match="stride: expected 1 without a convolution"):
        Regressor(stride=2, filters=0).check_options()
