"""A recurrent transducer over the steps of a recording: the recogniser of CTC, a prediction network and a joiner."""

from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.layers import Architecture, trunk
from recurra.models.acoustic.recognizer import CTCRecognizer, Frames, Scores
from recurra.shapes import check_lengths, check_positive

__all__ = ["TransducerRecognizer"]


class TransducerRecognizer(CTCRecognizer):
    """The recogniser of CTC as the encoder of a recurrent transducer (Graves 2012).

    A prediction network, one recurrent layer of the same cell or one stack of the same blocks, reads the units written
    so far. The joiner adds what a linear layer makes of a step and of the prediction, takes the hyperbolic tangent, and
    scores the units (Graves et al. 2013). The scores of CTC stay: they guide the training of the encoder, and align
    known texts.

    It has the methods of `recurra.models.decoding.Transducer`; rows of a state are in dimension 1.

    Args:
        cell: the equations of recurrent layers, or the architecture of stacks.
        input_size: F, bins of a frame.
        num_units: V, with the blank.
        prediction_size: units of the prediction network, and of the embedding that it reads.
        joiner_size: J.
        options: of `CTCRecognizer`.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(
        self,
        cell: Cell | Architecture,
        input_size: int,
        num_units: int,
        *,
        prediction_size: int = 128,
        joiner_size: int = 256,
        **options: Any,
    ) -> None:
        super().__init__(cell, input_size, num_units, **options)
        check_positive("prediction_size", prediction_size)
        check_positive("joiner_size", joiner_size)
        self.embedding = nn.Embedding(num_units, prediction_size)
        self.prediction = trunk(cell, prediction_size, prediction_size)
        self.of_frames = nn.Linear(self.scores.in_features, joiner_size)
        # The bias of the other layer serves both.
        self.of_predictions = nn.Linear(self.prediction.output_size, joiner_size, bias=False)
        self.joiner = nn.Linear(joiner_size, num_units)

    def forward(self, frames: Frames | tuple[Tensor, ...]) -> tuple[Scores, None]:
        """The scores of CTC, and what the joiner reads; and no state, as recordings are read whole.

        Raises:
            ShapeError: if a shape or length does not fit.
        """
        features, lengths, units = frames if isinstance(frames, Frames) else Frames(*frames)
        steps, lengths = self.encode(features, check_lengths(lengths, features.shape[0], features.shape[1]))
        predictions = None
        if units is not None:
            # The blank stands before the first unit.
            outputs, _ = self.prediction(self.embedding(nn.functional.pad(units, (1, 0))))
            predictions = self.of_predictions(self.dropout(outputs))
        return Scores(self.scores(steps), lengths, self.of_frames(steps), predictions), None

    def predict(self, labels: Tensor, state: Any) -> tuple[Tensor, Any]:
        """A step of the prediction network; see `recurra.models.decoding.Transducer`."""
        output, state = self.prediction(self.embedding(labels).unsqueeze(1), state)
        return self.of_predictions(output.squeeze(1)), state

    def join(self, frames: Tensor, outputs: Tensor) -> Tensor:
        """The log-probabilities (N, V) of frames (N, J) after predictions (N, J)."""
        return self.joint_logits(frames, outputs).log_softmax(-1)

    def joint_logits(self, frames: Tensor, predictions: Tensor) -> Tensor:
        """The logits (..., V) of frames and predictions (..., J), which are broadcast."""
        return self.joiner(torch.tanh(frames + predictions))
