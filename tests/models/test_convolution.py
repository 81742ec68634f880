import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from recurra.errors import ParameterError, ShapeError
from recurra.models import SequenceConvolution


@given(
    st.lists(st.integers(0, 7), min_size=1, max_size=4),
    st.sampled_from([1, 3, 5]),
    st.integers(1, 4),
    st.integers(0, 2),
)
def test_a_sequence_gets_in_a_batch_what_conv1d_gives_it_alone(lengths, kernel_size, stride, extra) -> None:
    steps = max(lengths) + extra
    convolution = SequenceConvolution(2, 3, kernel_size, stride).double()
    inputs = torch.randn(len(lengths), steps, 2, dtype=torch.float64)
    for row, length in enumerate(lengths):
        inputs[row, length:] = float("nan")
    with torch.no_grad():
        found, after = convolution(inputs, lengths)
    assert found.shape == (len(lengths), -(-steps // stride), 3)
    assert after.tolist() == [-(-length // stride) for length in lengths]
    inner = convolution.convolution
    for row, (length, kept) in enumerate(zip(lengths, after.tolist(), strict=True)):
        assert not found[row, kept:].any()
        if length:
            alone = inputs[row : row + 1, :length].transpose(1, 2)
            expected = F.conv1d(alone, inner.weight, inner.bias, stride, kernel_size // 2).relu()[0].t().detach()
            torch.testing.assert_close(found[row, :kept], expected)


def test_all_steps_without_lengths_and_no_sequences() -> None:
    convolution = SequenceConvolution(2, 3, stride=2)
    inputs = torch.randn(2, 5, 2)
    with torch.no_grad():
        found, after = convolution(inputs)
        expected, _ = convolution(inputs, [5, 5])
    assert torch.equal(found, expected)
    assert after.tolist() == [3, 3]
    found, after = convolution(torch.zeros(0, 5, 2))
    assert (found.shape, after.shape) == ((0, 3, 3), (0,))


def test_gradients_are_of_the_true_steps_alone() -> None:
    convolution = SequenceConvolution(2, 3).double()
    inputs = torch.randn(2, 4, 2, dtype=torch.float64)
    inputs[0, 2:] = float("nan")
    inputs.requires_grad_()
    found, _ = convolution(inputs, [2, 4])
    found.pow(2).sum().backward()
    assert inputs.grad is not None
    assert not inputs.grad[0, 2:].any()
    assert inputs.grad[0, :2].any()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in convolution.parameters())


def test_refusals() -> None:
    with pytest.raises(ParameterError, match="kernel_size: expected an odd number, got 4"):
        SequenceConvolution(2, 3, 4)
    for name in ("input_size", "output_size", "kernel_size", "stride"):
        with pytest.raises(ParameterError, match=f"^{name}: "):
            SequenceConvolution(**{"input_size": 2, "output_size": 3, name: 0})
    convolution = SequenceConvolution(2, 3)
    for inputs in (torch.zeros(4, 2), torch.zeros(1, 4, 3)):
        with pytest.raises(ShapeError, match=r"inputs: expected shape \(B, T, I = 2\), got"):
            convolution(inputs)
    with pytest.raises(ShapeError, match="lengths"):
        convolution(torch.zeros(1, 4, 2), [5])
