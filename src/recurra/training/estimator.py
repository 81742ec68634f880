"""What every task's estimator does the same: settings from options, runs begun and resumed, saved and loaded."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from torch import nn

from recurra.errors import ParameterError, RunError
from recurra.files import prepare_folder
from recurra.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from recurra.training.process_group import goes_on, processes
from recurra.training.run import has_run
from recurra.training.run_files import RunFiles
from recurra.training.settings import TrainingSettings
from recurra.training.trainer import Trainer, TrainingResult

__all__ = ["Estimator", "Model", "Run"]

_WEIGHTS = "best.safetensors"


class Model(Protocol):
    """What computes: a network, made as the settings say."""

    @property
    def settings(self) -> Any:
        """Those of the task."""
        ...

    @property
    def network(self) -> nn.Module:
        """Whose weights are trained, saved and loaded."""
        ...


@dataclass(frozen=True)
class Run(ABC):
    """A run folder's content, beside weights and log. A task's own is a frozen dataclass that narrows `model`.

    Attributes:
        model: its weights are in `best.safetensors`.
    """

    model: Model

    @abstractmethod
    def write(self, folder: Path) -> None:
        """Write all but the weights, `run.json` last, so that it stands for a whole.

        Raises:
            RunError: where the folder cannot be written.
        """

    @classmethod
    @abstractmethod
    def read(cls, folder: Path) -> Self:
        """Read all but the weights; the network is left untrained.

        Raises:
            RunError: where the folder is not a run of this task, or is damaged.
        """

    @abstractmethod
    def differences(self, given: Any) -> list[str]:
        """What, beside settings, keeps this run, read from its folder, from being resumed with what is given now.

        Args:
            given: what `Estimator._kept_run` was given: another run, or the data, as the task likes.

        Returns:
            Names for the message, "data" say; empty where nothing differs.
        """


SettingsT = TypeVar("SettingsT", bound=TrainingSettings)
RunT = TypeVar("RunT", bound=Run)


class Estimator(Generic[SettingsT, RunT]):
    """What is fitted to data, and saved and loaded as a run. A task derives its own and adds `fit` and what it is for.

    `fit` reads the data, asks `_kept_run` whether to go on with the run in the folder, makes the trainer, and ends in
    `_train`:

        path = None if folder is None else Path(folder)
        run = TagRun(...)  # new
        resume = self._kept_run(path, resume, run) is not None
        trainer = make_trainer(run.model, ..., path, tensorboard, progress)
        return self._train(run, trainer, path, resume)

    A run that takes long to begin, or that would come out different, is taken from the folder instead:

        kept = self._kept_run(path, resume, data)
        run = kept or self._new_run(data)
        trainer = make_trainer(run.model, ..., path, tensorboard, progress)
        return self._train(run, trainer, path, resume=kept is not None)

    Args:
        **options: fields of the settings, by name.

    Attributes:
        noun: what it is called in messages; a derived class says it.
        settings_class: a derived class says it.
        run_class: a derived class says it.
        settings: all of them.
        training_result: how training ended; None before, and where the run was loaded.

    Raises:
        ParameterError: for an unknown option, or a value out of its range.
    """

    noun: ClassVar[str]
    settings_class: type[SettingsT]
    run_class: type[RunT]

    settings: SettingsT
    training_result: TrainingResult | None = None
    _run: RunT | None = None

    def __init__(self, **options: Any) -> None:
        self.settings = self.settings_class.from_options(options)

    @classmethod
    def from_settings(cls, settings: SettingsT) -> Self:
        """One with these settings, not fitted."""
        estimator = cls.__new__(cls)
        estimator.settings = settings
        return estimator

    def save(self, folder: str | Path) -> None:
        """Write all of it into a folder; `load` reads it.

        Raises:
            RunError: where it is not fitted, or the folder cannot be written or holds another run.
        """
        path, run = Path(folder), self._fitted()
        if has_run(path):
            raise RunError(f"{path}: already holds a run; choose another folder")
        prepare_folder(path)
        checkpoint = Checkpoint()
        checkpoint.add_group("model", run.model.network.state_dict())
        save_checkpoint(checkpoint, path / _WEIGHTS)
        run.write(path)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` or `recurra train` wrote, finished or interrupted.

        Raises:
            RunError: where the folder is not such a run, or is damaged.
            MissingExtraError: where the run needs an extra that is not installed.
        """
        path = Path(folder)
        run = cls.run_class.read(path)
        _load_weights(run.model.network, path / _WEIGHTS)
        estimator = cls.from_settings(run.model.settings)
        estimator._run = run
        return estimator

    def _fitted(self) -> RunT:
        """The run of `fit` or `load`.

        Raises:
            RunError: where there was neither.
        """
        if self._run is None:
            raise RunError(f"the {self.noun} is not fitted; call fit first, or load a run")
        return self._run

    def _kept_run(self, folder: Path | None, resume: bool, given: Any) -> RunT | None:
        """The run in a folder, where `fit` is to go on with it; None where a new one begins.

        Every process calls it, before the trainer is made. Nothing is written.

        Args:
            folder: of the run; None to keep it in memory.
            resume: whether the caller asked to go on; else it is gone on with only where torchrun starts again what it
                began.
            given: what `Run.differences` compares the run with.

        Raises:
            ParameterError: for no folder to resume from.
            RunError: where the folder already holds a run that is not to be resumed, has none to resume, or one of
                other settings or data.
        """
        if folder is None:
            if resume:
                raise ParameterError("folder", "the folder of the run to resume", None)
            return None
        if not resume and not goes_on(folder):
            _check_new(folder)
            return None
        kept = self.run_class.read(folder)
        now, before = self.settings, kept.model.settings
        differences = [name for name in now.__dataclass_fields__ if getattr(now, name) != getattr(before, name)]
        differences += kept.differences(given)
        if differences:
            raise RunError(
                f"{folder}: cannot resume with other {', '.join(differences)}; give the same, or train into another "
                "folder"
            )
        return kept

    def _train(
        self,
        run: RunT,
        trainer: Trainer,
        folder: Path | None,
        resume: bool,
        finish: Callable[[], object] | None = None,
    ) -> Self:
        """Put a new run into its folder, train, and be fitted; every process calls it.

        The trainer comes ready made: torch takes seconds to make its first optimiser, in which the folder would hold a
        run without a checkpoint.

        Args:
            run: new, or as kept.
            trainer: of the run's model, with the same folder.
            folder: None to keep the run in memory.
            resume: whether `_kept_run` found a run to go on with.
            finish: what else to fit on the trained weights and keep in `run.json`; None for nothing. A run that is
                loaded may have been cut short before it.

        Raises:
            TrainingInterruptedError: on Ctrl-C, after the step under way was finished and saved.
            RunError: where the folder cannot be written, or has no checkpoint to resume from.
        """
        group = processes()
        if folder is not None:
            if group.is_first and not resume:
                shutil.rmtree(folder / "tensorboard", ignore_errors=True)
                run.write(folder)
            group.wait()
        self.training_result = trainer.fit(resume)
        if finish is not None:
            finish()
            if folder is not None and group.is_first:
                run.write(folder)
        self._run = run
        return self


def _check_new(folder: Path) -> None:
    """See that no run is there that a new one would overwrite.

    Raises:
        RunError: where there is one.
    """
    if has_run(folder):
        raise RunError(
            f"{folder}: already holds a run. Go on with it (--resume), choose another folder (--out), or delete it "
            "first."
        )
    # One that was stopped before its first validation has no best weights yet.
    RunFiles(folder, keep=1).check_new()


def _load_weights(network: nn.Module, path: Path) -> None:
    """Load the weights of a run's model, ready to compute.

    Raises:
        RunError: where they are missing, damaged or of another model.
    """
    weights = load_checkpoint(path).group("model")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path}: not the weights of the model in run.json ({reason})") from error
    network.eval()
