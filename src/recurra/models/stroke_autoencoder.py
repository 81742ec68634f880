"""A variational autoencoder of drawings: a code for the whole, and the points that follow from it."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.data.drawings.stroke_batches import POINT_SIZE, Strokes
from recurra.layers import Recurrent
from recurra.models.stroke_decoder import StrokeDecoder

__all__ = ["Posterior", "StrokeAutoencoder", "interpolated"]

_NEARLY_PARALLEL = 1e-4


class Posterior(NamedTuple):
    """The normal densities of codes, without correlations.

    Attributes:
        mean: (B, Z).
        log_deviation: log standard deviations (B, Z).
    """

    mean: Tensor
    log_deviation: Tensor

    def divergence(self) -> Tensor:
        """The Kullback-Leibler divergence from the standard normal density (B,), in nats (Ha and Eck 2018, eq. 10).

        The paper divides it by Z; here it is the sum over the dimensions.
        """
        variance = (2 * self.log_deviation).exp()
        return (self.mean.square() + variance - 1 - 2 * self.log_deviation).sum(1) / 2


class StrokeAutoencoder(nn.Module):
    """A bidirectional encoder of drawings, and a decoder that reads the code at every point.

    The sequence-to-sequence variational autoencoder of Ha and Eck (2018, section 3.2), over any cell.

    Args:
        decoder: with a latent size.
        cell: the equations of the encoder.
        hidden_size: H of each direction of the encoder.
        recurrent_dropout: of the encoder, see `Recurrent`.
    """

    def __init__(self, decoder: StrokeDecoder, cell: Cell, hidden_size: int, recurrent_dropout: float = 0.0) -> None:
        super().__init__()
        self.decoder = decoder
        self.encoder = Recurrent(
            cell,
            POINT_SIZE,
            hidden_size,
            batch_first=True,
            bidirectional=True,
            recurrent_dropout=recurrent_dropout,
        )
        self.posterior = nn.Linear(self.encoder.output_size, 2 * decoder.latent_size)
        with torch.no_grad():
            # The first codes are nearly samples of the standard normal density.
            self.posterior.weight *= 0.1
            self.posterior.bias.zero_()

    @property
    def latent_size(self) -> int:
        """Z, the numbers of a code."""
        return self.decoder.latent_size

    def encode(self, batch: Strokes) -> Posterior:
        """The densities of the codes of drawings."""
        _, state = self.encoder(batch.points, lengths=batch.lengths)
        output = state[0] if isinstance(state, tuple) else state
        mean, log_variance = self.posterior(torch.cat(list(output), dim=1)).chunk(2, dim=1)
        return Posterior(mean, log_variance / 2)

    def forward(self, batch: Strokes) -> tuple[tuple[Tensor, Posterior], Any]:
        """Read drawings, and write them again.

        Args:
            batch: the drawings; the codes are their means if it has no noise.

        Returns:
            Raw outputs (B, T, 6 M + 3) after each point, and the densities of the codes; and the final state.
        """
        posterior = self.encode(batch)
        code = posterior.mean
        if batch.noise is not None:
            code = code + posterior.log_deviation.exp() * batch.noise
        raw, state = self.decoder(batch, latent=code)
        return (raw, posterior), state


def interpolated(first: Tensor, last: Tensor, fraction: float) -> Tensor:
    """The code (Z,) at a fraction of the way from one to another, on the great circle (White 2016, section 2.1)."""
    cosine = float((first @ last) / (first.norm() * last.norm()).clamp(min=1e-12))
    angle = math.acos(min(1.0, max(-1.0, cosine)))
    if math.sin(angle) < _NEARLY_PARALLEL:
        return torch.lerp(first, last, fraction)
    return (math.sin((1 - fraction) * angle) * first + math.sin(fraction * angle) * last) / math.sin(angle)
