"""The training loop: it knows modules and batches, and nothing of tasks."""

import json
import logging
import math
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import recurra
from recurra.data.batches.batch import Batch
from recurra.errors import ParameterError, RunError
from recurra.files import prepare_folder, write_text
from recurra.progress import Progress
from recurra.training.arguments import check_arguments
from recurra.training.averaging import Averaging
from recurra.training.checkpoint import Checkpoint
from recurra.training.closed_form import ClosedForm
from recurra.training.evaluation import Mean
from recurra.training.generators import generator_states, restore_generators, seed_generators
from recurra.training.interrupt import InterruptGuard
from recurra.training.log import TrainingLog
from recurra.training.process_group import add_agents, agent, processes
from recurra.training.pruning import BlockPruning
from recurra.training.run_files import RunFiles, load_last
from recurra.training.settings import TrainingSettings
from recurra.training.truncation import Truncation
from recurra.training.update import Updated, Updater

__all__ = ["Trainer", "TrainingInterruptedError", "TrainingResult", "Validation"]

_log = logging.getLogger("recurra.training")
_LOG_EVERY = 10


class TrainingInterruptedError(KeyboardInterrupt):
    """Training was asked to stop; the last step was finished and saved (where there is a folder)."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step = step


class Validation(NamedTuple):
    """What a validation measured, and when.

    Attributes:
        step: after which the module was validated.
        max_steps: of the whole training.
        loss: on the validation data.
    """

    step: int
    max_steps: int
    loss: float


@dataclass(frozen=True)
class TrainingResult:
    """How training ended; the module holds the best weights, or the last where nothing was validated.

    Attributes:
        steps: made, those skipped included.
        best_step: the step of the best weights.
        best_loss: their validation loss; infinite if nothing was validated.
        seconds: that training took.
        stopped_early: whether for want of a better loss.
        skipped: steps whose loss or gradient was not finite.
    """

    steps: int
    best_step: int
    best_loss: float
    seconds: float
    stopped_early: bool
    skipped: int


class Trainer:
    """Trains a module that returns (output, state), alone or as one of several processes (`torchrun`).

    Args:
        module: called with a batch's inputs; with `truncation`, with the inputs and the state after the batch before
            (None at the first), and the keyword `resets` where the batch has them.
        loss: from the module's output and the batch's target, a scalar: a mean over what the batch's weight counts.
        batches: the batch of an index, from 1. A pure function of the index: a run that is resumed sees the
            batches that it would have seen. Each of several processes gives its own part, see
            `recurra.data.batches.batch.Partition`.
        settings: how to train.
        validate: the loss to minimise, of the module in evaluation mode, without gradients; a number that is the same
            in all processes, or the `Mean` of this one's part. None for no validation.
        folder: where checkpoints, the best weights and the log go, the same for all processes; None to keep nothing.
        tensorboard: also log to TensorBoard, in `folder/tensorboard`.
        checkpoint_seconds: the longest time without saving.
        progress: True: a bar with loss and time left; False: none; None: a bar in a terminal or a notebook, and a line
            every half minute elsewhere.
        truncation: truncated backpropagation through time: batches are segments of streams, and the state is carried
            from one to the next. None if each batch is whole.
        record: what else `training.json` in the folder should say, such as how weights were initialised.
        frozen: for how many steps a parameter stays as it is, by name; those without a name train from the first step.
        after_validation: called after each validation, before its checkpoint is saved. What it raises ends training;
            a run that is resumed validates at that step again.
        solve: sets the weights in closed form and returns the loss on the training data, in the place of gradients:
            training is then this one step. `loss`, `batches` and most settings are not used.

    Raises:
        ParameterError: for an argument of another kind, such as a DataLoader in place of a function, a precision the
            device does not have, a module without parameters, or without a state if there is a truncation, batches
            whose `segment_length` is not the truncation's, a name in `frozen` that is not a parameter's, or
            `after_validation` without `validate`.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Callable[[Any, Any], Tensor],
        batches: Callable[[int], Batch],
        settings: TrainingSettings,
        validate: Callable[[nn.Module], float | Mean] | None = None,
        folder: str | Path | None = None,
        tensorboard: bool = False,
        checkpoint_seconds: float = 15.0,
        progress: bool | None = None,
        truncation: Truncation | None = None,
        record: Mapping[str, Any] = MappingProxyType({}),
        frozen: Mapping[str, int] = MappingProxyType({}),
        after_validation: Callable[[Validation], object] | None = None,
        solve: Callable[[], float] | None = None,
    ) -> None:
        check_arguments(module, loss, batches, settings, validate, truncation)
        if after_validation is not None and validate is None:
            raise ParameterError("validation", "data to validate with", None, "Pass them (--validation FILE).")
        self._module = module
        self._settings = settings
        self._validate = validate
        self._after_validation = after_validation
        self._tensorboard = tensorboard
        self._checkpoint_seconds = checkpoint_seconds
        self._truncation = truncation
        self._record = record
        self._processes = processes()
        self._show_progress = progress if self._processes.is_first else False
        self._files = RunFiles(Path(folder), settings.keep) if folder else None
        segment_length = getattr(batches, "segment_length", None)
        if truncation and segment_length not in (None, truncation.segment_length):
            expected = f"batches of its segment_length = {truncation.segment_length} steps"
            raise ParameterError("truncation", expected, segment_length)
        self._pruning = BlockPruning(module, settings)
        self._update: Updater | ClosedForm
        if solve is None:
            self._update = Updater(
                module, loss, batches, settings, truncation, self._processes, frozen, pruning=self._pruning
            )
        else:
            if settings.max_steps != 1 or settings.averaging or settings.sparsity:
                got = (settings.max_steps, settings.averaging, settings.sparsity)
                raise ParameterError("settings", "max_steps=1, averaging=0 and sparsity=0 with solve", got)
            self._update = ClosedForm(module, solve)
        self._averaging = Averaging(module, settings)
        self._step = 0
        self._seconds = 0.0
        self._skipped = 0
        self._clipped_since = 0
        self._logged_step = 0
        self._best_loss = math.inf
        self._best_step = 0
        self._best_weights: dict[str, Tensor] | None = None
        self._waiting_since = 0
        self._saved_step: int | None = None

    def fit(self, resume: bool = False) -> TrainingResult:
        """Train, from the folder's last whole checkpoint where `resume` is set.

        Raises:
            ParameterError: the module does not return (output, state), or `batches` something else than a `Batch`.
            TrainingInterruptedError: on SIGINT or SIGTERM, after the step under way was finished and saved.
            RunError: if there is nothing to resume, or a run already and not to be resumed; too many steps in a row
                had a loss or gradient that is not finite; or the folder cannot be written.
        """
        if resume and self._files is None:
            raise ParameterError("folder", "the folder of the run to resume", None)
        if self._files and not resume:
            self._files.check_new()
            if self._processes.is_first:
                prepare_folder(self._files.folder)
        writes = self._files is not None and self._processes.is_first and self._files.folder.is_dir()
        with self._files.held() if self._files and writes else nullcontext():
            return self._fit(resume)

    def _fit(self, resume: bool) -> TrainingResult:
        if resume:
            self._restore()
        else:
            seed_generators(self._settings.seed + 1_000_003 * self._processes.rank)
        # Before anything is saved: what is missing for the log leaves no run behind.
        log = self._open_log()
        if resume:
            self._record_agents()
        else:
            self._write_record()
            self._save(log)
        if self._files and self._processes.is_first:
            self._files.remove_leftovers()
        try:
            with InterruptGuard() as guard:
                stopped_early = self._loop(guard, log)
            if self._best_weights is None:
                self._best_step = self._step
                self._best_weights = self._copy_weights()
                self._save_best()
                self._save(log)
            elif self._saved_step != self._step:
                self._save(log)
        finally:
            if log:
                log.close()
        self._module.load_state_dict(self._best_weights)
        self._module.eval()
        return TrainingResult(self._step, self._best_step, self._best_loss, self._seconds, stopped_early, self._skipped)

    def _loop(self, guard: InterruptGuard, log: TrainingLog | None) -> bool:
        settings = self._settings
        saved = time.monotonic()
        smooth = math.nan
        started = time.monotonic() - self._seconds
        with Progress(settings.max_steps, self._step, show=self._show_progress) as progress:
            while self._step < settings.max_steps:
                if self._patience_spent():
                    return True
                updated = self._update(self._step + 1)
                self._step += 1
                if updated.culprits is not None:
                    self._skipped += 1
                elif updated.loss is not None:
                    self._averaging.update()
                    self._pruning.zero(self._averaging.module)
                    smooth = updated.loss if math.isnan(smooth) else 0.95 * smooth + 0.05 * updated.loss
                self._clipped_since += updated.clipped
                self._seconds = time.monotonic() - started
                validation = None
                if self._step % settings.validate_every == 0 or self._step == settings.max_steps:
                    validation = self._run_validation()
                self._log(log, updated, validation)
                if validation is not None and self._after_validation is not None:
                    self._after_validation(Validation(self._step, settings.max_steps, validation))
                shown = {"loss": f"{smooth:.4f}"}
                if math.isfinite(self._best_loss):
                    shown["best"] = f"{self._best_loss:.4f}"
                progress.update(shown)
                stop, late = self._agree(guard.requested, time.monotonic() - saved > self._checkpoint_seconds)
                if stop:
                    self._save(log)
                    raise TrainingInterruptedError(self._step)
                if updated.culprits is not None:
                    self._check_skipped(log)
                if validation is not None or late:
                    self._save(log)
                    saved = time.monotonic()
        return False

    def _agree(self, stop: bool, late: bool) -> tuple[bool, bool]:
        """What all processes do: stop where one was asked to, save where it is late on the first's clock."""
        stops, lates = self._processes.sum(stop, late and self._processes.is_first)
        return stops > 0, lates > 0

    def _check_skipped(self, log: TrainingLog | None) -> None:
        try:
            self._update.check_skipped(self._step)
        except RunError:
            self._save(log)
            raise

    def _run_validation(self) -> float | None:
        if self._validate is None:
            return None
        module = self._averaging.module
        module.eval()
        with torch.no_grad():
            loss = self._validate(module)
        if isinstance(loss, Mean):
            total, weight = self._processes.sum(*loss)
            if not weight:
                raise ParameterError("validate", "a mean over some weight", 0.0)
            loss = total / weight
        self._update.validated(loss)
        self._averaging.validated(loss)
        if loss < self._best_loss and self._step >= self._pruning.last_step:
            self._best_loss = loss
            self._best_step = self._step
            self._best_weights = self._copy_weights()
            self._save_best()
        return loss

    def _patience_spent(self) -> bool:
        settings = self._settings
        since = max(self._best_step, self._waiting_since, self._pruning.last_step)
        waited = (self._step - since) // settings.validate_every
        return self._validate is not None and settings.patience > 0 and waited >= settings.patience

    def _log(self, log: TrainingLog | None, updated: Updated, validation: float | None) -> None:
        """Write the rows of a step; every process counts, the first writes."""
        step = self._step
        due = validation is not None or step % _LOG_EVERY == 0 or step == 1
        clipped = self._clipped_since / (step - self._logged_step)
        if due:
            self._clipped_since, self._logged_step = 0, step
        if not log:
            return
        for figures in updated.health:
            log.write("health", step, **asdict(figures))
            log.show(step, **{f"grad_norm/{figures.parameter}": figures.grad_norm})
            log.show(step, **{f"update_ratio/{figures.parameter}": figures.update_ratio})
        if updated.culprits is not None:
            log.write_skipped(
                step, self._update.batches_of(step), updated.loss or 0.0, updated.grad_norm, updated.culprits
            )
        if due:
            figures = {
                "loss": updated.loss,
                "validation_loss": validation,
                "learning_rate": updated.learning_rate,
                "grad_norm": updated.grad_norm,
                "clipped": clipped,
                "skipped": self._skipped,
            }
            log.write("log", step, **figures)
            log.write("time", step, seconds=self._seconds)
            log.show(step, **figures, seconds=self._seconds)

    def _copy_weights(self) -> dict[str, Tensor]:
        weights = self._averaging.module.state_dict()
        return {name: tensor.detach().clone() for name, tensor in weights.items()}

    def _save_best(self) -> None:
        """Save the best weights; until a validation has named some, the latest stand in for them."""
        if not self._files or not self._processes.is_first:
            return
        step = self._step if self._best_weights is None else self._best_step
        checkpoint = Checkpoint(values={"step": step, "loss": _json_number(self._best_loss), "skipped": self._skipped})
        checkpoint.add_group("model", self._copy_weights() if self._best_weights is None else self._best_weights)
        self._files.save_best(checkpoint)

    def _save(self, log: TrainingLog | None) -> None:
        """Save a checkpoint of the step; every process calls it, the first writes."""
        if not self._files:
            return
        self._saved_step = self._step
        checkpoint = Checkpoint(
            values={
                "step": self._step,
                "seconds": self._seconds,
                "skipped_steps": self._skipped,
                "clipped_since": self._clipped_since,
                "logged_step": self._logged_step,
                "best_loss": _json_number(self._best_loss),
                "best_step": self._best_step,
                "waiting_since": self._waiting_since,
                "settings": asdict(self._settings),
                "truncation": None if self._truncation is None else asdict(self._truncation),
                "processes": self._processes.count,
            }
        )
        self._update.save(checkpoint)
        self._pruning.save(checkpoint)
        averages, checkpoint.values["averaging"] = self._averaging.state_dict()
        checkpoint.add_group("average", averages)
        for rank, states in enumerate(self._processes.gather(generator_states(self._update.device))):
            checkpoint.add_group(f"generator.{rank}", states)
        if self._processes.is_first:
            checkpoint.add_group("model", self._module.state_dict())
            if log:
                log.sync()
            self._files.save(self._step, checkpoint)
            # After it, so that whoever finds a best finds a checkpoint too.
            if self._best_weights is None:
                self._save_best()

    def _restore(self) -> None:
        assert self._files is not None
        last = load_last(self._files.folder, self._check_settings)
        try:
            self._load(last)
        except (KeyError, RuntimeError, ValueError) as error:
            fault = f"{self._files.folder}: the checkpoint of step {last.values['step']} is of another module ({error})"
            raise RunError(fault) from error
        # Without a validation that named them, those saved are the last ones so far, which further steps replace.
        if math.isfinite(self._best_loss):
            self._restore_best(self._files)
        self._processes.wait()
        if self._processes.is_first:
            self._files.remove_after(self._step)

    def _restore_best(self, files: RunFiles) -> None:
        # A crash may fall between saving the best and a checkpoint: the best may then be of a later step, and
        # better, which the steps run again will find out for themselves.
        try:
            self._best_weights = files.load_best().group("model")
        except RunError as error:
            _log.warning("%s; continuing without, until a validation names new ones", error)
            self._best_step, self._best_loss, self._waiting_since = 0, math.inf, self._step

    def _check_settings(self, last: Checkpoint) -> None:
        before = last.values.get("settings", {})
        settings = json.loads(json.dumps(asdict(self._settings)))  # a tuple comes back from a file as a list
        truncation = None if self._truncation is None else asdict(self._truncation)
        free = {"keep"} if settings["max_steps"] <= last.values.get("step", 0) else {"keep", "max_steps"}
        changed = [name for name, value in settings.items() if name not in free and before.get(name) != value]
        if last.values.get("truncation") != truncation:
            changed.append("truncation")
        if changed:
            if "max_steps" in changed:
                changed[changed.index("max_steps")] = f"max_steps, of which {last.values.get('step', 0):,} are done"
            raise RunError(
                f"{self._files.folder if self._files else ''}: cannot resume with other settings "
                f"({', '.join(changed)}); give the same ones, or train into another folder"
            )

    def _load(self, last: Checkpoint) -> None:
        values = last.values
        replanned = values["settings"]["max_steps"] != self._settings.max_steps
        self._update.load(last, replanned)
        self._pruning.load(last)
        self._module.load_state_dict(last.group("model"))
        self._averaging.load_state_dict(last.group("average"), values["averaging"])
        self._step = values["step"]
        self._seconds = values["seconds"]
        self._skipped = values["skipped_steps"]
        self._clipped_since, self._logged_step = values["clipped_since"], values["logged_step"]
        self._best_step, self._waiting_since = values["best_step"], values["waiting_since"]
        self._best_loss = math.inf if values["best_loss"] is None else values["best_loss"]
        if replanned:
            # A run that had stopped for want of a better validation starts to wait anew.
            self._waiting_since = self._step
        rank, before, count = self._processes.rank, values["processes"], self._processes.count
        if before != count and self._processes.is_first:
            _log.warning(
                "from step %d on the number of processes is %d in place of %d: batches and their order stay the same, "
                "but sums are rounded in another order, and dropout has other masks",
                self._step + 1,
                count,
                before,
            )
        if rank < before:
            restore_generators(last.group(f"generator.{rank}"), self._update.device)
        else:
            seed_generators(self._settings.seed + 1_000_003 * rank + self._step)

    def _open_log(self) -> TrainingLog | None:
        if not self._files or not self._processes.is_first:
            return None
        return TrainingLog(self._files.folder, self._step, self._tensorboard)

    def _record_agents(self) -> None:
        agents = self._processes.gather(agent())
        if self._files and self._processes.is_first:
            add_agents(self._files.folder, agents)

    def _write_record(self) -> None:
        if not self._files:
            return
        agents = self._processes.gather(agent())
        if not self._processes.is_first:
            return
        values = {
            "recurra": recurra.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "threads": torch.get_num_threads(),
            "processes": self._processes.count,
            "agents": sorted({*agents} - {""}),
            "device": str(self._update.device),
            "parameters": sum(parameter.numel() for parameter in self._module.parameters()),
            "settings": asdict(self._settings),
            "truncation": None if self._truncation is None else asdict(self._truncation),
            **self._record,
        }
        write_text(self._files.folder / "training.json", json.dumps(values, indent=1) + "\n")


def _json_number(value: float) -> float | None:
    return value if math.isfinite(value) else None
