import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from recurra.cells import GRU, LSTM
from recurra.errors import ParameterError, ShapeError
from recurra.layers import Recurrent
from recurra.models import POOLINGS, Pooling

KINDS = [*POOLINGS, ("max", "last"), POOLINGS]


def ragged(lengths: list[int], size: int, extra: int = 0) -> Tensor:
    """(B, T, F) with NaN beyond the lengths."""
    output = torch.randn(len(lengths), max(lengths, default=0) + extra, size, dtype=torch.float64)
    for row, length in enumerate(lengths):
        output[row, length:] = float("nan")
    return output


@settings(max_examples=30)
@given(
    st.lists(st.integers(0, 5), max_size=4),
    st.sampled_from(KINDS),
    st.integers(1, 3),
    st.booleans(),
    st.integers(0, 2),
)
def test_a_sequence_is_pooled_in_a_batch_as_it_is_alone(lengths, kinds, half, bidirectional, extra) -> None:
    size = 2 * half
    pooling = Pooling(kinds, size, bidirectional).double()
    output = ragged(lengths, size, extra)
    with torch.no_grad():
        together = pooling(output, lengths)
        assert together.shape == (len(lengths), pooling.output_size)
        assert pooling.output_size == size * (1 if isinstance(kinds, str) else len(kinds))
        for row, length in enumerate(lengths):
            alone = pooling(output[row : row + 1, :length])
            torch.testing.assert_close(together[row], alone[0], rtol=1e-12, atol=1e-12)
            assert length or not together[row].any()


@pytest.mark.parametrize("kinds", KINDS)
def test_gradients_are_of_the_true_steps_alone(kinds) -> None:
    lengths = [0, 3, 1]
    output = ragged(lengths, 4).requires_grad_()
    pooling = Pooling(kinds, 4, True).double()
    pooling(output, lengths).sum().backward()
    assert output.grad is not None
    for row, length in enumerate(lengths):
        assert not output.grad[row, length:].any()
        assert not length or output.grad[row, :length].any()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in pooling.parameters())


def test_mean_and_max_by_hand() -> None:
    output = torch.tensor([[[1.0, -4.0], [3.0, -2.0], [9.0, 9.0]]])
    found = Pooling(("mean", "max"), 2)(output, [2])
    assert found.tolist() == [[2.0, -3.0, 3.0, -2.0]]


def test_attention_by_hand() -> None:
    pooling = Pooling("attention", 2).double()
    assert pooling.scores is not None
    first, _, last = pooling.scores
    assert isinstance(first, torch.nn.Linear)
    assert isinstance(last, torch.nn.Linear)
    output = ragged([3, 2], 2)
    with torch.no_grad():
        found = pooling(output, [3, 2])
        for row, length in enumerate([3, 2]):
            scores = [float(last.weight[0] @ torch.tanh(first.weight @ h + first.bias)) for h in output[row, :length]]
            weights = torch.tensor(scores, dtype=torch.float64).exp()
            expected = (weights / weights.sum()) @ output[row, :length]
            torch.testing.assert_close(found[row], expected)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_last_is_the_final_state(bidirectional: bool, num_layers: int) -> None:
    layer = Recurrent(GRU(), 3, 4, num_layers, batch_first=True, bidirectional=bidirectional).double()
    lengths = torch.tensor([5, 1, 3])
    with torch.no_grad():
        output, state = layer(torch.randn(3, 5, 3, dtype=torch.float64), lengths=lengths)
        found = Pooling("last", layer.output_size, bidirectional)(output, lengths)
    directions = 2 if bidirectional else 1
    torch.testing.assert_close(found, torch.cat(list(state[-directions:]), dim=1))


def test_last_of_two_directions_is_the_last_step_forward_and_the_first_backward() -> None:
    output = torch.arange(12.0).reshape(1, 3, 4)
    assert Pooling("last", 4, True)(output, [2]).tolist() == [[4.0, 5.0, 2.0, 3.0]]
    assert Pooling("last", 4)(output, [2]).tolist() == [[4.0, 5.0, 6.0, 7.0]]


def test_refusals() -> None:
    for kinds in ("sum", (), ("mean", "mean"), ("mean", "sum")):
        with pytest.raises(ParameterError, match=r"pooling: expected .* last, mean, max, attention, each"):
            Pooling(kinds, 4)
    with pytest.raises(ParameterError, match=r"size: expected an even number, .* got 3"):
        Pooling("last", 3, bidirectional=True)
    with pytest.raises(ParameterError, match="size"):
        Pooling("mean", 0)
    for output in (torch.zeros(2, 3), torch.zeros(2, 3, 5)):
        with pytest.raises(ShapeError, match=r"output: expected shape \(B, T, F = 4\), got"):
            Pooling("mean", 4)(output)
    for lengths in ([1], [1, 4], [1, -1]):
        with pytest.raises(ShapeError, match="lengths"):
            Pooling("mean", 4)(torch.zeros(2, 3, 4), lengths)


def test_it_says_what_it_is() -> None:
    assert repr(Pooling(("max", "last"), 4, True)) == "Pooling(('max', 'last'), 4, bidirectional=True)"
    layer = Recurrent(LSTM(), 3, 4, batch_first=True)
    assert Pooling("last", layer.output_size).output_size == 4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision(dtype: torch.dtype) -> None:
    pooling = Pooling(POOLINGS, 6)
    output, lengths = torch.randn(3, 5, 6), torch.tensor([5, 2, 0])
    with torch.no_grad():
        expected = pooling(output, lengths)
        with torch.autocast("cpu", dtype):
            found = pooling(output, lengths)
    torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0.05)
