from typing import Any

import pytest
import torch

from covering import parametrize
from every_cell import KINDS
from recurra import cells
from recurra.errors import ParameterError, ShapeError
from recurra.layers import Recurrent
from recurra.models import AdditiveAttention, ContextDecoder, FirstState, doubly_stochastic_loss

J, H, M, Z = 3, 4, 6, 5


def make(cell: Any, num_layers: int = 1) -> tuple[ContextDecoder, FirstState]:
    decoder = ContextDecoder(cell, J, H, AdditiveAttention(H, M), num_layers)
    return decoder.double(), FirstState(Z, decoder.recurrent).double()


@parametrize({"cell": KINDS, "num_layers": [1, 2]})
def test_a_sequence_is_its_steps(cell: Any, num_layers: int) -> None:
    decoder, first = make(cell, num_layers)
    inputs, memory = torch.randn(3, 4, J).double(), decoder.attention.prepare(torch.randn(3, 5, M).double(), [5, 2, 1])
    begin = first(torch.randn(3, Z).double())
    whole, last = decoder(inputs, memory, begin)
    assert whole.hidden.shape == (3, 4, H)
    assert whole.context.shape == (3, 4, M)
    assert (whole.weights[1, :, 2:] == 0).all()
    state, hidden = begin, []
    for step in inputs.split(1, dim=1):
        output, state = decoder(step, memory, state)
        hidden.append(output.hidden)
    torch.testing.assert_close(torch.cat(hidden, 1), whole.hidden)
    torch.testing.assert_close(state, last)


def test_a_step_is_its_equations() -> None:
    decoder, _ = make(cells.GRU())
    x, h, values = torch.randn(2, 1, J).double(), torch.randn(1, 2, H).double(), torch.randn(2, 5, M).double()
    memory = decoder.attention.prepare(values)
    output, _ = decoder(x, memory, h)
    attention: Any = decoder.attention
    scores = attention.score(torch.tanh(attention.query(h[0])[:, None] + attention.key(values))).squeeze(2)
    weights = scores.softmax(1)
    beta = torch.sigmoid(decoder.gate(h[0]))
    context = beta * (weights[:, :, None] * values).sum(1)
    torch.testing.assert_close(output.weights[:, 0], weights)
    torch.testing.assert_close(output.context[:, 0], context)
    expected, _ = decoder.recurrent(torch.cat([x[:, 0], context], 1)[:, None], h)
    torch.testing.assert_close(output.hidden, expected)


def test_gradients() -> None:
    decoder, first = make(cells.LSTM())
    arguments = [torch.randn(2, *shape).double().requires_grad_() for shape in ((3, J), (4, M), (Z,))]

    def run(inputs: torch.Tensor, values: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        output, _ = decoder(inputs, decoder.attention.prepare(values, [4, 2]), first(vectors))
        return output.hidden.sum() + doubly_stochastic_loss(output.weights, torch.ones(2, 3, dtype=torch.bool))

    assert torch.autograd.gradcheck(run, arguments)


def test_the_first_state_computes_what_is_free() -> None:
    recurrent = Recurrent(cells.SLSTM(), 2, H, 2, batch_first=True)
    state = FirstState(Z, recurrent)(torch.randn(3, Z))
    by_name = dict(zip(recurrent.cell.state, state, strict=True))
    assert all(part.shape == (2, 3, H) for part in state)
    assert {name for name, part in by_name.items() if part.any()} == {recurrent.cell.state[0], "c"}
    assert max(part.abs().max() for part in state) <= 1
    recurrent(torch.randn(3, 1, 2), state)


def test_even_attention_costs_nothing() -> None:
    weights = torch.tensor([[[0.75, 0.25], [0.25, 0.75]], [[1.0, 0.0], [0.5, 0.5]]])
    counted = torch.tensor([[True, True], [True, False]])
    # The first sequence sums to (1, 1), the second to (1, 0).
    assert doubly_stochastic_loss(weights, counted).item() == pytest.approx(1 / 4)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ParameterError, match="query_size = 4"):
        ContextDecoder(cells.LSTM(), J, H, AdditiveAttention(H + 1, M))
    with pytest.raises(ParameterError, match="coverage"):
        ContextDecoder(cells.LSTM(), J, H, AdditiveAttention(H, M, coverage=True))
    decoder, first = make(cells.LSTM())
    memory = decoder.attention.prepare(torch.randn(2, 5, M).double())
    with pytest.raises(ShapeError, match="inputs"):
        decoder(torch.randn(2, 0, J).double(), memory, first(torch.randn(2, Z).double()))
