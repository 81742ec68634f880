"""The training loop: it knows modules and batches, and nothing of tasks."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from recurra.errors import ParameterError, RunError
from recurra.files import prepare_folder
from recurra.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from recurra.training.interrupt import InterruptGuard
from recurra.training.log import TrainingLog
from recurra.training.optimization import make_optimizer, make_schedule, restore_optimizer, split_optimizer
from recurra.training.settings import TrainingSettings

__all__ = ["Batch", "Trainer", "TrainingInterruptedError", "TrainingResult"]


@dataclass(frozen=True)
class Batch:
    """What the module reads and what the loss compares its output with."""

    inputs: Any
    target: Any


class TrainingInterruptedError(KeyboardInterrupt):
    """Training was asked to stop; the last step was finished and saved (where there is a folder)."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step = step


@dataclass(frozen=True)
class TrainingResult:
    """How training ended; the module holds the best weights, or the last where nothing was validated."""

    steps: int
    best_step: int
    best_loss: float
    seconds: float
    stopped_early: bool


class Trainer:
    """Trains a module that returns (output, state).

    Args:
        module: called with a batch's inputs.
        loss: from the module's output and the batch's target, a scalar.
        batches: the batch of a step, 1 to max_steps. A pure function of the step, so that a run that is resumed
            sees what it would have seen.
        settings: how to train.
        validate: the loss to minimise, of the module in evaluation mode, without gradients; None for no
            validation.
        folder: where checkpoints (`last.safetensors`, `best.safetensors`) and `log.csv` go; None to keep nothing.
        tensorboard: also log to TensorBoard, in `folder/tensorboard`.
        checkpoint_seconds: the longest time without saving.
        progress: a bar with time to go; None shows it only in a terminal.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Callable[[Any, Any], Tensor],
        batches: Callable[[int], Batch],
        settings: TrainingSettings,
        validate: Callable[[nn.Module], float] | None = None,
        folder: Path | None = None,
        tensorboard: bool = False,
        checkpoint_seconds: float = 15.0,
        progress: bool | None = None,
    ) -> None:
        self._module = module
        self._loss = loss
        self._batches = batches
        self._settings = settings
        self._validate = validate
        self._folder = folder
        self._tensorboard = tensorboard
        self._checkpoint_seconds = checkpoint_seconds
        self._hide_progress = None if progress is None else not progress
        self._parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self._optimizer = make_optimizer(
            settings.optimizer, self._parameters, settings.learning_rate, settings.weight_decay
        )
        self._schedule = make_schedule(settings.schedule, self._optimizer, settings.learning_rate, settings.max_steps)
        self._average = (
            AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(settings.averaging)) if settings.averaging else None
        )
        self._device = self._parameters[0].device
        self._step = 0
        self._seconds = 0.0
        self._best_loss = math.inf
        self._best_step = 0
        self._best_weights: dict[str, Tensor] | None = None

    def fit(self, resume: bool = False) -> TrainingResult:
        """Train, from the folder's last checkpoint where `resume` is set.

        Raises:
            TrainingInterruptedError: on SIGINT or SIGTERM, after the step under way was finished and saved.
            RunError: where there is nothing to resume, the loss is not finite, or the folder cannot be written.
        """
        if resume:
            self._restore()
        else:
            torch.manual_seed(self._settings.seed)
            if self._folder:
                prepare_folder(self._folder)
        # Before anything is saved: what is missing for the log leaves no run behind.
        log = self._open_log()
        if not resume:
            self._save_last()
        self._remove_leftovers()
        try:
            with InterruptGuard() as guard:
                stopped_early = self._loop(guard, log)
        finally:
            if log:
                log.close()
        if self._best_weights is None:
            self._best_step = self._step
            self._best_weights = self._copy_weights()
        self._save_best()
        self._save_last()
        self._module.load_state_dict(self._best_weights)
        self._module.eval()
        return TrainingResult(self._step, self._best_step, self._best_loss, self._seconds, stopped_early)

    def _loop(self, guard: InterruptGuard, log: TrainingLog | None) -> bool:
        settings = self._settings
        saved = time.monotonic()
        smooth = math.nan
        started = time.monotonic() - self._seconds
        bar = tqdm(
            total=settings.max_steps,
            initial=self._step,
            desc="training",
            unit="step",
            disable=self._hide_progress,
        )
        with bar:
            while self._step < settings.max_steps:
                if self._patience_spent():
                    return True
                rate = self._optimizer.param_groups[0]["lr"]
                loss, grad_norm = self._train_step()
                smooth = loss if math.isnan(smooth) else 0.95 * smooth + 0.05 * loss
                self._seconds = time.monotonic() - started
                validation = None
                if self._step % settings.validate_every == 0 or self._step == settings.max_steps:
                    validation = self._run_validation()
                if log and (validation is not None or self._step % 10 == 0 or self._step == 1):
                    log.write(
                        self._step,
                        loss=loss,
                        validation_loss=validation,
                        learning_rate=rate,
                        grad_norm=grad_norm,
                        seconds=self._seconds,
                    )
                bar.update()
                shown = {"loss": f"{smooth:.4f}"}
                if math.isfinite(self._best_loss):
                    shown["best"] = f"{self._best_loss:.4f}"
                bar.set_postfix(shown, refresh=False)
                if guard.requested:
                    self._save_last()
                    raise TrainingInterruptedError(self._step)
                if validation is not None or time.monotonic() - saved > self._checkpoint_seconds:
                    self._save_last()
                    saved = time.monotonic()
        return False

    def _train_step(self) -> tuple[float, float]:
        self._module.train()
        batch = self._batches(self._step + 1)
        output, _ = self._module(batch.inputs)
        loss = self._loss(output, batch.target)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        limit = self._settings.max_grad_norm or math.inf
        grad_norm = float(nn.utils.clip_grad_norm_(self._parameters, limit))
        value = loss.item()
        if not (math.isfinite(value) and math.isfinite(grad_norm)):
            raise RunError(
                f"step {self._step + 1}: the loss is {value}, the gradient's norm {grad_norm}. "
                f"Lower learning_rate (now {self._settings.learning_rate}) or max_grad_norm "
                f"(now {self._settings.max_grad_norm}, where 0 is no limit), or look for extreme values in the data."
            )
        self._optimizer.step()
        if self._schedule is not None and self._settings.schedule != "ReduceLROnPlateau":
            self._schedule.step()
        if self._average is not None:
            self._average.update_parameters(self._module)
        self._step += 1
        return value, grad_norm

    def _run_validation(self) -> float | None:
        if self._validate is None:
            return None
        module = self._evaluated_module()
        module.eval()
        with torch.no_grad():
            loss = self._validate(module)
        if self._settings.schedule == "ReduceLROnPlateau":
            self._schedule.step(loss)
        if loss < self._best_loss:
            self._keep_best(loss)
        return loss

    def _patience_spent(self) -> bool:
        settings = self._settings
        waited = (self._step - self._best_step) // settings.validate_every
        return self._validate is not None and settings.patience > 0 and waited >= settings.patience

    def _evaluated_module(self) -> nn.Module:
        return self._module if self._average is None else self._average.module

    def _keep_best(self, loss: float) -> None:
        self._best_loss = loss
        self._best_step = self._step
        self._best_weights = self._copy_weights()
        self._save_best()

    def _copy_weights(self) -> dict[str, Tensor]:
        weights = self._evaluated_module().state_dict()
        return {name: tensor.detach().clone() for name, tensor in weights.items()}

    def _save_best(self) -> None:
        """Save the best weights; until a validation has named some, the latest stand in for them."""
        if not self._folder:
            return
        step = self._step if self._best_weights is None else self._best_step
        checkpoint = Checkpoint(values={"step": step, "loss": _json_number(self._best_loss)})
        checkpoint.add_group("model", self._copy_weights() if self._best_weights is None else self._best_weights)
        save_checkpoint(checkpoint, self._folder / "best.safetensors")

    def _save_last(self) -> None:
        if not self._folder:
            return
        tensors, groups = split_optimizer(self._optimizer)
        checkpoint = Checkpoint(
            values={
                "step": self._step,
                "seconds": self._seconds,
                "best_loss": _json_number(self._best_loss),
                "best_step": self._best_step,
                "optimizer": groups,
                "schedule": None if self._schedule is None else _schedule_values(self._schedule),
                "settings": asdict(self._settings),
            }
        )
        checkpoint.add_group("model", self._module.state_dict())
        checkpoint.add_group("optimizer", tensors)
        checkpoint.add_group("generator", self._generator_states())
        if self._average is not None:
            checkpoint.add_group("average", self._average.state_dict())
        save_checkpoint(checkpoint, self._folder / "last.safetensors")
        if self._best_weights is None:
            self._save_best()

    def _generator_states(self) -> dict[str, Tensor]:
        states = {"torch": torch.get_rng_state()}
        if self._device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self._device)
        return states

    def _restore(self) -> None:
        if self._folder is None:
            raise ParameterError("folder", "the folder of the run to resume", None)
        path = self._folder / "last.safetensors"
        last = load_checkpoint(path)
        self._check_settings(last.values.get("settings", {}))
        try:
            self._load(last)
        except (KeyError, RuntimeError, ValueError) as error:
            raise RunError(f"{path}: damaged, or of another module ({error})") from error
        if self._best_step:
            # A crash may fall between saving the best and the last: the best may then be of a later step, and
            # better, which the steps run again will find out for themselves.
            self._best_weights = load_checkpoint(self._folder / "best.safetensors").group("model")

    def _check_settings(self, before: dict[str, Any]) -> None:
        settings = json.loads(json.dumps(asdict(self._settings)))  # a tuple comes back from a file as a list
        if before != settings:
            changed = [name for name, value in settings.items() if name not in before or before[name] != value]
            raise RunError(
                f"{self._folder}: cannot resume with other settings ({', '.join(changed)}); "
                "give the same ones, or train into another folder"
            )

    def _load(self, last: Checkpoint) -> None:
        values = last.values
        self._module.load_state_dict(last.group("model"))
        restore_optimizer(self._optimizer, last.group("optimizer"), values["optimizer"])
        if self._schedule is not None:
            self._schedule.load_state_dict(values["schedule"])
        if self._average is not None:
            self._average.load_state_dict(last.group("average"))
        self._step = values["step"]
        self._seconds = values["seconds"]
        self._best_step = values["best_step"]
        self._best_loss = math.inf if values["best_loss"] is None else values["best_loss"]
        generators = last.group("generator")
        torch.set_rng_state(generators["torch"])
        if "cuda" in generators and self._device.type == "cuda":
            torch.cuda.set_rng_state(generators["cuda"], self._device)

    def _remove_leftovers(self) -> None:
        """Remove what a killed process was writing; nobody else writes here."""
        if self._folder:
            for leftover in self._folder.glob(".*.[0-9]*.tmp"):
                leftover.unlink(missing_ok=True)

    def _open_log(self) -> TrainingLog | None:
        if not self._folder:
            return None
        return TrainingLog(
            self._folder / "log.csv", self._step, self._folder / "tensorboard" if self._tensorboard else None
        )


def _json_number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _schedule_values(schedule: Any) -> dict[str, Any]:
    """A schedule's state as JSON: what torch keeps beyond numbers, text and lists is rebuilt from the settings."""
    plain = (int, float, str, bool, type(None), list)
    return {name: value for name, value in schedule.state_dict().items() if isinstance(value, plain)}
