"""Stack: every recipe step by step, in both layouts, copied, saved, compiled, and refused."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

import recurra
from agreement import assert_agree, gradients
from recurra import Stack, cells
from recurra.errors import ParameterError, ShapeError
from recurra.layers.stack import RECIPES, RecurrentBlock

SPECS = [*RECIPES, ["rglru", "rglru", "attention:3"] * 2, ["lstm:6", "gated(conv:3 > slstm:heads=2)", cells.GRU()]]


def made(spec: Any, **options: Any) -> Stack:
    torch.manual_seed(1)
    return Stack(spec, 3, 8, batch_first=True, dtype=torch.float64, **options).eval()


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_the_whole_is_its_steps(spec: Any) -> None:
    stack = made(spec, num_layers=2)
    x = torch.randn(2, 9, 3, dtype=torch.float64, requires_grad=True)
    lengths, resets = torch.tensor([9, 4]), torch.zeros(2, 9, dtype=torch.bool)
    resets[0, 2] = resets[0, 6] = resets[1, 3] = True
    output, final = stack(x, None, lengths, resets)
    rows, states = [], []
    for row, length in enumerate(lengths.tolist()):
        state, outputs = None, []
        for t in range(length):
            put_out, state = stack.step(x[row : row + 1, t], None if resets[row, t] else state)
            outputs.append(put_out)
        rows.append(torch.cat([*outputs, x.new_zeros(9 - length, 8)]))
        states.append(state)
    assert_agree(output, torch.stack(rows))
    assert_agree(final, joined(states))
    wanted = [x, *stack.parameters()]
    assert_agree(gradients(output, wanted), gradients(torch.stack(rows), wanted))
    assert stack.state_size == sum(numbers(final)) // 2


def joined(states: list[Any]) -> Any:
    """The states of single sequences as that of a batch."""
    if isinstance(states[0], Tensor):
        return torch.cat(states, 1)
    parts = [joined(list(part)) for part in zip(*states, strict=True)]
    return type(states[0])(*parts) if hasattr(states[0], "_fields") else tuple(parts)


def numbers(state: Any) -> list[int]:
    return [state.numel()] if isinstance(state, Tensor) else [n for part in state for n in numbers(part)]


def test_the_layouts_are_the_same_numbers() -> None:
    batch_first = made("griffin:3")
    time_first = Stack("griffin:3", 3, 8, dtype=torch.float64)
    time_first.load_state_dict(batch_first.state_dict())
    x, resets = torch.randn(2, 5, 3, dtype=torch.float64), torch.rand(2, 5) < 0.3
    output, state = batch_first(x, None, [5, 2], resets)
    assert_agree(time_first(x.transpose(0, 1), None, [5, 2], resets.t()), (output.transpose(0, 1), state))
    assert_agree(time_first.step(x[:, 0])[0], output[:, 0])
    with pytest.raises(ShapeError, match=r"resets.*\(T, B\)"):
        time_first(x.transpose(0, 1), None, None, torch.zeros(2, 5, dtype=torch.bool))


def test_copies_pickles_and_checkpoints_are_the_same() -> None:
    stack = made("griffin:3")
    x = torch.randn(2, 4, 3, dtype=torch.float64)
    expected = stack(x)
    loaded = made("griffin:3")
    loaded.load_state_dict(stack.state_dict())
    for other in (copy.deepcopy(stack), pickle.loads(pickle.dumps(stack)), loaded):
        assert_agree(other(x), expected)
    assert_agree(stack(x[:, 2:], pickle.loads(pickle.dumps(stack(x[:, :2])[1])))[0], expected[0][:, 2:])


def test_it_runs_in_single_precision_and_under_autocast() -> None:
    stack = made(["conv:2", "min_gru", "attention:3", "mlp"]).float()
    x = torch.randn(2, 6, 3)
    expected = stack(x)
    assert expected[0].dtype == torch.float32
    assert_agree(stack(x[:, 3:], stack(x[:, :3])[1])[0], expected[0][:, 3:])
    with torch.autocast("cpu", torch.bfloat16):
        output, state = stack(x)
        output, _ = stack(x, state)
    assert torch.isfinite(output).all()
    with pytest.raises(ShapeError, match="input: expected the parameters' dtype"):
        stack(x.double())


@pytest.mark.slow
def test_torch_compiles_it_in_one_graph() -> None:
    stack = made(["conv:2 > min_gru", "attention:3", "mlp"])
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    compiled = torch.compile(stack, backend="aot_eager", fullgraph=True)
    assert_agree(compiled(x), stack(x))


def test_dropout_is_of_training_alone() -> None:
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    for options in ({}, {"variational": True}, {"residual": False}):
        stack = made(["lstm", "tanh"], dropout=0.5, **options)
        assert_agree(stack(x), made(["lstm", "tanh"], **options)(x))
        stack.train()
        assert not torch.equal(stack(x)[0], stack(x)[0])
    variational = made(["tanh"], dropout=0.5, variational=True, norm="none").train()
    alive = (variational(x)[0] - variational.projection(x)) != 0  # type: ignore[operator]
    assert (alive == alive[:, :1]).all()
    assert alive.any()
    assert not alive.all()


def test_without_residuals_the_first_block_reads_the_input() -> None:
    stack = made("cnn_lstm:3")
    assert stack.projection is None
    assert stack.norm is None
    x = torch.randn(1, 5, 3, dtype=torch.float64)
    convolution, lstm = stack.blocks
    assert isinstance(lstm, RecurrentBlock)
    assert_agree(stack(x)[0], lstm.recurrent(convolution(x)[0])[0])


def test_errors_name_the_item() -> None:
    exists = "attention, clockwork, conv, gated, .*rim.*; the cells .*rg_lru.*; alone, griffin"
    for spec, expected in (
        (["rglru", "atention:128"], f"item 2: block: expected one of {exists}.*'atention'.*Did you mean 'attention'"),
        (["attention"], "attention: expected its window, as in attention:128, got 'attention'"),
        ("lstm, attention:12:wide", r"item 2: attention: expected its window first, then heads=..., kv_heads=..., got"),
        (["attention:0"], "attention: expected a positive whole number as its window, got '0'"),
        (["mlp:4/0"], r"mlp: expected a positive number, such as 3, 1.5 or 4/3 as its factor, got '4/0'"),
        (["relu:3"], "relu: expected no number, then no option, got '3'"),
        (["conv:3:heads=2"], "conv: expected its kernel size first, then dense, got 'heads=2'"),
        (["conv:4 >"], "block: expected NAME"),
        (["gated:2"], r"block: expected gated\(ITEM\)"),
        (["lstm(mlp)"], "block: expected lstm without parentheses"),
        (["gated(mlp"], "block: expected NAME"),
        (["lstm", "griffin"], "item 2: block: .*a whole architecture: it stands alone"),
        (["griffin:x"], "griffin:NUMBER, its window, got 'griffin:x'"),
        (["hawk:3"], "hawk without a number"),
        (["slstm:heads=3"], "hidden_size: expected a multiple of the cell's 3 heads"),
        (["elman:nonlinearity=cosine"], "nonlinearity"),
        (["gru", "nothing.there:Cell"], "item 2: cell: expected a class that can be imported"),
        (["attention:3:heads=3"], "heads: expected a number by which 8 features"),
        ([3], "block: expected a text such as 'attention:128', or a Cell, got 3"),
        ([], ": expected at least one of"),
    ):
        with pytest.raises(ParameterError, match=f"^architecture.*{expected}"):
            Stack(spec, 3, 8)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="norm: expected one of rms"):
        Stack("gru", 3, 8, norm="batch")
    with pytest.raises(ParameterError, match="item 1: depthwise"):
        Stack(["conv:4", "gru"], 3, 8, residual=False)


def test_a_list_and_its_text_are_the_same_architecture() -> None:
    listed = recurra.layers.Architecture.of(["RG_LRU", "gated:4/3(conv:4 > slstm:heads=2)", "attention:5:kv_heads=1"])
    text = recurra.layers.Architecture.of("RGLRU,gated:4/3(conv:4>sLSTM:heads=2),attention:5:kv_heads=1")
    assert listed.items == text.items
    assert listed.cells == [cells.RGLRU(), cells.SLSTM(heads=2)]
    assert recurra.layers.Architecture.of(listed) == listed
    own = recurra.layers.Architecture.of("recurra.cells:MGU:7")
    assert own.items[0][0].cell == cells.MGU()
    assert own.items[0][0].size == 7
    numbers = recurra.layers.Architecture.of("lem:dt=0.25, co_rnn:8:gamma=2:dt=1e-3, elman:nonlinearity=relu")
    assert numbers.cells == [cells.LEM(0.25), cells.CoRNN(dt=0.001, gamma=2), cells.Elman("relu")]
