"""Encoder-decoder: one sequence read, another written, joined by the state."""

from typing import Any

from torch import Tensor, nn

from recurra.cells import Cell
from recurra.layers import Architecture, trunk
from recurra.layers.stack import check_hands_over
from recurra.shapes import check_positive

__all__ = ["EncoderDecoder"]


class EncoderDecoder(nn.Module):
    """Two recurrent networks; the decoder starts from the encoder's final state (Sutskever et al. 2014).

    Both have the same cell, layers and size, so that every layer hands its whole state over; of stacks, every block
    does.

    Args:
        cell: the equations of recurrent layers, or the architecture of two stacks.
        encoder_size: features of the encoder's input, I.
        decoder_size: features of the decoder's input, J.
        hidden_size: H.
        num_layers: L, of each.
        dropout: between layers, while training.

    Raises:
        ParameterError: for a parameter out of its range; for an architecture whose state depends on the features that
            it reads, if encoder and decoder read different numbers.
    """

    def __init__(
        self,
        cell: Cell | Architecture,
        encoder_size: int,
        decoder_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive("encoder_size", encoder_size)
        check_positive("decoder_size", decoder_size)
        self.encoder = trunk(cell, encoder_size, hidden_size, num_layers, dropout=dropout)
        self.decoder = trunk(cell, decoder_size, hidden_size, num_layers, dropout=dropout)
        check_hands_over(self.encoder, self.decoder)

    def forward(
        self, encoder_input: Tensor, decoder_input: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Encode, then decode.

        Args:
            encoder_input: (B, S, I).
            decoder_input: (B, T, J).
            lengths: true lengths (B,) of the encoder's input.

        Returns:
            The decoder's output (B, T, H), and its final state.
        """
        _, state = self.encoder(encoder_input, lengths=lengths)
        return self.decoder(decoder_input, state)
