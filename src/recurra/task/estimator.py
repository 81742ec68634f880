"""The estimator: the control flow that every task shares. A task supplies hooks."""

import logging
import shutil
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar

from recurra.errors import ExportError, MissingExtraError, ParameterError, RunError, StreamError
from recurra.files import prepare_folder, write_text
from recurra.options import Option, Options, option
from recurra.task.budget import check_budget, training_settings
from recurra.task.learned import Learned
from recurra.task.resuming import check_new, check_same_data, check_same_options, files_of, training_files
from recurra.task.verbs import verb
from recurra.training.settings import TrainingSettings

if TYPE_CHECKING:
    from torch import nn

    from recurra.inspection import Inspection
    from recurra.streaming import ItemStream
    from recurra.task.export import Export
    from recurra.task.fitted import Fitted
    from recurra.task.objective import Objective
    from recurra.task.results import Evaluation, Predictions
    from recurra.task.view import View
    from recurra.training import Validation

__all__ = ["Data", "Estimator"]

_log = logging.getLogger("recurra.task")


class Data(Protocol):
    """Examples of a task, as `Estimator.read` returns them."""

    @property
    def source(self) -> str:
        """Where the examples come from, for messages: a path, or "the data"."""
        ...

    def digest(self) -> str:
        """A checksum that tells these examples from others."""
        ...


DataT = TypeVar("DataT", bound=Data)
LearnedT = TypeVar("LearnedT", bound=Learned)
NetworkT = TypeVar("NetworkT", bound="nn.Module")


def _check_device(name: str, value: str) -> None:
    if value not in ("auto", "cpu") and not value.startswith("cuda"):
        raise ParameterError(name, "'auto', 'cpu' or 'cuda'", value)


class Estimator(TrainingSettings, Generic[DataT, LearnedT, NetworkT]):
    """What is fitted to data, and saved and loaded as a run.

    A task derives one class, under the decorator `task`. Its fields are its options. It states what its messages call
    it (`noun`), how files are read (`Reading`, a class of options, or None), what it learns without gradients
    (`learned_class`), and these hooks, none of which calls `super()`:

        read        path or lists -> examples
        split       examples -> examples to train on and, perhaps, to validate with
        describe    one line about the examples, printed before training
        learn       examples -> vocabularies, scales, a baseline
        network     what was learned -> the module to train; seeded before the call
        objective   batches, loss, validation
        finish      what else is fitted on the trained network, such as a temperature
        pictures    functions that draw what was learned into the run's folder
        predictions, evaluate, view    the verbs `predict`, `evaluate` and `inspect`; see `recurra.task.verb`

    Modules that need torch are imported inside the hooks: help and completion on the command line import the class
    without it.
    """

    task: ClassVar[str] = ""
    noun: ClassVar[str] = "model"
    Reading: ClassVar[type[Options] | None] = None
    learned_class: ClassVar[type[Learned]] = Learned
    several_sources: ClassVar[bool] = False
    reads_texts: ClassVar[bool] = False  # whether a text in a list of inputs is an input, and not the path of a file
    reads_content: ClassVar[bool] = False  # whether `predictions` takes the content of files, as bytes, in a list
    second_stage: ClassVar[tuple[str, ...]] = ("unfreeze_steps",)  # options that need a run to start from
    not_exported: ClassVar[dict[str, str]] = {}  # a form that `export` has not for this task, and why

    max_steps: int = option(default=0, at_least=0, help="optimiser steps at most; 0: as many as the data ask for")
    epochs: float = option(
        default=0.0,
        at_least=0,
        help="times that the training data are read, instead of max-steps; 0: as many as the data ask for",
        group="training",
    )
    quick: bool = option(
        default=False, help="train a quarter of the steps that the data ask for", group="training", main=True
    )
    thorough: bool = option(
        default=False, help="train four times the steps that the data ask for", group="training", main=True
    )
    unfreeze_steps: int = option(
        default=0,
        at_least=0,
        help="steps between freeing one layer with another run's weights and the next, from the last to the first "
        "(gradual unfreezing, Howard and Ruder 2018); 0: all layers train from the first step",
        group="training",
    )
    device: str = option(
        default="auto", check=_check_device, help="cpu, cuda, or auto for CUDA where available", group="training"
    )

    training_result = None
    _fitted = None
    _folder = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        for base in cls.__mro__[1:]:
            if isinstance(base, type) and base.__dict__.get("task"):
                raise TypeError(f"{cls.__name__} derives from the task {base.__name__}; derive it from Estimator")
        super().__init_subclass__(**keywords)

    def check(self) -> None:
        check_budget(self)

    # The hooks.

    @abstractmethod
    def read(self, source: Any, y: Any, reading: Any, labelled: bool) -> DataT:
        """Read examples.

        Args:
            source: what the caller passed: a path, lists, a frame, or examples of this class already.
            y: labels, for tasks that take them apart from the examples; else None.
            reading: how files are read; see `Reading`.
            labelled: whether examples without truth are refused.

        Raises:
            DataError: the data cannot be used; the message names file, line and the way out.
        """

    def split(self, data: DataT) -> tuple[DataT, DataT | None]:
        """Examples to train on and, perhaps, to validate with, if the caller passes no validation data."""
        return data, None

    def complete(self, reading: Any, data: DataT) -> Any:
        """`reading`, completed by what the training file shows: a run stores it, to read the file again."""
        return reading

    def later_reading(self) -> Any:
        """How the files of verbs are read by default; an argument `reading` starts from it."""
        return self.fitted.reading

    def export_network(self) -> "tuple[nn.Module, dict[str, Any]]":
        """The network that `export` writes, and what a program beside it has to know: labels, a vocabulary, scales.

        Raises:
            ExportError: the network reads what only this package prepares.
        """
        raise ExportError(f"a {self.noun} reads inputs that only Recurra prepares; its network is not exported")

    def export_files(self) -> dict[str, bytes]:
        """What else a program beside the network needs, such as a subword model, by the end of the file's name."""
        return {}

    @verb("write a trained network for other programs: C for a device, ONNX, or TorchScript for libtorch")
    def export(
        self,
        *,
        to: Annotated[Literal["c", "onnx", "torch"], Option(help="what to write", main=True)] = "onnx",
        weights: Annotated[
            Literal["float32", "int8"], Option(help="how C stores the weights of matrix products", main=True)
        ] = "float32",
        weights_in: Annotated[
            Literal["source", "binary"], Option(help="whether C has its weights in its source or beside it")
        ] = "source",
        name: Annotated[str, Option(help="of the files, and prefix of the functions in C")] = "model",
    ) -> "Export":
        """Write the trained network for programs without Recurra.

        What is written is run first, beside the network, and nothing is written that differs. C is one step of the
        network, with its state in the caller's hands; ONNX and TorchScript are whole sequences, but a translator's
        ONNX is its encoder and a step of its decoder, and a network with a stack of blocks is one step in both. A
        forecaster or a translator with such a stack has no export.

        Args:
            to: "c", "onnx" or "torch".
            weights: of C: "float32" or "int8".
            weights_in: of C: "source", or "binary" for a file of their own.
            name: of the files.

        Raises:
            ExportError: the network has no such form, or what was written differs from it.
            StreamError: for C, the network cannot run one step at a time.
        """
        from recurra.task.export import Export

        if reason := self.not_exported.get(to):
            forms = " or ".join(f"--to {form}" for form in ("c", "onnx", "torch") if form not in self.not_exported)
            raise ExportError(f"--to {to}: {reason} Use {forms}.")
        return Export(*self.export_network(), to, name, weights, weights_in, self.export_files())

    def open_stream(self, weights: str = "float32", look_ahead: int | None = None) -> "ItemStream":
        """The trained model as a stream: it reads one item after the other and answers at each.

        Args:
            weights: how they are stored; see `recurra.Stepper`.
            look_ahead: items after its own that a result depends on, for a model that also reads backward: results come
                that many items later, see `recurra.streaming.LookAheadStream`. None: each item is answered at once.

        Raises:
            StreamError: if this model cannot run one step at a time. The message says why, and what to train or write
                instead.
        """
        raise StreamError(f"a {self.noun} reads whole inputs; it does not stream")

    def refuse_look_ahead(self, look_ahead: int | None) -> None:
        """Refuse a look-ahead of a model that only reads forward. Raises StreamError."""
        if look_ahead is not None:
            raise StreamError(
                f"look_ahead: a {self.noun} reads forward only and answers each item at once; leave it out"
            )

    def check_result_file(self, command: str, path: Path, values: Mapping[str, Any]) -> None:
        """Refuse, before any long work, a file for a command's result that the `values` of its options do not fit.

        Raises:
            ParameterError: they do not fit.
        """

    @property
    def sound_format(self) -> dict[str, int]:
        """Of a model that reads sound: its samples a second, and those of an item of its stream.

        An item has `window` samples or a multiple of `shift` more, at `sample_rate` a second. The next item begins
        `shift` samples after its last window. Empty: the model reads something else.
        """
        return {}

    @property
    def drawing_format(self) -> dict[str, Any]:
        """Of a model of drawings: the usual longer `side` of one, and the `labels` of its classes. Else empty."""
        return {}

    def describe(self, training: DataT, validation: DataT | None) -> str:
        """One line about the examples."""
        return training.source

    @abstractmethod
    def learn(self, training: DataT, validation: DataT | None) -> LearnedT:
        """What is learned without gradients."""

    @abstractmethod
    def network(self, learned: LearnedT) -> NetworkT:
        """The module to train; torch is seeded before the call, and its generator is restored after it."""

    @abstractmethod
    def objective(self, fitted: "Fitted[LearnedT, NetworkT]", training: DataT, validation: DataT | None) -> "Objective":
        """Batches, loss and validation."""

    def standard_steps(self, steps_per_epoch: int) -> int:
        """The steps that the data ask for, if the caller does not say; see `Objective.steps_per_epoch`."""
        return 1000

    def finish(self, fitted: "Fitted[LearnedT, NetworkT]", training: DataT, validation: DataT | None) -> LearnedT:
        """What was learned, with what is fitted on the trained network."""
        return fitted.learned

    def pictures(self) -> Mapping[str, Callable[[Path], object]]:
        """What training draws into the folder of the run beside `training.png`.

        Functions that draw a PNG file, by the name of the file without its ending. None by default.
        """
        return {}

    @abstractmethod
    def predictions(self, *arguments: Any, **keywords: Any) -> "Predictions[Any]":
        """What the network says of data, with what `predict` leaves out."""

    @abstractmethod
    def evaluate(self, *arguments: Any, **keywords: Any) -> "Evaluation":
        """How well it does, beside simple baselines."""

    @abstractmethod
    def view(self, *arguments: Any, **keywords: Any) -> "View":
        """What `inspect` shows."""

    # The verbs that are the same in every task.

    def fit(
        self,
        data: Any = None,
        y: Any = None,
        *,
        validation: Any = None,
        reading: Any = None,
        folder: str | Path | None = None,
        resume: bool = False,
        start_from: str | Path | None = None,
        tensorboard: bool = False,
        progress: bool | None = None,
        after_validation: "Callable[[Validation], object] | None" = None,
    ) -> Self:
        """Train on data.

        Args:
            data: the path of a file, or the examples themselves; None to resume with the files of the run.
            y: labels, for tasks that take them apart from the examples.
            validation: data to choose the best weights by, in the same forms; a pair of examples and labels where `y`
                is used. None: see `split`.
            reading: how files are read; None: as the defaults of `Reading` say.
            folder: where the run is saved while it trains, so that it can be resumed; None: it stays in memory.
            resume: continue the run in `folder`; a larger budget, such as more `max_steps`, continues a finished one.
            start_from: a run whose weights training starts from (fine-tuning). Of a run of another task, such as a
                language model, the embedding of words and the recurrent layers are taken over as far as they fit.
            tensorboard: also log to TensorBoard.
            progress: show progress; None: the trainer decides by the terminal.
            after_validation: called after each validation; see `recurra.training.Trainer`.

        Returns:
            The estimator itself.

        Raises:
            DataError: the data cannot be used; the message names file, line and the way out.
            RunError: `folder` already holds a run, or none to resume; no weights of `start_from` fit.
            ParameterError: an option asks for what cannot be, such as `unfreeze_steps` without `start_from`.
            TrainingInterruptedError: on Ctrl-C, after the current step was finished and saved.
        """
        from recurra.task.transfer import check_start, check_unfreezing, take_over
        from recurra.training import Trainer, processes
        from recurra.training.device import check_device
        from recurra.training.picture import draw_training

        self.check_options()
        check_device(self.device)
        path = None if folder is None else Path(folder)
        saved = self._run_to_resume(path, resume)
        if saved is not None and path is not None:
            check_same_options(saved.options, self.get_params(), path)
        elif start_from is None:
            check_start(self.changed(), self.second_stage)
        if data is None:
            if saved is None:
                raise ParameterError("data", "the path of a file, or examples", None)
            data, validation = training_files(saved.data, validation)
            reading = reading or saved.reading
        if reading is None and self.Reading is not None:
            reading = self.Reading()
        training, validation_data = self.examples(data, y, validation, reading)
        facts = {
            "source": training.source,
            "files": files_of(training),
            "digest": training.digest(),
            "validation": None if validation is None or validation_data is None else files_of(validation_data),
            "validation_digest": None if validation_data is None else validation_data.digest(),
        }
        if saved is not None and path is not None:
            check_same_data(saved.data, facts, path)
        _log.info("%s", self.describe(training, validation_data))
        if saved is None:
            fitted = self.assemble(self.learn(training, validation_data), self.complete(reading, training), facts)
            if start_from is not None:
                take_over(fitted, start_from, self.noun, self.unfreeze_steps)
        else:
            fitted = saved
            fitted.options = self.get_params()
        objective = self.objective(fitted, training, validation_data)
        settings, frozen = training_settings(self, objective), fitted.data.get("frozen", {})
        check_unfreezing(frozen, settings.max_steps)
        trainer = Trainer(
            fitted.network,
            objective.loss,
            objective.batches,
            settings,
            objective.validate,
            path,
            tensorboard,
            progress=progress,
            truncation=objective.truncation,
            record=objective.record,
            frozen=frozen,
            after_validation=after_validation,
            solve=objective.solve,
        )
        # The trainer comes ready made: torch takes seconds to make its first optimiser, in which the folder would hold
        # a run without a checkpoint.
        group = processes()
        if path is not None:
            if group.is_first:
                if saved is None:
                    prepare_folder(path)
                    shutil.rmtree(path / "tensorboard", ignore_errors=True)
                fitted.write(path, type(self))
                for name, text in objective.files.items():
                    write_text(path / name, text)
            group.wait()
        self.training_result = trainer.fit(saved is not None)
        fitted.check_trained(
            f"the {self.noun}" if path is None else str(path), self.training_result.steps, self.training_result.skipped
        )
        fitted.learned = self.finish(fitted, training, validation_data)
        # Stored as text: functions of the objective would keep the estimator from being pickled.
        self._best, self._solved = objective.best(self.training_result.best_loss), objective.solve is not None
        if self.training_result.best_loss < float("inf"):
            fitted.data["best_validation"] = self._best
        if path is not None and group.is_first:
            fitted.write(path, type(self))
            if not self._solved:  # a single step makes no curve
                draw_training(
                    path / "log.csv",
                    path / "training.png",
                    loss=objective.unit,
                    training="training loss" if objective.measure else "training",
                    validation=objective.validation_name,
                    twin=bool(objective.measure),
                )
        self._fitted, self._folder = fitted, path
        if path is not None and group.is_first:
            for name, draw in self.pictures().items():
                draw(path / f"{name}.png")
        self._beaten = objective.beaten_by(self.training_result.best_loss) if objective.validate else ""
        return self

    def predict(self, *arguments: Any, **keywords: Any) -> Any:
        """The values of `predictions`, which documents the arguments."""
        return self.predictions(*arguments, **keywords).values

    def score(self, data: Any, y: Any = None) -> float:
        """The main score of `evaluate`; larger is better."""
        evaluation = self.evaluate(data) if y is None else self.evaluate(data, y)  # type: ignore[call-arg]
        return evaluation.score

    def inspect(self, *arguments: Any, progress: bool | None = None, **keywords: Any) -> "Inspection":
        """Look inside the network; `view` documents the other arguments.

        Args:
            progress: show progress; None: a bar in a terminal or a notebook, and lines elsewhere.
        """
        from recurra import inspection

        view = self.view(*arguments, **keywords)
        validation = self.fitted.data.get("best_validation", "")
        standing = inspection.Standing(validation=validation) if validation else None
        if view.evaluate is not None:
            evaluation = view.evaluate()
            columns, *rows = evaluation.lines()
            standing = inspection.Standing(
                evaluation.title,
                ("method", *columns[1:]),
                rows,
                evaluation.main,
                evaluation.is_beaten,
                evaluation.warnings,
                validation,
            )
        return inspection.inspect(
            view.network or self.fitted.network,
            *view.inputs,
            loss=view.loss,
            steps=view.steps,
            sequence=view.sequence,
            output=view.output,
            reads=view.reads,
            layers=view.layers,
            follows=view.follows,
            distances=view.distances,
            alone=view.alone,
            words=view.words,
            standing=standing,
            concerns=view.concerns,
            progress=progress,
        )

    def save(self, folder: str | Path) -> None:
        """Write the fitted estimator into a folder, from which `load` reads it.

        Raises:
            RunError: it is not fitted, or the folder cannot be written or already holds a run.
        """
        from recurra.training import has_run

        path, fitted = Path(folder), self.fitted
        if has_run(path):
            raise RunError(f"{path}: already holds a run; choose another folder")
        prepare_folder(path)
        fitted.save_weights(path)
        fitted.write(path, type(self))
        self._folder = path

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a run that `save` or `fit` wrote, finished or interrupted.

        Raises:
            RunError: the folder is not a run of this task, or it is damaged.
            MissingExtraError: the run needs an extra that is not installed.
        """
        from recurra.task.fitted import Fitted

        fitted = Fitted.read(Path(folder), cls)
        fitted.load_weights(Path(folder))
        estimator = cls(**fitted.options)
        estimator._fitted = fitted
        estimator._folder = Path(folder)
        return estimator

    @property
    def fitted(self) -> "Fitted[LearnedT, NetworkT]":
        """The fitted model.

        Raises:
            RunError: neither `fit` nor `load` came before.
        """
        if self._fitted is None:
            raise RunError(f"the {self.noun} is not fitted; call fit first, or load a run")
        return self._fitted

    @property
    def folder(self) -> Path | None:
        """Where the run was loaded from, or saved to. None: it is in memory alone."""
        return self._folder

    def summary(self) -> str:
        """How training ended, in one line; a line before it says so if a simple method is better on validation data."""
        result = self.training_result
        if result is None:
            return f"the {self.noun} was not trained in this process"
        ending = " (no better validation for a while)" if result.stopped_early else ""
        how = "in closed form" if self._solved else f"{result.steps:,} steps"
        chosen = ""
        if result.best_loss < float("inf"):
            at = "" if self._solved else f" at step {result.best_step:,}"
            chosen = f", {'' if self._solved else 'best '}validation {self._best}{at}"
        beaten = f"{self._beaten}\n" if self._beaten else ""
        return f"{beaten}trained {how} in {result.seconds:,.0f} s{ending}{chosen}"

    def next_command(self, folder: Path) -> str:
        """The command that training names at its end, with which the run in the folder is used next."""
        from recurra.task.verbs import command_settings

        needs_data = command_settings(type(self), type(self).evaluate)["data"].default is MISSING
        return f"recurra evaluate {folder}{' --data FILE' if needs_data else ''}"

    def assemble(self, learned: LearnedT, reading: Any, data: dict[str, Any]) -> "Fitted[LearnedT, NetworkT]":
        """The fitted model before training, its weights initialised from the seed."""
        import torch

        from recurra.task.fitted import Fitted
        from recurra.training.device import usable_device

        device = usable_device(self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = self.network(learned).to(device)
        return Fitted(self.get_params(), reading, learned, network, device, data)

    def examples(self, data: Any, y: Any, validation: Any, reading: Any) -> tuple[DataT, DataT | None]:
        """The examples to train on and to validate with; see `fit` for the arguments. Raises as `fit`."""
        fraction = self.changed().get("validation_fraction")
        if validation is not None and fraction:
            way_out = "Leave out one of the two (--validation-fraction, --validation)."
            raise ParameterError("validation_fraction", "no fraction together with validation data", fraction, way_out)
        training = self.read(data, y, reading, True)
        if validation is None:
            return self.split(training)
        paired = y is not None and isinstance(validation, tuple) and len(validation) == 2
        examples, labels = validation if paired else (validation, None)
        return training, self.read(examples, labels, reading, True)

    def data_for(self, source: Any, y: Any = None, reading: Any = None, labelled: bool = False) -> DataT:
        """Read examples for a verb: files are read as in training if `reading` is None."""
        return self.read(source, y, self.later_reading() if reading is None else reading, labelled)

    def __sklearn_is_fitted__(self) -> bool:
        return self._fitted is not None

    def __sklearn_tags__(self) -> Any:
        try:
            from sklearn.utils import Tags, TargetTags
        except ImportError as error:
            raise MissingExtraError("scikit-learn", "dev", "a scikit-learn tool") from error
        return Tags(estimator_type=None, target_tags=TargetTags(required=False))

    def _run_to_resume(self, folder: Path | None, resume: bool) -> "Fitted[Any, Any] | None":
        """The run in the folder that is to be continued; None if a new one begins. Every process calls it."""
        from recurra.task.fitted import Fitted
        from recurra.training import resumes

        if folder is None:
            if resume:
                raise ParameterError("folder", "the folder of the run to resume", None)
            return None
        if not resumes(folder, asked=resume):
            check_new(folder)
            return None
        return Fitted.read(folder, type(self))
