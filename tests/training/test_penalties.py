"""Activation penalties by hand, over true steps only, whatever layer ran last."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import covering
import recurra
from recurra.errors import ParameterError
from recurra.training.penalties import ActivationPenalties


def by_hand(sequences: list[Tensor], activation: float, temporal: float) -> Tensor:
    """The penalty of outputs (T_b, F)."""
    squares = torch.cat([sequence.square().flatten() for sequence in sequences])
    changes = torch.cat([(sequence[1:] - sequence[:-1]).square().flatten() for sequence in sequences])
    zero = torch.zeros((), dtype=squares.dtype)
    return activation * (squares.mean() if len(squares) else zero) + temporal * (
        changes.mean() if len(changes) else zero
    )


def penalised(layer: nn.Module, *inputs: Any, activation: float = 2.0, temporal: float = 3.0, **options: Any) -> Any:
    penalties = ActivationPenalties(layer, activation, temporal)
    with penalties:
        output, _ = layer(*inputs, **options)
    return output, penalties.total()


@covering.parametrize(
    {
        ("activation", "temporal"): [(2.0, 3.0), (2.0, 0.0), (0.0, 3.0), (0.0, 0.0)],
        "kind": [recurra.LSTM, nn.LSTM, nn.GRU],
        "batch_first": [True, False],
    }
)
def test_means_of_squares(kind: Any, batch_first: bool, activation: float, temporal: float) -> None:
    layer = kind(2, 3, num_layers=2, bidirectional=True, batch_first=batch_first)
    output, total = penalised(layer, torch.randn(4, 5, 2), activation=activation, temporal=temporal)
    sequences = list(output if batch_first else output.transpose(0, 1))
    torch.testing.assert_close(total, by_hand(sequences, activation, temporal))


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.booleans())
def test_padding_does_not_count(lengths: list[int], by_name: bool) -> None:
    layer = recurra.GRU(2, 3, batch_first=True)
    x = torch.randn(len(lengths), 6, 2)
    x[torch.arange(6) >= torch.tensor(lengths).unsqueeze(1)] = torch.nan
    output, total = penalised(layer, x, lengths=lengths) if by_name else penalised(layer, x, None, lengths)
    torch.testing.assert_close(total, by_hand([output[b, :n] for b, n in enumerate(lengths)], 2.0, 3.0))
    total.backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in layer.parameters())


@pytest.mark.parametrize("kind", [recurra.GRU, nn.GRU])
def test_packed_sequences_have_no_padding(kind: Any) -> None:
    layer = kind(2, 3)
    lengths = [5, 1, 3]
    x = torch.randn(5, 3, 2)
    _, total = penalised(layer, pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False))
    outputs = [layer(x[:n, b : b + 1])[0].squeeze(1) for b, n in enumerate(lengths)]
    torch.testing.assert_close(total, by_hand(outputs, 2.0, 3.0))


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_change_across_a_reset_does_not_count(batch_first: bool) -> None:
    layer = recurra.GRU(2, 3, batch_first=batch_first)
    x, resets = torch.randn(2, 6, 2), torch.zeros(2, 6, dtype=torch.bool)
    resets[0, 0] = resets[0, 2] = resets[1, 5] = True
    turned = (x, resets) if batch_first else (x.transpose(0, 1), resets.transpose(0, 1))
    output, total = penalised(layer, turned[0], resets=turned[1])
    first, second = output if batch_first else output.transpose(0, 1)
    torch.testing.assert_close(total, by_hand([first[:2], first[2:], second[:5], second[5:]], 2.0, 3.0))


def test_one_sequence_and_one_step() -> None:
    layer = recurra.GRU(2, 3)
    output, total = penalised(layer, torch.randn(5, 2))
    torch.testing.assert_close(total, by_hand([output], 2.0, 3.0))
    output, total = penalised(layer, torch.randn(1, 4, 2))
    torch.testing.assert_close(total, 2 * output.square().mean())


class Stacked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        # Registered in another order than called in.
        self.last = recurra.GRU(3, 4, batch_first=True)
        self.first = nn.GRU(2, 3, batch_first=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        return self.last(self.first(x)[0])


def test_the_last_layer_called_counts_of_the_last_call() -> None:
    module = Stacked()
    penalties = ActivationPenalties(module, 1.0, 0.0)
    x = torch.randn(2, 5, 2)
    with penalties:
        module(torch.randn(3, 4, 2))
        output, _ = module(x)
    total = penalties.total()
    torch.testing.assert_close(total, output.square().mean())
    total.backward()
    assert all(weight.grad is not None for weight in module.parameters())


def test_only_what_runs_within_the_context_counts() -> None:
    module = Stacked()
    penalties = ActivationPenalties(module, 1.0, 1.0)
    for _ in range(2):
        with penalties:
            output, _ = module(torch.randn(2, 5, 2))
        module(torch.randn(2, 5, 2))
        torch.testing.assert_close(penalties.total(), by_hand(list(output), 1.0, 1.0))
    with pytest.raises(RuntimeError, match="stop"), penalties:
        raise RuntimeError("stop")
    assert not any(part._forward_hooks for part in module.modules())


def test_without_a_recurrent_layer_it_says_what_to_do() -> None:
    module = nn.Linear(2, 3)
    penalties = ActivationPenalties(module, 1.0, 0.0)
    with penalties:
        module(torch.randn(4, 2))
    with pytest.raises(ParameterError, match=r"^activation_penalty: expected a module .* to 0,"):
        penalties.total()


def test_half_precision_is_summed_in_single() -> None:
    layer = recurra.GRU(2, 3).bfloat16()
    output, total = penalised(layer, torch.randn(5, 4, 2, dtype=torch.bfloat16), temporal=0.0)
    assert total.dtype == torch.float32
    torch.testing.assert_close(total, 2 * output.float().square().mean())
