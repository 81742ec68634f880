import math
from typing import Any

import pytest
import torch
from torch import Tensor

from recurra.errors import ParameterError
from recurra.models.decoding import scheduled_inputs

END = 3


def counting(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
    """The next token is the last one plus one; the end, which would be likelier, must not be sampled."""
    log_probs = torch.full((len(tokens), 12), -math.inf)
    log_probs[:, END] = -0.1
    log_probs[torch.arange(len(tokens)), tokens + 1] = -2.0
    return log_probs, state


def test_tokens_are_sampled_after_the_sampled_ones_before_them() -> None:
    inputs = torch.tensor([[4, 9, 9, 9], [5, 9, 0, 0]])
    lengths = torch.tensor([4, 2])
    mixed = scheduled_inputs(counting, None, inputs, END, 0.0, lengths)
    assert mixed.tolist() == [[4, 5, 6, 7], [5, 6, 0, 0]]
    assert scheduled_inputs(counting, None, inputs, END, 1.0, lengths) is not inputs
    assert scheduled_inputs(counting, None, inputs, END, 1.0, lengths).tolist() == inputs.tolist()


def test_the_ratio_is_the_fraction_that_stays_and_the_seed_chooses_which() -> None:
    def uniform(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        return torch.zeros(len(tokens), 5).log_softmax(1), state

    inputs = torch.full((500, 9), 7)
    results = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        results.append(scheduled_inputs(uniform, None, inputs, END, 0.7))
    assert (results[0][:, 1:] == 7).float().mean() == pytest.approx(0.7, abs=0.03)
    assert (results[0][:, 0] == 7).all()
    assert not (results[0] == END).any()
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    with pytest.raises(ParameterError, match="teacher_forcing_ratio"):
        scheduled_inputs(uniform, None, inputs, END, 1.5)
