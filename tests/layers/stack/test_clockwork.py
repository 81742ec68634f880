"""ClockworkRNN: against its paper's equations, what rests, other cells, both layouts, copies, and what it refuses."""

import copy
import pickle
from typing import Any

import pytest
import torch
from benchmarks._clockwork_loop import plain_loop

from agreement import assert_agree, gradients
from recurra import LSTM, ClockworkRNN, Stack, Stepper, cells
from recurra.errors import ParameterError, RecurraError, ShapeError
from recurra.inspection import record
from recurra.kernels import intercepted, reference


def made(*sizes: Any, **options: Any) -> ClockworkRNN:
    torch.manual_seed(1)
    return ClockworkRNN(*sizes, dtype=torch.float64, **options)


@pytest.mark.parametrize("periods", [4, 1, (1, 3, 5), (2, 5), (7,)], ids=str)
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_it_is_the_masked_dense_product_of_the_paper(periods: Any, backend: str) -> None:
    layer = made(3, 9, periods, backend=backend)
    x = torch.randn(13, 2, 3, dtype=torch.float64, requires_grad=True)
    output, expected = layer(x)[0], plain_loop(layer, x)
    assert_agree(output, expected)
    wanted = [x, *layer.parameters()]
    assert_agree(gradients(output, wanted), gradients(expected, wanted))


def test_a_group_takes_steps_of_its_own_alone() -> None:
    layer, steps = made(3, 8, 4), []

    def counted(cell: Any, inputs: Any, *others: Any) -> Any:
        steps.append(tuple(inputs.shape[::2]))
        return reference.run(cell, inputs, *others)

    x = torch.randn(9, 1, 3, dtype=torch.float64)
    with intercepted(counted):
        _, state = layer(x)
        assert steps == [(2, 3), (3, 5), (5, 7), (9, 9)]  # (T, I) of each, the slowest first
        steps.clear()
        layer(x[:1], state)
        assert steps == [(1, 9)]  # the index is 9, a multiple of 1 alone


def test_a_group_at_rest_keeps_its_state() -> None:
    layer = made(2, 6, (1, 4))
    x = torch.randn(8, 3, 2, dtype=torch.float64)
    slow = layer(x)[0][:, :, 3:]
    assert_agree(slow, slow[::4].repeat_interleave(4, 0))
    assert not torch.equal(slow[0], slow[4])


def test_sequences_at_different_phases_are_as_each_alone() -> None:
    layer = made(3, 7, (1, 2, 4))
    x, lengths = torch.randn(6, 4, 3, dtype=torch.float64), torch.tensor([1, 6, 2, 5])
    state = layer(x, None, lengths)[1]
    assert state[1].tolist() == [[1, 6, 2, 5]]
    output, after = layer(x, state, [6, 3, 0, 6])
    for row, length in enumerate((6, 3, 0, 6)):
        own = tuple(part[:, row : row + 1] for part in state)
        alone, final = layer(x[:length, row : row + 1], own)
        assert_agree(output[:length, row : row + 1], alone)
        assert_agree(tuple(part[:, row : row + 1] for part in after), final)


def test_one_group_of_period_one_is_a_recurrent_layer() -> None:
    torch.manual_seed(1)
    plain, layer = LSTM(3, 5), ClockworkRNN(3, 5, 1, cell=cells.LSTM())
    layer.groups[0].load_state_dict(plain.state_dict())
    x = torch.randn(7, 2, 3)
    (output, (h, c)), (ours, state) = plain(x), layer(x)
    assert_agree((ours, state[:2]), (output, (h, c)))


def test_weights_are_sampled_as_those_of_a_dense_layer() -> None:
    layer = ClockworkRNN(16, 64, 4)
    largest = {name: float(parameter.detach().abs().max()) for name, parameter in layer.named_parameters()}
    assert max(largest.values()) <= 1 / 8
    assert min(value for name, value in largest.items() if "weight" in name) > 0.12


def test_layouts_copies_and_checkpoints_are_the_same() -> None:
    layer, other = made(3, 8, 3), made(3, 8, 3, batch_first=True)
    other.load_state_dict(layer.state_dict())
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    output, state = layer(x)
    assert_agree(other(x.transpose(0, 1)), (output.transpose(0, 1), state))
    for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert_agree(copied(x, pickle.loads(pickle.dumps(state))), layer(x, state))


def test_it_is_a_block_of_a_stack_and_its_groups_are_inspected() -> None:
    stack = Stack("clockwork:3, mlp", 4, 6)
    clockwork = stack.blocks[0].block
    assert isinstance(clockwork, ClockworkRNN)
    assert clockwork.periods == (1, 2, 4)
    assert stack.architecture.is_recurrent
    assert len(record(stack, torch.randn(9, 2, 4)).segments) == 3
    with pytest.raises(RecurraError, match="ClockworkRNN"):
        Stepper(stack)


def test_it_runs_under_autocast() -> None:
    layer = ClockworkRNN(3, 8, 3)
    with torch.autocast("cpu", torch.bfloat16):
        output, state = layer(torch.randn(5, 2, 3).bfloat16())
        output, _ = layer(output[:, :, :3], state)
    assert torch.isfinite(output).all()


@pytest.mark.parametrize("periods", [0, 33, True, (), (2, 1), (1, 1), (0, 2), (1, 2.5), "12", 1.5], ids=repr)
def test_bad_periods_are_refused(periods: Any) -> None:
    with pytest.raises(ParameterError, match="periods: expected increasing whole numbers"):
        ClockworkRNN(3, 40, periods)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ParameterError, match="periods: expected at most hidden_size = 7 groups, got 8"):
        ClockworkRNN(3, 7)
    with pytest.raises(ParameterError, match="hidden_size"):
        ClockworkRNN(3, 0)
    with pytest.raises(ParameterError, match="cell: expected a Cell"):
        ClockworkRNN(3, 8, cell="gru")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="cell: expected one whose gates and parts of the state have H units"):
        ClockworkRNN(3, 8, 2, cell=cells.LMU())
    layer, x = ClockworkRNN(3, 8), torch.zeros(2, 1, 3)
    with pytest.raises(ShapeError, match="state: expected a tuple of 2"):
        layer(x, torch.zeros(1, 1, 8))
    with pytest.raises(ShapeError, match=r"state \(h\)"):
        layer(x, (torch.zeros(1, 1, 7), torch.zeros(1, 1, dtype=torch.int64)))
    with pytest.raises(ShapeError, match=r"state \(step\): expected integers"):
        layer(x, (torch.zeros(1, 1, 8), torch.zeros(1, 1)))
    with pytest.raises(ShapeError, match="3 dimensions"):
        layer(x[0])
