"""A recurrent autoencoder of windows: what it cannot write again from a short code is unlike what it was trained on."""

from typing import Any

from torch import Tensor, nn

from recurra.cells import Cell
from recurra.layers import Architecture, trunk

__all__ = ["SequenceAutoencoder", "patch_length", "trailing_windows"]

_LONGEST = 32  # steps of the recurrent layers


def patch_length(window: int) -> int:
    """The rows that the recurrent layers read as one step, so that a window of so many rows is at most 32 steps."""
    return -(-window // _LONGEST)


class SequenceAutoencoder(nn.Module):
    """Two recurrent networks with a bottleneck between them (EncDec-AD, Malhotra et al. 2016).

    The first reads a window, and its last output becomes a code; the second writes the window from the code, the last
    row first. Rows are read and written a patch at a time: a window of hundreds of rows would be too long to learn to
    write. The code is shorter than the paper's, which is the whole state: with a long one, anomalies are written again
    as well.

    Args:
        cell: the equations of the recurrent layers of both, or the architecture of two stacks.
        input_size: I, features of a row.
        channels: C that are written, the first of the features.
        window: W, rows.
        hidden_size: H.
        num_layers: L, of each.
        code_size: K.
        dropout: probability, on the output of each layer but the last, while training.
    """

    def __init__(
        self,
        cell: Cell | Architecture,
        input_size: int,
        channels: int,
        window: int,
        *,
        hidden_size: int,
        num_layers: int,
        code_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.window, self.channels, self.patch = window, channels, patch_length(window)
        self.steps = -(-window // self.patch)
        sizes = {"hidden_size": hidden_size, "num_layers": num_layers, "dropout": dropout}
        self.recurrent = trunk(cell, self.patch * input_size, **sizes)
        self.code = nn.Linear(self.recurrent.output_size, code_size)
        self.decoder = trunk(cell, code_size, **sizes)
        self.output = nn.Linear(self.decoder.output_size, self.patch * channels)

    def forward(self, windows: Tensor) -> tuple[Tensor, Any]:
        """Write windows (B, W, I) again.

        Returns:
            What the code says of them (B, W, C), and the code (B, K).
        """
        # The first patch may be filled up with zeros: the last row is the one that is judged.
        ahead = self.steps * self.patch - self.window
        patches = nn.functional.pad(windows, (0, 0, ahead, 0)).unflatten(1, (self.steps, self.patch)).flatten(2)
        code = self.code(self.recurrent(patches)[0][:, -1])
        written = self.output(self.decoder(code.unsqueeze(1).expand(-1, self.steps, -1))[0]).flip(1)
        return written.unflatten(2, (self.patch, self.channels)).flatten(1, 2)[:, ahead:], code


def trailing_windows(rows: Tensor, window: int) -> Tensor:
    """A view of the windows of rows (T, I): (T - W + 1, W, I), the last of which ends with the last row."""
    return rows.unfold(0, window, 1).transpose(1, 2)
