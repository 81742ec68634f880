"""Gradual pruning of recurrent weights by blocks, which the engine then skips."""

import logging
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.errors import ParameterError
from recurra.kernels import BLOCK
from recurra.layers import Recurrent, RecurrentCell
from recurra.training.checkpoint import Checkpoint
from recurra.training.settings import TrainingSettings

__all__ = ["BlockPruning", "block_sparsity", "scheduled_sparsity"]

_log = logging.getLogger("recurra.training")

_NAMES = {
    "both": ("weight_ih", "weight_hh"),
    "input": ("weight_ih",),
    "recurrent": ("weight_hh",),
}
_LAYERS = (Recurrent, RecurrentCell, nn.RNNBase, nn.RNNCellBase)


def scheduled_sparsity(settings: TrainingSettings, step: int) -> float:
    """The fraction of blocks that are zero after a step: s_t of Zhu and Gupta (2017), equation 1.

    s_t = s_f + (s_i - s_f) (1 - (t - t0) / (n dt))^3 at t = t0, t0 + dt, ..., t0 + n dt; in between it does not change.
    s_i is `initial_sparsity`, s_f `sparsity`, dt `pruning_every`; t0 and t0 + n dt are the fractions `pruning_begin`
    and `pruning_end` of `max_steps`. Before t0 it is 0, and after t0 + n dt it is s_f.
    """
    begin, end = _first_step(settings), _last_step(settings)
    if step < begin:
        return 0.0
    if step >= end:
        return settings.sparsity
    at = (step - begin) // settings.pruning_every * settings.pruning_every / (end - begin)
    return settings.sparsity + (settings.initial_sparsity - settings.sparsity) * (1 - at) ** 3


def block_sparsity(module: nn.Module) -> dict[str, float]:
    """The fraction of blocks that are zero, by full name, of each weight of recurrent layers that can be pruned."""
    return {
        name: float((_magnitudes(weight.detach(), hidden, "max") == 0).double().mean())
        for name, weight, hidden in _recurrent_weights(module, "both")
    }


class BlockPruning:
    """Sets ever more blocks of the weights of recurrent layers to zero, and holds them there.

    A weight is cut into blocks of 16 rows, which are units of one gate, by 16 columns (block pruning, Narang et al.
    2017). Where `scheduled_sparsity` rises, the blocks whose mean or largest magnitude is the smallest become zero, in
    each weight the same fraction of them. They stay zero to the end, and so do their gradients: neither clipping nor
    the optimiser's running means see them.

    Weights of fewer than 16 columns, and those of layers with fewer than 16 units, are left as they are.

    Args:
        module: whose recurrent layers are pruned: `Recurrent`, `RecurrentCell`, and those of torch.nn.
        settings: of the training; with `sparsity` 0 nothing is pruned.

    Raises:
        ParameterError: there is a sparsity, and the module has no weight to prune.
    """

    def __init__(self, module: nn.Module, settings: TrainingSettings) -> None:
        self._settings = settings
        self._weights = {
            name: (weight, hidden)
            for name, weight, hidden in _recurrent_weights(module, settings.pruned_weights)
            if settings.sparsity and weight.requires_grad
        }
        if settings.sparsity and not self._weights:
            expected = f"0 with a module without a recurrent layer whose weights have blocks of {BLOCK} by {BLOCK}"
            raise ParameterError("sparsity", expected, settings.sparsity)
        self._masks = {
            name: torch.zeros(_blocks(weight, hidden), dtype=torch.bool, device=weight.device)
            for name, (weight, hidden) in self._weights.items()
        }
        self._pruned: dict[str, Tensor] = {}
        self._expand()

    @property
    def last_step(self) -> int:
        """The step after which the sparsity is final; 0 if nothing is pruned."""
        return _last_step(self._settings) if self._weights else 0

    @torch.no_grad()
    def zero_gradients(self) -> None:
        """Set the gradients of pruned weights to zero, before clipping."""
        for name, (weight, _) in self._weights.items():
            if weight.grad is not None:
                weight.grad.masked_fill_(self._pruned[name], 0)

    @torch.no_grad()
    def prune(self, step: int) -> None:
        """Choose more blocks if the step asks for it, and set all that were chosen to zero; after the optimiser."""
        if not self._weights:
            return
        sparsity = scheduled_sparsity(self._settings, step)
        for name, (weight, hidden) in self._weights.items():
            mask = self._masks[name]
            count = round(sparsity * mask.numel())
            if count > int(mask.sum()):
                # Blocks that are zero already have the smallest magnitude: they stay among those chosen.
                order = _magnitudes(weight, hidden, self._settings.pruning_by).flatten().argsort(stable=True)
                chosen = torch.zeros_like(order, dtype=torch.bool).index_fill_(0, order[:count], True)
                self._masks[name] = mask | chosen.view(mask.shape)
                self._expand(name)
            weight.masked_fill_(self._pruned[name], 0)
        if step == self.last_step:
            _log.info("step %d: %g %% of the blocks of recurrent layers are zero", step, 100 * sparsity)

    @torch.no_grad()
    def zero(self, module: nn.Module) -> None:
        """Set the pruned weights to zero in a copy of the module, such as the average over the steps."""
        for name, pruned in self._pruned.items():
            module.get_parameter(name).masked_fill_(pruned, 0)

    def save(self, checkpoint: Checkpoint) -> None:
        """Put the masks into a checkpoint."""
        checkpoint.add_group("pruning", self._masks)

    def load(self, checkpoint: Checkpoint) -> None:
        """Continue with the masks of a checkpoint. Raises ValueError if they are of other weights."""
        masks = checkpoint.group("pruning")
        shapes = {name: mask.shape for name, mask in masks.items()}
        if shapes != {name: mask.shape for name, mask in self._masks.items()}:
            raise ValueError(f"masks of {', '.join(masks) or 'no weight'}")
        self._masks = {name: mask.to(self._masks[name].device) for name, mask in masks.items()}
        self._expand()

    def _expand(self, *names: str) -> None:
        """Compute which single weights are pruned, of some parameters or of all."""
        for name in names or self._masks:
            weight, hidden = self._weights[name]
            rows = self._masks[name].repeat_interleave(BLOCK, 1)[:, :hidden]
            self._pruned[name] = rows.repeat_interleave(BLOCK, 2)[:, :, : weight.shape[1]].reshape(weight.shape)


def _first_step(settings: TrainingSettings) -> int:
    return round(settings.pruning_begin * settings.max_steps)


def _last_step(settings: TrainingSettings) -> int:
    return max(1, round(settings.pruning_end * settings.max_steps))


def _recurrent_weights(module: nn.Module, which: str) -> Iterator[tuple[str, nn.Parameter, int]]:
    """Full name and weight of what can be pruned, and the rows of a gate; all rows if gates have sizes of their own."""
    for prefix, part in module.named_modules():
        if not isinstance(part, _LAYERS) or part.hidden_size < BLOCK:
            continue
        for name, weight in part.named_parameters(recurse=False):
            if name.startswith(_NAMES[which]) and min(weight.shape) >= BLOCK:
                rows = len(weight) if len(weight) % part.hidden_size else part.hidden_size
                yield f"{prefix}.{name}" if prefix else name, weight, rows


def _blocks(weight: Tensor, hidden: int) -> tuple[int, int, int]:
    """How many blocks a weight has: gates, blocks of the units of a gate, blocks of columns."""
    rows, columns = weight.shape
    return rows // hidden, -(-hidden // BLOCK), -(-columns // BLOCK)


def _magnitudes(weight: Tensor, hidden: int, by: str) -> Tensor:
    """The mean or the largest magnitude of each block, in the shape of `_blocks`; the last may be smaller ones."""
    gates, tall, wide = _blocks(weight, hidden)
    columns = weight.shape[1]
    padding = (0, wide * BLOCK - columns, 0, tall * BLOCK - hidden)
    blocks = functional.pad(weight.abs().view(gates, hidden, columns), padding).view(gates, tall, BLOCK, wide, BLOCK)
    if by == "max":
        return blocks.amax((2, 4))
    counts = functional.pad(weight.new_ones(1, hidden, columns), padding).view(1, tall, BLOCK, wide, BLOCK).sum((2, 4))
    return blocks.sum((2, 4)) / counts
