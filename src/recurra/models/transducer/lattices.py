"""The sum over all alignments of each utterance."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recurra.kernels.native import transducer
from recurra.models.transducer.nodes import Nodes, runs_in_engine

__all__ = ["losses", "reference_losses"]

_IMPOSSIBLE = -1e30  # in place of minus infinity, whose differences are not numbers


def losses(pairs: Tensor, nodes: Nodes) -> Tensor:
    """-log p of the labels of each utterance (B,) float64; infinite, with a zero gradient, if no alignment is possible.

    No frames emit no labels: they have the probability 1 if there are none, else 0.

    Args:
        pairs: log-probabilities of the blank and of the next label in each node (N, 2) float64; minus infinity for a
            label if no label is left.
        nodes: which nodes these are.
    """
    if runs_in_engine(pairs):
        return _Losses.apply(pairs.contiguous(), nodes.frames, nodes.counts)
    return reference_losses(pairs, nodes)


def reference_losses(pairs: Tensor, nodes: Nodes) -> Tensor:
    """What `losses` computes, in torch's operations: one step for each anti-diagonal t + u of all lattices."""
    batch, device = len(nodes.frames), pairs.device
    if not batch:
        return pairs.new_zeros(0)
    frames, counts = nodes.frames.to(device), nodes.counts.to(device)
    columns = int(counts.max()) + 1
    diagonals = int((frames + counts).max())
    positions = [
        (b * (diagonals + 1) + torch.arange(steps).unsqueeze(1) + torch.arange(count + 1)) * columns
        + torch.arange(count + 1)
        for b, (steps, count) in enumerate(zip(nodes.frames.tolist(), nodes.counts.tolist(), strict=True))
    ]
    skewed = pairs.new_full((batch * (diagonals + 1) * columns, 2), _IMPOSSIBLE)
    index = torch.cat([position.flatten() for position in positions]).to(device)
    skewed = skewed.index_copy(0, index, pairs.clamp(min=_IMPOSSIBLE)).view(batch, diagonals + 1, columns, 2)
    alpha = pairs.new_full((batch, columns), _IMPOSSIBLE)
    alpha[:, 0] = 0
    ends = [alpha]
    for diagonal in range(diagonals):
        blank, label = skewed[:, diagonal].unbind(2)
        moved = torch.nn.functional.pad((alpha + label)[:, :-1], (1, 0), value=_IMPOSSIBLE)
        alpha = torch.logaddexp(alpha + blank, moved)
        ends.append(alpha)
    # After T + U steps every label is emitted and every frame is passed.
    utterances = torch.arange(batch, device=device)
    result = -torch.stack(ends, 1)[utterances, frames + counts, counts]
    impossible = (result > -_IMPOSSIBLE / 2) | ((frames == 0) & (counts > 0))
    return result.masked_fill(impossible, torch.inf)


class _Losses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pairs: Tensor, frames: Tensor, counts: Tensor) -> Tensor:
        result, gradient = transducer.lattices(pairs, frames, counts, ctx.needs_input_grad[0])
        ctx.save_for_backward(gradient, frames * (counts + 1))
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        gradient, sizes = ctx.saved_tensors
        return gradient * gradients[0].repeat_interleave(sizes).unsqueeze(1), None, None
