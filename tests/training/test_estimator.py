"""What all estimators have in common, on one that learns the mean of numbers."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import pytest
import torch
from torch import Tensor, nn

from recurra.data.batches.batch import Batch
from recurra.errors import ParameterError, RunError
from recurra.training import Estimator, Run, Trainer, TrainingSettings, load_checkpoint, read_run, write_run

OPTIONS: dict[str, Any] = {"max_steps": 8, "validate_every": 4}
NUMBERS = (1.0, 2.0, 6.0)


@dataclass(frozen=True, kw_only=True)
class MeanSettings(TrainingSettings):
    """Those of the mean.

    Args:
        outputs: how many means.
    """

    outputs: int = 1


class MeanNetwork(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(outputs))

    def forward(self, numbers: Tensor) -> tuple[Tensor, None]:
        return self.value.expand(len(numbers), -1), None


class MeanModel:
    def __init__(self, settings: MeanSettings, error: float | None = None) -> None:
        self.settings = settings
        self.error = error
        self.network = MeanNetwork(settings.outputs)


@dataclass(frozen=True)
class MeanRun(Run):
    model: MeanModel
    numbers: tuple[float, ...]

    def write(self, folder: Path) -> None:
        write_run(
            folder,
            "mean",
            {"settings": asdict(self.model.settings), "numbers": self.numbers, "error": self.model.error},
        )

    @classmethod
    def read(cls, folder: Path) -> Self:
        values = read_run(folder, "mean")
        return cls(MeanModel(MeanSettings(**values["settings"]), values["error"]), tuple(values["numbers"]))

    def differences(self, given: tuple[float, ...]) -> list[str]:
        return [] if self.numbers == given else ["numbers"]


class StoppedError(Exception):
    pass


class Mean(Estimator[MeanSettings, MeanRun]):
    noun = "mean"
    settings_class = MeanSettings
    run_class = MeanRun

    def fit(
        self, numbers: tuple[float, ...], folder: Path | None = None, resume: bool = False, stop_at: int = 0
    ) -> Self:
        run = MeanRun(MeanModel(self.settings), numbers)
        resume = self._kept_run(folder, resume, numbers) is not None
        given = torch.tensor(numbers).unsqueeze(1)

        def batch(step: int) -> Batch:
            if step == stop_at:
                raise StoppedError
            return Batch(given, given, len(given))

        def loss(output: Tensor, target: Tensor) -> Tensor:
            return (output - target).square().mean()

        def validate(network: nn.Module) -> float:
            return loss(network(given)[0], given).item()

        def finish() -> None:
            run.model.error = validate(run.model.network)

        trainer = Trainer(
            run.model.network, loss, batch, self.settings, validate, folder, checkpoint_seconds=0.0, progress=False
        )
        return self._train(run, trainer, folder, resume, finish)

    def predict(self) -> list[float]:
        return self._fitted().model.network.value.tolist()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    Mean(**OPTIONS).fit(NUMBERS, folder)
    return folder


def test_options_are_settings() -> None:
    assert Mean(outputs=2).settings == MeanSettings(outputs=2)
    settings = MeanSettings(outputs=3)
    assert Mean.from_settings(settings).settings is settings
    with pytest.raises(ParameterError, match=r"options: expected names among .*outputs.*, got 'inputs'"):
        Mean(inputs=2)


def test_one_that_is_not_fitted_says_so(tmp_path: Path) -> None:
    for use in (Mean().predict, lambda: Mean.from_settings(MeanSettings()).save(tmp_path / "run")):
        with pytest.raises(RunError, match="the mean is not fitted; call fit first, or load a run"):
            use()
    assert list(tmp_path.iterdir()) == []


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    mean = Mean(**OPTIONS, outputs=2).fit(NUMBERS)
    mean.save(tmp_path / "a" / "run")
    assert {path.name for path in (tmp_path / "a" / "run").iterdir()} == {"best.safetensors", "run.json"}
    loaded = Mean.load(str(tmp_path / "a" / "run"))
    assert loaded.predict() == mean.predict() != [0, 0]
    assert loaded.settings == mean.settings
    assert (mean.training_result is None, loaded.training_result) == (False, None)
    with pytest.raises(RunError, match="run: already holds a run; choose another folder"):
        mean.save(tmp_path / "a" / "run")


def test_a_run_is_kept_while_it_trains(run: Path) -> None:
    mean = Mean(**OPTIONS).fit(NUMBERS)
    assert Mean.load(run).predict() == mean.predict()
    before = (run / "run.json").read_bytes()
    with pytest.raises(RunError, match=r"run: already holds a run\. Go on with it \(--resume\), choose another"):
        Mean(**OPTIONS).fit(NUMBERS, run)
    assert (run / "run.json").read_bytes() == before


def test_a_log_of_a_run_that_was_deleted_goes(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").mkdir()
    Mean(**OPTIONS).fit(NUMBERS, tmp_path)
    assert not (tmp_path / "tensorboard").exists()


def test_what_is_fitted_after_training_is_kept(run: Path, tmp_path: Path) -> None:
    mean = Mean(**OPTIONS).fit(NUMBERS)
    mean.save(tmp_path / "saved")
    result = mean.training_result
    assert result is not None
    for folder in (run, tmp_path / "saved"):
        assert read_run(folder)["error"] == pytest.approx(result.best_loss)


@pytest.mark.parametrize("stop_at", [3, 6])
def test_one_that_was_stopped_is_not_overwritten_and_goes_on(stop_at: int, tmp_path: Path) -> None:
    """Before and after its first validation."""
    stopped = Mean(**OPTIONS)
    with pytest.raises(StoppedError):
        stopped.fit(NUMBERS, tmp_path, stop_at=stop_at)
    with pytest.raises(RunError, match="not fitted"):
        stopped.predict()
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(RunError, match=r"holds a run.* [Gg]o on with it"):
        Mean(**OPTIONS, outputs=2).fit(NUMBERS, tmp_path)
    assert (tmp_path / "run.json").read_bytes() == before
    resumed = Mean(**OPTIONS).fit(NUMBERS, tmp_path, resume=True)
    assert resumed.predict() == Mean(**OPTIONS).fit(NUMBERS).predict() == Mean.load(tmp_path).predict()


def test_other_settings_or_data_are_not_resumed(run: Path, tmp_path: Path) -> None:
    other = {**OPTIONS, "outputs": 2, "betas": [0.8, 0.9]}
    with pytest.raises(RunError, match=r"run: cannot resume with other betas, outputs, numbers; give the same, or"):
        Mean(**other).fit((1.0,), run, resume=True)
    with pytest.raises(RunError, match="cannot resume with other numbers;"):
        Mean(**OPTIONS).fit((1.0,), run, resume=True)
    with pytest.raises(RunError, match="not a run"):
        Mean(**OPTIONS).fit(NUMBERS, tmp_path, resume=True)
    with pytest.raises(ParameterError, match="folder: expected the folder of the run to resume, got None"):
        Mean(**OPTIONS).fit(NUMBERS, resume=True)


def test_weights_that_do_not_fit_are_named(run: Path, tmp_path: Path) -> None:
    values = json.loads((run / "run.json").read_text())
    values["settings"]["outputs"] = 2
    (run / "run.json").write_text(json.dumps(values))
    with pytest.raises(RunError, match=r"best\.safetensors: not the weights of the model in run\.json \(Error"):
        Mean.load(run)
    assert load_checkpoint(run / "best.safetensors").tensors
    (run / "best.safetensors").unlink()
    with pytest.raises(RunError, match=r"best\.safetensors: no checkpoint there"):
        Mean.load(run)
    with pytest.raises(RunError, match="not a run"):
        Mean.load(tmp_path)
