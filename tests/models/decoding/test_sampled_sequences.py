import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from recurra.models.decoding import SampledSequences, SelfCriticalLoss, SelfCriticalOutput, sample_sequences

END = 0


def made(logits: Tensor) -> Any:
    """A step whose next token depends on the last one alone: rows of `logits` (V, V)."""

    def step(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        return logits.log_softmax(1)[tokens], state

    return step


def test_samples_have_the_probabilities_of_the_steps() -> None:
    torch.manual_seed(0)
    logits = torch.randn(4, 4)
    logits[:, 3] = -math.inf  # what is never written shares its probability among the others
    begin = torch.full((4000,), 3)
    sampled = sample_sequences(made(logits), None, begin, END, 3)
    table = logits.softmax(1)
    assert ((sampled.tokens == 3).sum(), (sampled.tokens[:, 0] == -1).sum()) == (0, 0)
    for row in range(20):
        tokens = [token for token in sampled.tokens[row].tolist() if token >= 0]
        chain = [3, *tokens]
        expected = math.prod(table[before, after].item() for before, after in zip(chain, tokens, strict=False))
        assert sampled.log_prob[row].exp().item() == pytest.approx(expected, rel=1e-4)
        assert len(tokens) == 3 or tokens[-1] == END
    for one in ([END], [1, END], [2, 1, 1]):
        chain = [3, *one]
        expected = math.prod(table[before, after].item() for before, after in zip(chain, one, strict=False))
        count = sum(row == one for row in ([t for t in own if t >= 0] for own in sampled.tokens.tolist()))
        assert count / 4000 == pytest.approx(expected, abs=0.03)


def reward(tokens: Sequence[int], wanted: int) -> float:
    return tokens.count(wanted) / 4


def test_the_gradient_is_the_advantage_times_that_of_the_log_probability() -> None:
    log_prob = torch.tensor([-1.0, -2.0], requires_grad=True)
    tokens = torch.tensor([[2, 2, END], [1, END, -1]])
    greedy = torch.tensor([[2, END], [1, END]])
    output = SelfCriticalOutput(SampledSequences(tokens, log_prob), greedy)
    loss = SelfCriticalLoss(reward)(output, [2, 2])
    assert loss.item() == pytest.approx(1 - (2 / 4 + 0) / 2)
    loss.backward()
    assert log_prob.grad is not None
    # Of the first sequence the reward is better than that of the greedy one, which is raised; of the second equal.
    assert log_prob.grad.tolist() == pytest.approx([-(2 / 4 - 1 / 4) / 2, 0])


def test_the_reward_rises() -> None:
    torch.manual_seed(1)
    logits = torch.zeros(4, 4, requires_grad=True)
    begin, loss = torch.full((64,), 3), SelfCriticalLoss(reward)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    values = []
    for _ in range(60):
        sampled = sample_sequences(made(logits), None, begin, END, 4)
        greedy = sample_sequences(made(1e3 * logits.detach()), None, begin, END, 4).tokens
        value = loss(SelfCriticalOutput(sampled, greedy), [2] * 64)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert sum(values[-5:]) / 5 < 0.3 < 0.7 < values[0]
