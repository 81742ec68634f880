"""Padded input with `lengths` is each sequence alone: nothing of the padding is read, nothing of it comes back."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

import recurra
from agreement import assert_agree, gradients
from every_cell import CELLS, KINDS_SERVED, SERVED
from recurra import Recurrent, cells
from recurra.cells import Cell


@dataclass(frozen=True)
class Ragged:
    """Sizes and lengths of one comparison."""

    steps: int
    lengths: tuple[int, ...]
    num_layers: int = 1
    bidirectional: bool = False
    batch_first: bool = False
    seed: int = 0


@st.composite
def ragged(draw: st.DrawFn) -> Ragged:
    steps = draw(st.integers(1, 6))
    length = st.one_of(st.sampled_from((0, 1, steps)), st.integers(0, steps))
    return Ragged(
        steps,
        tuple(draw(st.lists(length, min_size=1, max_size=5))),
        num_layers=draw(st.integers(1, 2)),
        bidirectional=draw(st.booleans()),
        batch_first=draw(st.booleans()),
        seed=draw(st.integers(0, 2**16)),
    )


def as_parts(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def as_state(parts: tuple[Tensor, ...]) -> Any:
    return parts[0] if len(parts) == 1 else parts


@pytest.mark.parametrize(("cell", "backend"), KINDS_SERVED, ids=str)
@settings(max_examples=20)
@example(case=Ragged(4, (0, 0)))
@example(case=Ragged(4, (4, 4), bidirectional=True))
@example(case=Ragged(3, (0, 1, 3, 2), num_layers=2, bidirectional=True))
@given(case=ragged())
def test_each_sequence_as_if_alone(cell: Cell, backend: str, case: Ragged) -> None:
    torch.manual_seed(case.seed)
    batch, input_size, hidden_size = len(case.lengths), 3, 4
    layer = Recurrent(
        cell,
        input_size,
        hidden_size,
        case.num_layers,
        bidirectional=case.bidirectional,
        batch_first=case.batch_first,
        backend=backend,
        dtype=torch.float64,
    )
    states = case.num_layers * (1 + case.bidirectional)
    hx = tuple(torch.randn(states, batch, hidden_size, dtype=torch.float64).requires_grad_() for _ in cell.state)
    values = torch.randn(case.steps, batch, input_size, dtype=torch.float64)
    padding = torch.arange(case.steps).unsqueeze(1) >= torch.tensor(case.lengths)
    x = values.masked_fill(padding.unsqueeze(2), float("nan")).requires_grad_()
    given_x = x.transpose(0, 1) if case.batch_first else x

    output, final = layer(given_x, as_state(hx), lengths=torch.tensor(case.lengths))
    output = output.transpose(0, 1) if case.batch_first else output
    actual = (output, *as_parts(final))

    alone = [values[:n, b : b + 1].clone().requires_grad_() for b, n in enumerate(case.lengths)]
    outputs, finals = [], []
    for b, (n, sequence) in enumerate(zip(case.lengths, alone, strict=True)):
        state = tuple(part[:, b : b + 1] for part in hx)
        result = values.new_zeros(0, 1, layer.output_size)
        if n:
            result, state = layer(sequence.transpose(0, 1) if case.batch_first else sequence, as_state(state))
            result = result.transpose(0, 1) if case.batch_first else result
        outputs.append(torch.cat([result, result.new_zeros(case.steps - n, 1, layer.output_size)]))
        finals.append(as_parts(state))
    expected = (
        torch.cat(outputs, dim=1),
        *(torch.cat(part, dim=1) for part in zip(*finals, strict=True)),
    )
    assert_agree(actual, expected)

    weights = list(layer.parameters())
    of_x, *others = gradients(actual, [x, *hx, *weights])
    of_each = gradients(expected, [*alone, *hx, *weights])
    for b, n in enumerate(case.lengths):
        assert_agree(of_x[:n, b : b + 1], of_each[b])
        assert not of_x[n:, b].any()
    assert_agree(others, of_each[batch:])


@pytest.mark.parametrize(("cell", "backend"), KINDS_SERVED, ids=str)
def test_the_second_half_is_a_forward_layer_on_the_reversed_sequence(cell: Cell, backend: str) -> None:
    both = Recurrent(cell, 3, 4, bidirectional=True, backend=backend, dtype=torch.float64)
    forward = Recurrent(cell, 3, 4, backend=backend, dtype=torch.float64)
    backward = Recurrent(cell, 3, 4, backend=backend, dtype=torch.float64)
    weights = both.state_dict()
    forward.load_state_dict({name: weights[name] for name in forward.state_dict()})
    backward.load_state_dict({name: weights[f"{name}_reverse"] for name in backward.state_dict()})
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    output, final = both(x)
    ahead, ahead_final = forward(x)
    back, back_final = backward(x.flip(0))
    assert_agree(output, torch.cat([ahead, back.flip(0)], dim=2))
    assert not torch.allclose(ahead, back.flip(0))
    for part, a, b in zip(as_parts(final), as_parts(ahead_final), as_parts(back_final), strict=True):
        assert_agree(part, torch.cat([a, b]))


@pytest.mark.parametrize("backend", ["reference", "aten"])
def test_lengths_are_packing_without_the_packing(backend: str) -> None:
    layer = recurra.LSTM(3, 4, 2, bidirectional=True, backend=backend, dtype=torch.float64)
    x, lengths = torch.randn(5, 3, 3, dtype=torch.float64), torch.tensor([2, 5, 1])
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    output, final = layer(packed)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(output, total_length=5)
    assert_agree(layer(x, lengths=lengths), (padded, final))


@pytest.mark.parametrize("kind", [list, tuple, torch.tensor, lambda n: torch.tensor(n, dtype=torch.int32)])
def test_lengths_of_any_integer_type(kind: Any) -> None:
    layer = recurra.GRU(3, 4, dtype=torch.float64)
    x = torch.randn(5, 3, 3, dtype=torch.float64)
    assert_agree(layer(x, lengths=kind([2, 5, 0])), layer(x, lengths=torch.tensor([2, 5, 0])))


@pytest.mark.parametrize("backend", ["reference", "aten"])
def test_projected_output_with_lengths(backend: str) -> None:
    layer = recurra.LSTM(3, 4, proj_size=2, bidirectional=True, backend=backend, dtype=torch.float64)
    hx = tuple(torch.randn(2, 2, size, dtype=torch.float64) for size in (2, 4))
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    output, final = layer(x, hx, lengths=[3, 0])
    alone, alone_final = layer(x[:3, :1], tuple(part[:, :1] for part in hx))
    assert_agree(output[:3, :1], alone)
    assert not output[3:, 0].any()
    assert not output[:, 1].any()
    for part, one, initial in zip(final, alone_final, hx, strict=True):
        assert_agree(part, torch.cat([one, initial[:, 1:]], dim=1))


def test_the_discovery_finds_the_cells() -> None:
    assert {cells.Elman("tanh"), cells.Elman("relu"), cells.LSTM(), cells.GRU()} <= set(CELLS)
    assert (cells.GRU(), "aten") in SERVED
