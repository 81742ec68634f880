"""Missing values filled by what was last observed, which decays with its age."""

import torch
from torch import Tensor, nn

from recurra.shapes import check_positive, check_shape

__all__ = ["InputDecay"]


class InputDecay(nn.Module):
    """Inputs with missing values as GRU-D reads them (Che et al. 2018, equations 2, 10 and 11).

    A missing value is x' exp(-max(0, w d + b)), with x' the channel's last observed value (0 before the first), d its
    age, and w and b of each channel. It decays toward 0: channels should have mean 0.

    Args:
        channels: C.

    Attributes:
        weight: w (C,); 1 at first.
        bias: b (C,); 0 at first.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        check_positive("channels", channels)
        self.channels = channels
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def extra_repr(self) -> str:
        return f"{self.channels}"

    def forward(self, values: Tensor, missing: Tensor, elapsed: Tensor) -> tuple[Tensor, Tensor]:
        """Fill what is missing.

        Args:
            values: (B, T, C); what is missing is not read, and must be finite.
            missing: (B, T, C), 1 for a missing value, else 0.
            elapsed: (B, T, 1), the times since the last step.

        Returns:
            Values and marks (B, T, 2 C), which a layer reads, and the age of each channel (B, T, C): the time since it
            was last observed before the step, or since the time before the first step. It is what `GRUD` reads as
            `elapsed`, with `elapsed_size` C.

        Raises:
            ShapeError: if a shape does not fit.
        """
        batch, steps, _ = values.shape
        check_shape("values", values, (batch, steps, self.channels), "(B, T, C)")
        check_shape("missing", missing, values.shape, "(B, T, C)")
        check_shape("elapsed", elapsed, (batch, steps, 1), "(B, T, 1)")
        absent = missing > 0.5
        # The indices of steps from 1 on; 0 is before the first.
        index = torch.arange(1, steps + 1, device=values.device).unsqueeze(1).expand_as(values)
        last = index.masked_fill(absent, 0).cummax(1).values
        before = nn.functional.pad(last[:, :-1], (0, 0, 1, 0))
        stamps = elapsed.cumsum(1).expand_as(values)
        ages = stamps - nn.functional.pad(stamps, (0, 0, 1, 0)).gather(1, before)
        observed = nn.functional.pad(values, (0, 0, 1, 0)).gather(1, last)
        decay = torch.exp(-torch.relu(self.weight * ages + self.bias))
        filled = torch.where(absent, observed * decay, values)
        return torch.cat([filled, absent.to(values.dtype)], 2), ages
