"""A decoder that reads the target, or what it predicted itself."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import ParameterError, ShapeError
from recurra.layers import Recurrent
from recurra.shapes import check_positive, check_probability

__all__ = ["FeedbackDecoder"]


class FeedbackDecoder(nn.Module):
    """A recurrent decoder whose input at a step is the target before it, or its own prediction (Bengio et al. 2015).

    Steps that all sequences of a batch read from the target run as one sequence; with a ratio of 1 that is the
    whole. Dropout that samples one mask a sequence samples it again wherever a prediction is fed back.

    Args:
        decoder: in one direction, reads (B, T, J) or, without `batch_first`, (T, B, J).
        readout: from the decoder's output (B, T, H) the prediction (B, T, ...).
        feed: from the prediction of one step (B, ...) the next input (B, J): the embedding of its largest logit, or
            the value itself. Gradients flow through what it returns; detach it there to stop them.

    Raises:
        ParameterError: for a bidirectional decoder, which would read predictions not made yet.
    """

    def __init__(self, decoder: Recurrent, readout: nn.Module, feed: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        if decoder.bidirectional:
            raise ParameterError("decoder", "a Recurrent in one direction", "a bidirectional one")
        self.decoder = decoder
        self.readout = readout
        self.feed = feed

    def forward(
        self, inputs: Tensor, hx: Any = None, teacher_forcing_ratio: float = 1.0, steps: int | None = None
    ) -> tuple[Tensor, Any]:
        """Decode.

        Args:
            inputs: (B, S, J), what a step reads where it reads the target: the target of the step before, and at the
                first step, which has no prediction to read, what begins a sequence.
            hx: the initial state, as the decoder takes it.
            teacher_forcing_ratio: probability of reading `inputs`, sampled for each sequence and step (by torch's
                generator on the CPU); 1 for all, 0 for none but the first.
            steps: T, S or more, those after S on own predictions; None: S.

        Returns:
            The predictions (B, T, ...), and the decoder's final state.

        Raises:
            ParameterError: for a ratio out of range, or fewer steps than inputs.
            ShapeError: for inputs that are not (B, S, J), with S at least 1.
        """
        check_probability("teacher_forcing_ratio", teacher_forcing_ratio)
        if inputs.dim() != 3 or not inputs.shape[1]:
            raise ShapeError("inputs", "shape (B, S, J) with S at least 1", tuple(inputs.shape))
        num_inputs = inputs.shape[1]
        if steps is None:
            steps = num_inputs
        check_positive("steps", steps, at_least=num_inputs)
        forced = _draw(len(inputs), num_inputs, teacher_forcing_ratio)
        # Each of these begins a segment: the first step, and those at which a sequence reads its own prediction.
        mixed = (~forced[:, 1:].all(0)).nonzero().squeeze(1) + 1
        starts = [0, *mixed.tolist(), *range(num_inputs, steps)]
        predictions: list[Tensor] = []
        state = hx
        for start, end in zip(starts, [*starts[1:], steps], strict=True):
            segment = inputs[:, start:end]
            if start:
                fed = self.feed(predictions[-1][:, -1])
                if start < num_inputs:
                    fed = torch.where(forced[:, start : start + 1].to(fed.device), inputs[:, start], fed)
                segment = torch.cat([fed.unsqueeze(1), segment[:, 1:]], dim=1)
            output, state = self._decode(segment, state)
            predictions.append(self.readout(output))
        return torch.cat(predictions, dim=1), state

    def _decode(self, segment: Tensor, state: Any) -> tuple[Tensor, Any]:
        if self.decoder.batch_first:
            return self.decoder(segment, state)
        output, state = self.decoder(segment.transpose(0, 1), state)
        return output.transpose(0, 1), state


def _draw(batch: int, steps: int, ratio: float) -> Tensor:
    """Which sequences read the target at which steps: bool (B, S), on the CPU, where the segments are cut."""
    if ratio in (0, 1):
        return torch.full((batch, steps), bool(ratio))
    return torch.rand(batch, steps) < ratio
