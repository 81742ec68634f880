import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.errors import ParameterError, ShapeError
from recurra.models import SequenceConvolutions


@settings(max_examples=30)
@given(
    st.lists(st.integers(0, 7), min_size=1, max_size=4),
    st.sampled_from([(1,), (3,), (5, 3), (7, 5, 3)]),
    st.integers(1, 4),
    st.integers(0, 2),
)
def test_a_sequence_gets_in_a_batch_what_it_gets_alone(lengths, kernel_sizes, stride, extra) -> None:
    steps = max(lengths) + extra
    convolutions = SequenceConvolutions(2, 3, kernel_sizes, stride).double().eval()
    inputs = torch.randn(len(lengths), steps, 2, dtype=torch.float64)
    for row, length in enumerate(lengths):
        inputs[row, length:] = float("nan")
    with torch.no_grad():
        found, after = convolutions(inputs, lengths)
    assert found.shape == (len(lengths), -(-steps // stride), 3)
    assert after.tolist() == [-(-length // stride) for length in lengths]
    layers = zip(convolutions.convolutions, convolutions.normalizations, strict=True)
    inner = torch.nn.Sequential(*(layer for pair in layers for layer in (*pair, torch.nn.ReLU())))
    for row, (length, kept) in enumerate(zip(lengths, after.tolist(), strict=True)):
        assert not found[row, kept:].any()
        if length:
            with torch.no_grad():
                alone = inner(inputs[row : row + 1, :length].transpose(1, 2))[0].t()
            expected = torch.stack([alone[k : k + stride].mean(0) for k in range(0, length, stride)])
            torch.testing.assert_close(found[row, :kept], expected)


def test_training_normalizes_over_the_true_steps() -> None:
    """Padding does not change what a batch is normalised by."""
    convolutions = SequenceConvolutions(2, 3, (1,)).double()
    inputs, lengths = torch.randn(2, 6, 2, dtype=torch.float64), [6, 2]
    found, _ = convolutions(inputs, lengths)
    true = torch.cat([inputs[0], inputs[1, :2]])
    filtered = convolutions.convolutions[0](true.t().unsqueeze(0))[0].t()
    expected = ((filtered - filtered.mean(0)) / (filtered.var(0, correction=0) + 1e-5).sqrt()).relu()
    torch.testing.assert_close(torch.cat([found[0], found[1, :2]]), expected)
    torch.testing.assert_close(convolutions.normalizations[0].running_mean, 0.1 * filtered.mean(0))


def test_a_batch_of_one_step_has_no_deviation_and_is_read_all_the_same() -> None:
    convolutions = SequenceConvolutions(2, 3)
    for lengths in (None, [1]):
        found, after = convolutions(torch.randn(1, 1, 2), lengths)
        assert found.isfinite().all()
        assert after.tolist() == [1]
    assert convolutions.normalizations[0].num_batches_tracked == 0


def test_all_steps_without_lengths_and_no_sequences() -> None:
    convolutions = SequenceConvolutions(2, 3, stride=2).eval()
    inputs = torch.randn(2, 5, 2)
    with torch.no_grad():
        found, after = convolutions(inputs)
        expected, _ = convolutions(inputs, [5, 5])
    assert torch.equal(found, expected)
    assert after.tolist() == [3, 3]
    found, after = convolutions(torch.zeros(0, 5, 2))
    assert (found.shape, after.shape) == ((0, 3, 3), (0,))


def test_gradients_are_of_the_true_steps_alone() -> None:
    convolutions = SequenceConvolutions(2, 3).double()
    inputs = torch.randn(2, 4, 2, dtype=torch.float64)
    inputs[0, 2:] = float("nan")
    inputs.requires_grad_()
    found, _ = convolutions(inputs, [2, 4])
    found.pow(2).sum().backward()
    assert inputs.grad is not None
    assert not inputs.grad[0, 2:].any()
    assert inputs.grad[0, :2].any()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in convolutions.parameters())


def test_refusals() -> None:
    for sizes in ((), (4,), (3, 0)):
        with pytest.raises(ParameterError, match="kernel_sizes: expected one or more odd numbers, got"):
            SequenceConvolutions(2, 3, sizes)
    for name in ("input_size", "output_size", "stride"):
        with pytest.raises(ParameterError, match=f"^{name}: "):
            SequenceConvolutions(**{"input_size": 2, "output_size": 3, name: 0})  # type: ignore[arg-type]
    convolutions = SequenceConvolutions(2, 3)
    for inputs in (torch.zeros(4, 2), torch.zeros(1, 4, 3)):
        with pytest.raises(ShapeError, match=r"inputs: expected shape \(B, T, I = 2\), got"):
            convolutions(inputs)
    with pytest.raises(ShapeError, match="lengths"):
        convolutions(torch.zeros(1, 4, 2), [5])
