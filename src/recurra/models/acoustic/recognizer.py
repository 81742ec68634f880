"""From frames to scores of units: convolutions, recurrent layers, a linear layer."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.cells import Cell
from recurra.errors import ParameterError
from recurra.layers import Architecture, VariationalDropout, trunk
from recurra.models.acoustic.look_ahead import LookAhead
from recurra.models.acoustic.subsampling import Subsampling
from recurra.shapes import check_lengths, check_positive, check_probability

__all__ = ["CTCRecognizer", "Frames", "Scores"]


class Frames(NamedTuple):
    """A batch of recordings.

    Attributes:
        features: (B, T, F).
        lengths: true lengths (B,), on the CPU.
        units: of the texts (B, U) int64, which a transducer reads in training; None: they are not known.
    """

    features: Tensor
    lengths: Tensor
    units: Tensor | None = None


class Scores(NamedTuple):
    """The scores of a batch of recordings.

    Attributes:
        logits: of the units, (B, S, V). Unit 0 is the blank.
        lengths: steps of each recording (B,), on the CPU.
        frames: what the joiner of a transducer reads of each step, (B, S, J); None: there is no joiner.
        predictions: what it reads after 0 to U units, (B, U + 1, J); None: the units are not known.
    """

    logits: Tensor
    lengths: Tensor
    frames: Tensor | None = None
    predictions: Tensor | None = None


class CTCRecognizer(nn.Module):
    """Convolutions that subsample, recurrent layers of any cell, and scores of units at each step (Graves et al. 2006).

    The layers read in both directions, or forward only; then the network streams, and a `LookAhead` after each layer
    lets it hear a few steps more before it answers. A layer normalisation of each step may follow each layer (Ba et al.
    2016): without it the outputs of a new stack hardly depend on its inputs, and CTC stays long on its first plateau.
    One dropout, with the same mask at every step (Gal and Ghahramani 2016), is on what the layers put out.

    Args:
        cell: the equations of recurrent layers, or an architecture; each layer is then a stack of its blocks.
        input_size: F, bins of a frame.
        num_units: V, with the blank.
        hidden_size: H, of each direction of a layer.
        num_layers: L.
        bidirectional: whether recordings are also read backward.
        look_ahead: steps that the whole network looks ahead, spread over the layers. With `bidirectional` 0.
        channels: of the convolutions.
        subsampling: frames of a step; see `Subsampling`.
        layer_norm: whether a layer normalisation follows each layer.
        dropout: probability, on the outputs of the layers.
        input_dropout: probability, on the output of the convolutions.
        weight_dropout: probability, on the recurrent weights; see `Recurrent`.

    Attributes:
        delay: steps by which the outputs of the layers come late, `look_ahead`. `forward` takes it out again.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(
        self,
        cell: Cell | Architecture,
        input_size: int,
        num_units: int,
        hidden_size: int = 256,
        num_layers: int = 3,
        bidirectional: bool = True,
        look_ahead: int = 0,
        *,
        channels: int = 32,
        subsampling: int = 4,
        layer_norm: bool = True,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        weight_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive("num_layers", num_layers)
        check_positive("num_units", num_units, at_least=2)
        check_positive("look_ahead", look_ahead, at_least=0)
        check_probability("dropout", dropout)
        check_probability("input_dropout", input_dropout)
        if bidirectional and look_ahead:
            raise ParameterError("look_ahead", "0 with bidirectional=True, which reads to the end", look_ahead)
        self.delay = look_ahead
        self.subsampling = Subsampling(input_size, channels, subsampling)
        self.input_dropout = VariationalDropout(input_dropout, batch_first=True)
        self.dropout = VariationalDropout(dropout, batch_first=True)
        self.layers, self.look_aheads, self.norms = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        size = self.subsampling.output_size
        for k in range(num_layers):
            layer = trunk(cell, size, hidden_size, bidirectional=bidirectional, weight_dropout=weight_dropout)
            size = layer.output_size
            # The first layers get one step more where the steps do not divide evenly.
            steps = look_ahead // num_layers + (k < look_ahead % num_layers)
            self.layers.append(layer)
            self.look_aheads.append(LookAhead(size, steps) if steps else nn.Identity())
            self.norms.append(nn.LayerNorm(size) if layer_norm else nn.Identity())
        self.scores = nn.Linear(size, num_units)

    def forward(self, frames: Frames | tuple[Tensor, ...]) -> tuple[Scores, None]:
        """The scores of the units at each step; and no state, as recordings are read whole.

        Raises:
            ShapeError: if a shape or length does not fit.
        """
        features, lengths, _ = frames if isinstance(frames, Frames) else Frames(*frames)
        steps, lengths = self.encode(features, check_lengths(lengths, features.shape[0], features.shape[1]))
        return Scores(self.scores(steps), lengths), None

    def encode(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What the last layer puts out (B, S, size), of features (B, T, F); and the lengths (B,)."""
        late = self.delay * self.subsampling.factor
        if late:
            # The layers run on over the steps by which they are late: these frames are silent.
            beyond = torch.arange(features.shape[1], device=features.device) >= lengths.to(features.device)[:, None]
            features = F.pad(features.masked_fill(beyond.unsqueeze(2), 0), (0, 0, 0, late))
        steps, whole = self.subsampling(features, lengths + late)
        steps = self.input_dropout(steps)
        for layer, look_ahead, norm in zip(self.layers, self.look_aheads, self.norms, strict=True):
            steps, _ = layer(steps, lengths=whole)
            steps = self.dropout(norm(look_ahead(steps)))
        return steps[:, self.delay :], whole - self.delay
