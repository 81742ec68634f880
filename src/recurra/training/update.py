"""One update of the weights: forward and backward over its batches, clipping, the optimiser's step."""

import logging
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from recurra.data.batches.batch import Batch
from recurra.errors import ParameterError, RunError
from recurra.training.arguments import check_loss
from recurra.training.carried import divide, fill, is_finite, plain_of, tensors_of
from recurra.training.checkpoint import Checkpoint
from recurra.training.clipping import make_clipping
from recurra.training.health import Health, ParameterHealth, layer_of, not_finite
from recurra.training.optimization import (
    make_optimizer,
    make_schedule,
    restore_optimizer,
    restore_schedule,
    schedule_values,
    split_optimizer,
)
from recurra.training.penalties import ActivationPenalties
from recurra.training.process_group import Processes
from recurra.training.pruning import BlockPruning
from recurra.training.settings import TrainingSettings
from recurra.training.truncation import Truncation
from recurra.training.unroll import Unroll

__all__ = ["Updated", "Updater"]

_log = logging.getLogger("recurra.training")


@dataclass(frozen=True)
class Updated:
    """What an update came to.

    Attributes:
        loss: the mean over its batches, of all processes; None if they are of no weight, and nothing was updated.
        grad_norm: of the gradient before clipping.
        clipped: whether it was clipped.
        learning_rate: the update was made with.
        culprits: where the update was skipped, as the loss or the gradient was not finite: the parameters whose
            gradient was not; None if it was made.
        health: the figures by parameter, where they were due.
    """

    loss: float | None
    grad_norm: float
    clipped: bool
    learning_rate: float
    culprits: list[str] | None = None
    health: list[ParameterHealth] = field(default_factory=list)


class Updater:
    """Makes the updates; for the arguments see `Trainer`.

    Raises:
        ParameterError: for a precision the device does not have, or a name in `frozen` that is not a parameter's.
    """

    def __init__(
        self,
        module: nn.Module,
        loss: Callable[[Any, Any], Tensor],
        batches: Callable[[int], Batch],
        settings: TrainingSettings,
        truncation: Truncation | None,
        processes: Processes,
        frozen: Mapping[str, int],
        *,
        pruning: BlockPruning,
    ) -> None:
        self._module = module
        self._pruning = pruning
        self._loss = loss
        self._batches = batches
        self._settings = settings
        self._processes = processes
        self._carry = truncation is not None
        self._window = truncation.window if truncation else 1
        self._count = settings.accumulation * (truncation.accumulation if truncation else 1)
        self._parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        if not self._parameters:
            raise ParameterError("module", "a module with parameters to train", type(module).__name__)
        self._frozen = _frozen_parameters(module, frozen)
        self.device = self._parameters[0].device
        runner: Any = torch.compile(module) if settings.compile else module
        self._unroll = processes.wrap(Unroll(runner, self._carry))
        self._optimizer = make_optimizer(settings, module)
        self._schedule = make_schedule(settings, self._optimizer)
        self._clipping = make_clipping(settings)
        self._penalties = ActivationPenalties(module, settings.activation_penalty, settings.temporal_activation_penalty)
        self._penalised = bool(settings.activation_penalty or settings.temporal_activation_penalty)
        self._health = Health(module, settings.health_every)
        self._precision = _precision(settings.precision, self.device)
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=settings.precision == "float16")  # type: ignore[attr-defined]
        # The state before the first batch of the window, and after the last; the first batch a window may begin with.
        self._state: Any = None
        self._after: Any = None
        self._first = 1
        self._recent: dict[int, Batch] = {}
        self._skipped = 0

    def __call__(self, step: int) -> Updated:
        """Make the update of a step, 1 or more."""
        indices = range((step - 1) * self._count + 1, step * self._count + 1)
        batches = {index: self._batch(index) for index in indices}
        (total,) = self._processes.sum(math.fsum(batch.weight for batch in batches.values()))
        if not self._module.training:
            self._module.train()
        self._optimizer.zero_grad(set_to_none=True)
        before = [buffer.clone() for buffer in self._module.buffers()]
        (summed,) = self._processes.sum(sum(self._backward(index, indices, batches, total) for index in indices))
        rate = self._optimizer.param_groups[0]["lr"]
        if not total:
            return Updated(None, 0.0, False, rate)
        loss = summed / total
        self._scaler.unscale_(self._optimizer)
        due = self._health.is_due(step)
        if due:
            self._health.see_gradients()
        for parameter, steps in self._frozen:
            if step <= steps:
                # Optimisers leave a parameter without a gradient as it is, and weight decay does too.
                parameter.grad = None
        self._pruning.zero_gradients()
        norm, clipped = self._clipping(self._parameters)
        updated = Updated(loss, float(norm), bool(clipped), rate)
        if not (math.isfinite(loss) and math.isfinite(updated.grad_norm)):
            return self._skip(step, updated, before)
        self._skipped = 0
        if due:
            self._health.see_weights()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._pruning.prune(step)
        if self._schedule is not None and self._settings.schedule != "ReduceLROnPlateau":
            self._schedule.step()
        if due:
            updated.health.extend(self._health.figures(step))
        return updated

    def batches_of(self, step: int) -> str:
        """The indices of a step's batches, as 7 or 13-16."""
        last = step * self._count
        return f"{last}" if self._count == 1 else f"{last - self._count + 1}-{last}"

    def validated(self, loss: float) -> None:
        """Let the schedule hear of a validation."""
        if self._settings.schedule == "ReduceLROnPlateau":
            self._schedule.step(loss)

    def save(self, checkpoint: Checkpoint) -> None:
        """Put into a checkpoint all that the next update depends on, but for the module and the generators.

        Every process calls it; the carried states of all are in the first one's.
        """
        tensors, groups = split_optimizer(self._optimizer)
        checkpoint.add_group("optimizer", tensors)
        states = self._processes.gather([part.cpu() for part in tensors_of(self._state)])
        for rank, parts in enumerate(states):
            checkpoint.add_group(f"state.{rank}", {str(index): part for index, part in enumerate(parts)})
        plain = self._processes.gather(plain_of(self._state))
        checkpoint.values |= {
            "optimizer": groups,
            "schedule": schedule_values(self._schedule),
            "clipping": self._clipping.state_dict(),
            "scaler": self._scaler.state_dict(),
            "health": self._health.state_dict(),
            "skipped": self._skipped,
            "carries": self._state is not None,
            "plain": plain,
            "first": self._first,
        }

    def load(self, checkpoint: Checkpoint, replanned: bool = False) -> None:
        """Continue from what `save` put into a checkpoint; called before the module's weights are loaded.

        Args:
            checkpoint: what `save` wrote.
            replanned: whether `max_steps` has changed since.

        Raises:
            KeyError, RuntimeError, ValueError: if the checkpoint is of another module or other settings.
        """
        values = checkpoint.values
        self._state = self._load_state(checkpoint) if values["carries"] else None
        restore_optimizer(self._optimizer, checkpoint.group("optimizer"), values["optimizer"])
        restore_schedule(self._schedule, values["schedule"], replanned)
        self._clipping.load_state_dict(values["clipping"])
        self._scaler.load_state_dict(values["scaler"])
        self._health.load_state_dict(values["health"])
        self._skipped, self._first = values["skipped"], values["first"]

    def _batch(self, index: int) -> Batch:
        """The batch of an index, cached as long as a window may ask for it again."""
        if index not in self._recent:
            self._recent = {n: batch for n, batch in self._recent.items() if n > index - self._window}
            batch = self._batches(index)
            if not isinstance(batch, Batch):
                expected = f"a recurra.training.Batch for index {index}"
                raise ParameterError("batches", expected, type(batch).__name__, "Return Batch(inputs, target).")
            self._recent[index] = batch
        return self._recent[index]

    def _backward(self, index: int, indices: range, batches: dict[int, Batch], total: float) -> float:
        """Add the gradient of one batch; its loss times its weight."""
        batch = batches[index]
        window = [self._batch(n) for n in range(max(self._first, index - self._window + 1), index)] + [batch]
        # Several processes go backward together or not at all.
        counts = batch.weight > 0 or (total > 0 and self._processes.count > 1)
        with self._averaging_gradients(index == indices[-1]), torch.set_grad_enabled(counts):
            with self._precision(), self._penalties if self._penalised else nullcontext():
                output, after_first, self._after = self._unroll(window, self._state)
                loss = self._loss(output, batch.target) if batch.weight else _nothing(output)
            check_loss(loss)
            if counts:
                trained = loss + self._penalties.total() if self._penalised else loss
                fraction = batch.weight * self._processes.count / total
                self._scaler.scale(trained if fraction == 1 else trained * fraction).backward()
        if self._carry and index - self._first + 1 >= self._window:
            self._state = after_first
        return float(loss.detach()) * batch.weight

    def _averaging_gradients(self, last: bool) -> AbstractContextManager[Any]:
        """Processes average their gradients with the last batch of an update only."""
        if isinstance(self._unroll, DistributedDataParallel) and not last:
            return self._unroll.no_sync()
        return nullcontext()

    def _skip(self, step: int, updated: Updated, buffers: list[Tensor]) -> Updated:
        """Leave everything as it was before the step, and say where the trouble is."""
        self._scaler.update()
        culprits = not_finite(self._module)
        self._optimizer.zero_grad(set_to_none=True)
        for buffer, before in zip(self._module.buffers(), buffers, strict=True):
            buffer.copy_(before)
        if self._carry:
            # No gradient flows back through these batches again, in which it would not be finite again.
            (lost,) = self._processes.sum(not is_finite(self._after))
            self._state = None if lost else self._after
            self._first = step * self._count + 1
        self._skipped += 1
        where = f"first in {layer_of(culprits[0])}, {culprits[0]}" if culprits else "all gradients are finite"
        figures = f"the loss is {updated.loss:g}, the gradient's norm {updated.grad_norm:g} ({where})"
        if self._processes.is_first:
            batches = self.batches_of(step)
            _log.warning("step %d (batch%s %s) is skipped: %s", step, "es" * ("-" in batches), batches, figures)
        return replace(updated, culprits=culprits)

    def check_skipped(self, step: int) -> None:
        """Stop where too many updates in a row came to nothing.

        Raises:
            RunError: with what to try.
        """
        if self._skipped > self._settings.max_skipped:
            raise RunError(
                f"step {step}: the loss or the gradient was not finite {self._skipped} times in a row (max_skipped is "
                f"{self._settings.max_skipped}). The weights before them are saved. Look for extreme values in the "
                "data of the batches named before, or train anew, into another folder, with a lower learning_rate (now "
                f"{self._settings.learning_rate}), harder clipping (clipping is {self._settings.clipping!r}, "
                f"max_grad_norm {self._settings.max_grad_norm}, 0 for no limit) or warmup_steps."
            )

    @torch.no_grad()
    def _load_state(self, checkpoint: Checkpoint) -> Any:
        """The state of this process, in the types the module returns, perhaps of other lanes than before."""
        rank, plain = self._processes.rank, checkpoint.values["plain"]
        groups = [checkpoint.group(f"state.{one}") for one in range(len(plain))]
        states = [[group[str(index)] for index in range(len(group))] for group in groups]
        self._module.eval()
        _, like, _ = Unroll(self._module, carry=True)([self._batches(1)], None)
        if len(states) == self._processes.count:
            return fill(like, states[rank], plain[rank])
        parts = zip(tensors_of(like), *states, strict=True)
        return fill(like, [divide(list(saved), one, rank, self._processes.count) for one, *saved in parts], plain[0])


def _nothing(output: Any) -> Tensor:
    """A loss of 0 that all of the output is part of."""
    return torch.stack([tensor.nan_to_num().sum() * 0 for tensor in tensors_of(output)]).sum()


def _frozen_parameters(module: nn.Module, frozen: Mapping[str, int]) -> list[tuple[nn.Parameter, int]]:
    parameters = dict(module.named_parameters())
    for name in frozen:
        if name not in parameters:
            raise ParameterError("frozen", f"names of parameters of {type(module).__name__}", name)
    return [(parameters[name], steps) for name, steps in frozen.items()]


def _precision(name: str, device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    if name == "float32":
        return nullcontext
    if name == "float16" and device.type == "cpu":
        raise ParameterError("precision", "float32 or bfloat16 on a CPU", name)
    dtype = getattr(torch, name)
    return lambda: torch.autocast(device.type, dtype)
