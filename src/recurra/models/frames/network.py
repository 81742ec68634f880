"""Many-to-many over frames: what sounds next, from all that sounded before."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from recurra.cells import Cell
from recurra.data.batches.ignored import is_ignored
from recurra.layers import Architecture, trunk
from recurra.models.frames.distributions import NADE, FrameDistribution, IndependentNotes
from recurra.shapes import check_probability

__all__ = ["FrameBiases", "FrameModel"]


class FrameModel(nn.Module):
    """Recurrent layers over frames of notes, and a distribution over the next frame.

    `forward` gives the features that the distribution reads; `loss` and `distribution` read them.

    Args:
        cell: the equations of recurrent layers, or the architecture of a stack.
        notes: N, of a frame.
        hidden_size: H.
        num_layers: L.
        nade_size: hidden units of a `NADE`; 0: the notes of a frame are independent.
        dropout: probability, on the output of every recurrent layer, the last included, while training.
        input_dropout: on the frames.
        recurrent_dropout: see `Recurrent`.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    def __init__(
        self,
        cell: Cell | Architecture,
        notes: int,
        hidden_size: int,
        num_layers: int = 1,
        nade_size: int = 0,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_probability("input_dropout", input_dropout)
        self.dropout, self.input_dropout = float(dropout), float(input_dropout)
        self.recurrent = trunk(
            cell,
            notes,
            hidden_size,
            num_layers,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
        )
        features = self.recurrent.output_size
        self.distribution: FrameDistribution = (
            NADE(features, notes, nade_size) if nade_size else IndependentNotes(features, notes)
        )

    def forward(self, frames: Tensor, state: Any = None, resets: Tensor | None = None) -> tuple[Tensor, Any]:
        """Read frames.

        Args:
            frames: (B, T, N) of 0 and 1, as floating-point numbers.
            state: the state after the step before, as this returned it; None for none.
            resets: bool (B, T), before which steps the state starts anew.

        Returns:
            Features (B, T, F) of the frames to come, and the state after the last step.
        """
        output, state = self.recurrent(dropout(frames, self.input_dropout, self.training), state, resets=resets)
        return dropout(output, self.dropout, self.training), state

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        """The mean surprise of frames (B, T, N) after features (B, T, F) in nats, 0-dim: summed over notes.

        Frames of NaN do not count.
        """
        counted = ~is_ignored(target[..., 0])
        if not counted.all():
            features, target = features[counted], target[counted]
        surprise = -self.distribution.log_probability(features.flatten(0, -2), target.flatten(0, -2))
        return surprise.float().sum() / max(surprise.numel(), 1)


class FrameBiases(nn.Module):
    """What a `FrameModel` computes of a frame to come before any of its notes is known.

    For independent notes it is their log-odds, (B, T, N). For a `NADE` it is its biases c of the notes and b of the
    hidden units, (B, T, N + hidden units).

    Args:
        model: whose weights are shared, but for those of a `NADE`, which are copied.
    """

    def __init__(self, model: FrameModel) -> None:
        super().__init__()
        self.recurrent, distribution = model.recurrent, model.distribution
        #: N, notes of a frame.
        self.input_size = distribution.notes
        self.biases = distribution.visible
        if isinstance(distribution, NADE):
            parts = (distribution.visible, distribution.hidden)
            size = sum(one.out_features for one in parts)
            self.biases = nn.Linear(self.biases.in_features, size, device=self.biases.weight.device)
            with torch.no_grad():
                self.biases.weight.copy_(torch.cat([one.weight for one in parts]))
                self.biases.bias.copy_(torch.cat([one.bias for one in parts]))

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The biases after each of the frames (B, T, N), of which `lengths` (B,) are valid."""
        features, _ = self.recurrent(frames, lengths=lengths)
        return self.biases(features)
