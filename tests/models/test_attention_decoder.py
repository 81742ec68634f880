from typing import Any

import pytest
import torch
from torch import Tensor

from recurra import cells
from recurra.errors import ParameterError, ShapeError
from recurra.layers import Recurrent
from recurra.models import AdditiveAttention, AttentionDecoder, Bridge, DecoderState, GeneralAttention, select_rows

J, H, M, A = 3, 4, 6, 5
CASES = [
    (cells.LSTM(), True, False, 1),
    (cells.LSTM(), False, False, 2),
    (cells.GRU(), True, True, 2),
    (cells.GRU(), False, True, 1),
]
cases = pytest.mark.parametrize(("cell", "input_feeding", "coverage", "num_layers"), CASES)


def make(cell: Any, input_feeding: bool, coverage: bool, num_layers: int) -> AttentionDecoder:
    attention = AdditiveAttention(H, M, coverage=coverage)
    return AttentionDecoder(cell, J, H, attention, num_layers, A, input_feeding).double()


def inputs(batch: int = 3, steps: int = 4) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, steps, J).double(), torch.randn(batch, 5, M).double()


@cases
def test_a_sequence_is_its_steps(cell: Any, input_feeding: bool, coverage: bool, num_layers: int):
    decoder = make(cell, input_feeding, coverage, num_layers)
    x, raw = inputs()
    memory = decoder.attention.prepare(raw, [5, 2, 1])
    whole, last = decoder(x, memory)
    state, found = None, []
    for t in range(x.shape[1]):
        decoded, state = decoder(x[:, t : t + 1], memory, state)
        found.append(decoded)
    torch.testing.assert_close(torch.cat([one.hidden for one in found], 1), whole.hidden)
    torch.testing.assert_close(torch.cat([one.weights for one in found], 1), whole.weights)
    assert state is not None
    torch.testing.assert_close(state, last)
    assert whole.hidden.shape == (3, 4, A)
    assert whole.weights.shape == (3, 4, 5)


@cases
def test_a_batch_of_one_is_as_in_a_batch_of_many(cell: Any, input_feeding: bool, coverage: bool, num_layers: int):
    decoder = make(cell, input_feeding, coverage, num_layers)
    x, raw = inputs()
    lengths = [5, 2, 1]
    whole, last = decoder(x, decoder.attention.prepare(raw, lengths))
    for b, length in enumerate(lengths):
        one = torch.tensor([b])
        alone, state = decoder(x[one], decoder.attention.prepare(raw[one, :length], [length]))
        torch.testing.assert_close(alone.hidden, whole.hidden[one])
        torch.testing.assert_close(state.recurrent, last.select(one).recurrent)


def test_the_equations_with_input_feeding():
    decoder = make(cells.GRU(), True, False, 1)
    x, raw = inputs(batch=1, steps=2)
    memory = decoder.attention.prepare(raw)
    start = torch.randn(1, 1, H).double()
    feed, h = torch.zeros(1, A).double(), start
    for t in range(2):
        output, h = decoder.recurrent(torch.cat([x[:, t], feed], 1).unsqueeze(1), h)
        context = decoder.attention(output, memory).context
        feed = torch.tanh(decoder.combine.weight @ torch.cat([context[0, 0], output[0, 0]])).unsqueeze(0)
    found, state = decoder(x, memory, DecoderState(start))
    torch.testing.assert_close(found.hidden[:, -1], feed)
    torch.testing.assert_close(state.feed, feed)


@pytest.mark.parametrize("input_feeding", [False, True])
def test_gradients(input_feeding: bool):
    decoder = make(cells.GRU(), input_feeding, True, 1)
    x, raw = (part.requires_grad_() for part in inputs(2, 3))

    def run(x: Tensor, raw: Tensor) -> Tensor:
        return decoder(x, decoder.attention.prepare(raw, [5, 3]))[0].hidden

    assert torch.autograd.gradcheck(run, (x, raw))


def test_dropout_is_of_training_only():
    decoder = AttentionDecoder(cells.GRU(), J, H, GeneralAttention(H, M), dropout=0.5).double()
    x, raw = inputs()
    memory = decoder.attention.prepare(raw)
    assert (decoder(x, memory)[0].hidden == 0).any()
    decoder.eval()
    torch.testing.assert_close(decoder(x, memory)[0].hidden, decoder(x, memory)[0].hidden)


def test_wrong_parameters_are_named():
    with pytest.raises(ParameterError, match="query_size = 4"):
        AttentionDecoder(cells.LSTM(), J, H, GeneralAttention(H + 1, M))
    decoder = AttentionDecoder(cells.LSTM(), J, H, GeneralAttention(H, M))
    memory = decoder.attention.prepare(torch.zeros(1, 2, M))
    with pytest.raises(ShapeError, match="T at least 1"):
        decoder(torch.zeros(1, 0, J), memory)


def test_state_rows_are_selected_in_every_part():
    state = DecoderState((torch.arange(6.0).view(1, 3, 2),), torch.arange(3.0).view(3, 1), torch.arange(3.0).view(3, 1))
    found = select_rows(state, torch.tensor([2, 2]))
    assert found.recurrent[0].tolist() == [[[4, 5], [4, 5]]]
    assert found.feed.tolist() == found.coverage.tolist() == [[2], [2]]
    assert DecoderState().select(torch.tensor([0])) == DecoderState()


def test_a_dense_bridge_joins_directions_by_layer():
    encoder = Recurrent(cells.LSTM(), J, 3, 2, bidirectional=True, batch_first=True)
    decoder = Recurrent(cells.LSTM(), J, H, 3, batch_first=True)
    bridge = Bridge(encoder, decoder)
    _, (h, c) = encoder(torch.randn(2, 5, J))
    found_h, found_c = bridge((h, c))
    maps: Any = bridge.maps
    for layer, from_layer in enumerate((0, 1, 1)):
        joined = torch.cat([h[2 * from_layer], h[2 * from_layer + 1]], 1)
        torch.testing.assert_close(found_h[layer], maps["h"][layer](joined).tanh())
        joined = torch.cat([c[2 * from_layer], c[2 * from_layer + 1]], 1)
        torch.testing.assert_close(found_c[layer], maps["c"][layer](joined))
    decoder(torch.randn(2, 1, J), (found_h, found_c))


def test_bridges_that_copy_and_that_begin_anew():
    encoder = Recurrent(cells.GRU(), J, 2, 2, bidirectional=True)
    decoder = Recurrent(cells.GRU(), J, 4, 2)
    state = torch.randn(4, 3, 2)
    copied = Bridge(encoder, decoder, "copy")(state)
    torch.testing.assert_close(
        copied, torch.stack([torch.cat([state[0], state[1]], 1), torch.cat([state[2], state[3]], 1)])
    )
    assert (Bridge(encoder, decoder, "zeros")(state) == torch.zeros(2, 3, 4)).all()
    assert not list(Bridge(encoder, decoder, "zeros").parameters())


@pytest.mark.parametrize("name", sorted(cells.NAMES))
def test_bridges_between_all_cells(name: str):
    encoder = Recurrent(cells.GRU(), J, 2, bidirectional=True)
    decoder = Recurrent(cells.find_cell(name), J, 4, backend="reference")
    state = Bridge(encoder, decoder)(encoder(torch.randn(3, 2, J))[1])
    output, _ = decoder(torch.randn(1, 2, J), state)
    assert output.isfinite().all()


def test_wrong_bridges_are_refused():
    encoder, decoder = Recurrent(cells.GRU(), J, 2, bidirectional=True), Recurrent(cells.GRU(), J, 3)
    with pytest.raises(ParameterError, match="kind: expected one of dense, copy, zeros"):
        Bridge(encoder, decoder, "linear")
    with pytest.raises(ParameterError, match="kind='dense'"):
        Bridge(encoder, decoder, "copy")
    with pytest.raises(ParameterError, match="one direction"):
        Bridge(encoder, encoder)
