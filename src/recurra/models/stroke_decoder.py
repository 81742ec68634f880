"""Many-to-many over the points of a drawing: at each point the density of the next."""

from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.data.batches.ignored import is_ignored
from recurra.data.drawings.stroke_batches import ENDED, POINT_SIZE, NextPoints, Strokes
from recurra.errors import ParameterError
from recurra.layers import Architecture, Recurrent, trunk
from recurra.models.first_state import FirstState
from recurra.models.pen_mixture import PenMixture, mixture_size, pen_mixture
from recurra.shapes import check_positive

__all__ = ["StrokeDecoder", "point_surprise"]


class StrokeDecoder(nn.Module):
    """Recurrent layers that read the points of a drawing, and the density of each next point.

    The unconditional decoder of Ha and Eck (2018, section 3.2), after Graves (2013, section 4), over any cell. With
    several classes, an embedding of the class is part of every input.

    Args:
        cell: the equations of recurrent layers, or the architecture of a stack.
        hidden_size: H.
        num_layers: L.
        mixtures: M, components of the density.
        classes: K; below 2 the class is not read.
        class_size: features of a class.
        dropout: probability, on the output of every recurrent layer, the last included, while training.
        recurrent_dropout: see `Recurrent`.
        latent_size: Z, numbers of a code that is part of every input, and from which the state before the first point
            is computed; 0: there is no code, and the state is zeros. With an architecture it is 0.
        smallest_deviation: see `pen_mixture`.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(
        self,
        cell: Cell | Architecture,
        hidden_size: int,
        num_layers: int = 1,
        mixtures: int = 20,
        *,
        classes: int = 1,
        class_size: int = 16,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        latent_size: int = 0,
        smallest_deviation: float = 1e-3,
    ) -> None:
        super().__init__()
        check_positive("mixtures", mixtures)
        if not smallest_deviation > 0:
            raise ParameterError("smallest_deviation", "a number above 0", smallest_deviation)
        self.smallest_deviation = smallest_deviation
        self.classes = nn.Embedding(classes, class_size) if classes > 1 else None
        self.recurrent = trunk(
            cell,
            POINT_SIZE + (class_size if classes > 1 else 0) + latent_size,
            hidden_size,
            num_layers,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
        )
        self.latent_size = latent_size
        self.initial = None
        if latent_size:
            if not isinstance(self.recurrent, Recurrent):
                expected = "0 with an architecture, whose first state is not computed of a code"
                raise ParameterError("latent_size", expected, latent_size)
            self.initial = FirstState(latent_size, self.recurrent)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(self.recurrent.output_size, mixture_size(mixtures))

    def forward(self, batch: Strokes, state: Any = None, latent: Tensor | None = None) -> tuple[Tensor, Any]:
        """Read drawings.

        Args:
            batch: the drawings.
            state: after the points before, as this returned it; None for none.
            latent: codes (B, Z), of a decoder that has a latent size.

        Returns:
            Raw outputs (B, T, 6 M + 3) after each point, which `density` reads, and the final state.
        """
        inputs = batch.points
        if self.classes is not None:
            label = self.classes(batch.labels).unsqueeze(1)
            inputs = torch.cat([inputs, label.expand(-1, inputs.shape[1], -1)], dim=2)
        if self.initial is not None:
            if latent is None:
                raise ParameterError("latent", f"codes (B, {self.latent_size})", None)
            inputs = torch.cat([inputs, latent.unsqueeze(1).expand(-1, inputs.shape[1], -1)], dim=2)
            state = self.initial(latent) if state is None else state
        output, state = self.recurrent(inputs, state, lengths=batch.lengths)
        return self.output(self.dropout(output)), state

    def density(self, raw: Tensor) -> PenMixture:
        """The density that raw outputs (..., 6 M + 3) stand for."""
        return pen_mixture(raw, self.smallest_deviation)

    def surprise(self, raw: Tensor, target: NextPoints) -> tuple[Tensor, Tensor]:
        """How surprising the next points are, -log p in nats.

        Args:
            raw: raw outputs (B, T, 6 M + 3).
            target: what comes after each point.

        Returns:
            That of the offsets and of the pen (B, T) each: 0 in the padding, and of an offset if there is none.
        """
        return point_surprise(self.density(raw), target)


def point_surprise(density: PenMixture, target: NextPoints) -> tuple[Tensor, Tensor]:
    """How surprising next points are to densities of (B, T); see `StrokeDecoder.surprise`."""
    is_step = ~is_ignored(target.pen)
    pen = -density.log_probability(target.pen.clamp(min=0))
    offset = -density.log_density(target.offset)
    return offset.masked_fill(~is_step | (target.pen == ENDED), 0.0), pen.masked_fill(~is_step, 0.0)
