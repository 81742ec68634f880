"""The direct network: an encoder-decoder that forecasts the whole horizon at once."""

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.data.series.windows import Window, WindowShape
from recurra.layers import Architecture
from recurra.models import EncoderDecoder
from recurra.models.forecasting.category_embedding import CategoryEmbedding
from recurra.models.forecasting.features import direct_inputs, direct_sizes
from recurra.models.forecasting.normalization import Normalization
from recurra.models.forecasting.readout import Baseline, Readout

__all__ = ["DirectNetwork"]


class DirectNetwork(nn.Module):
    """An encoder reads the context; a decoder reads the lags of each step ahead, weighs them and corrects the sum.

    Args:
        cell: the equations of recurrent layers, or the architecture of stacks.
        shape: of the windows.
        example: any batch of windows, for the sizes of the inputs.
        cardinalities: categories by static category column.
        hidden_size: H.
        num_layers: L, of encoder and decoder each.
        dropout: on the outputs of the recurrent layers, while training.
        output_size: raw outputs a step.
    """

    def __init__(
        self,
        cell: Cell | Architecture,
        shape: WindowShape,
        example: Window,
        cardinalities: list[int],
        hidden_size: int,
        num_layers: int,
        dropout: float,
        output_size: int,
    ) -> None:
        super().__init__()
        self._shape = shape
        encoder_size, decoder_size, candidates = direct_sizes(direct_inputs(example, shape))
        self.embedding = CategoryEmbedding(cardinalities)
        extra = self.embedding.size
        self.recurrent = EncoderDecoder(
            cell, encoder_size + extra, decoder_size + extra, hidden_size, num_layers, dropout
        )
        self.baseline = Baseline(hidden_size, candidates)
        self.readout = Readout(hidden_size, output_size, dropout)

    def forward(self, window: Window) -> tuple[tuple[Tensor, Normalization], None]:
        """Raw outputs of each step of the horizon (B, T, size), the first centred on the baseline; and the units."""
        inputs = direct_inputs(window, self._shape).to(self.baseline.weights.weight.dtype)
        encoder = self.embedding.append(inputs.encoder, inputs.categories)
        decoder = self.embedding.append(inputs.decoder, inputs.categories)
        hidden, _ = self.recurrent(encoder, decoder)
        raw = self.readout(hidden)
        centre = raw[..., :1] + self.baseline(hidden, inputs.candidates, inputs.available).unsqueeze(2)
        return (torch.cat([centre, raw[..., 1:]], dim=2), inputs.units), None
