"""Scores of labels at every step."""

import numpy as np
import pytest
import torch

from recurra.cells import find_cell
from recurra.errors import ParameterError, ShapeError
from recurra.models import StepClassifier
from recurra.streaming import Stepper
from recurra.training.outputs import step_outputs_of


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_sequence_among_others_has_the_scores_that_it_has_alone(bidirectional: bool) -> None:
    torch.manual_seed(0)
    network = StepClassifier(find_cell("gru"), 3, 5, 4, 2, bidirectional, dropout=0.3, input_dropout=0.2).eval()
    x, lengths = torch.randn(3, 7, 3), torch.tensor([7, 1, 4])
    scores, _ = network(x, lengths)
    assert scores.shape == (3, 7, 4)
    for row, length in enumerate(lengths.tolist()):
        alone, _ = network(x[row : row + 1, :length])
        torch.testing.assert_close(scores[row, :length], alone[0], atol=1e-5, rtol=1e-5)
    if not bidirectional:
        steps, _ = Stepper(network)(x[0].numpy()[:, None])
        torch.testing.assert_close(torch.from_numpy(steps[:, 0]), scores[0].detach(), atol=1e-5, rtol=1e-5)


def test_outputs_by_step_are_in_the_order_of_the_sequences() -> None:
    class Encoded:
        lengths = torch.tensor([2, 5, 1, 4]).numpy()

        def batch(self, indices: np.ndarray) -> torch.Tensor:
            rows = [torch.arange(5.0).unsqueeze(1) + 10 * float(row) for row in indices]
            return torch.stack(rows)[:, : int(self.lengths[indices].max())]

    each = step_outputs_of(_Same(), Encoded(), torch.device("cpu"))
    assert [one[:, 0].tolist() for one in each] == [[0, 1], [10, 11, 12, 13, 14], [20], [30, 31, 32, 33]]


class _Same(torch.nn.Module):
    def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, None]:
        return batch, None


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ParameterError, match="dropout"):
        StepClassifier(find_cell("gru"), 3, 5, 4, dropout=2)
    with pytest.raises(ShapeError, match="inputs"):
        StepClassifier(find_cell("gru"), 3, 5, 4)(torch.zeros(2, 3, 4))
