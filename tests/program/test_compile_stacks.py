"""Stacks and their blocks as operations of a step: what torch computes of whole sequences, with any state between."""

from pathlib import Path

import numpy as np
import pytest
import torch

from recurra import Stack
from recurra.errors import StreamError
from recurra.export.c import export_c, find_c_compiler
from recurra.kernels.native import extension
from recurra.layers.stack import RECIPES, CausalConvolution, LocalAttention
from recurra.streaming import Stepper

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="a stream needs the C++ extension")

LISTS = [
    "lru:5, qrnn:3, qrnn:1",
    "gru:5 > tanh, conv:3:dense, conv:1:dense, conv:1",
    "attention:1:heads=4:kv_heads=2, attention:5:heads=4:kv_heads=2, sigmoid",
    "gated:3/2(conv:2 > silu > mlstm:4 > norm:4), gelu, relu, mlp:1",
]


def moved(spec: str, norm: str | None = None) -> Stack:
    """A stack with parameters of which none is zero or one."""
    torch.manual_seed(len(spec))
    stack = Stack(spec, 3, 8, norm=norm).eval()
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return stack


@pytest.mark.parametrize("spec", [*RECIPES, "griffin:3", *LISTS])
def test_steps_are_the_whole_and_state_is_bytes(spec: str) -> None:
    stack = moved(spec)
    x = torch.randn(9, 3, 3)
    with torch.no_grad():
        expected = stack(x)[0].numpy()
    stepper = Stepper(stack)
    first, state = stepper(x[:4].numpy())
    again = stepper.read_state(state.to_bytes())
    rest, _ = stepper(x[4:].numpy(), again)
    assert np.abs(np.concatenate([first, rest]) - expected).max() < 1e-5
    state.reset([1])
    anew, _ = stepper(x[4:].numpy(), state)
    with torch.no_grad():
        alone = stack(x[4:, 1:2])[0][:, 0].numpy()
    assert np.abs(anew[:, 1] - alone).max() < 1e-5
    assert np.array_equal(anew[:, [0, 2]], rest[:, [0, 2]])


def test_a_long_stream_and_other_normalisations() -> None:
    """Past 64 steps, a chunk of the mLSTM, and many turns of the places of an attention."""
    for norm in ("layer", "none"):
        stack = moved("mlstm:2, attention:4", norm)
        x = torch.randn(150, 1, 3)
        with torch.no_grad():
            expected = stack(x)[0].numpy()
        assert np.abs(Stepper(stack)(x.numpy())[0] - expected).max() < 1e-5 * np.abs(expected).max()


def test_blocks_are_models_too() -> None:
    for block in (CausalConvolution(3, 4, 2, depthwise=False), LocalAttention(3, 4, 2)):
        x = torch.randn(2, 6, 3)
        with torch.no_grad():
            expected = block(x)[0].transpose(0, 1).numpy()
        assert np.abs(Stepper(block)(x.transpose(0, 1).numpy())[0] - expected).max() < 1e-6


def test_a_state_with_other_numbers_touches_no_other_memory() -> None:
    """The places of an attention, its last two numbers, are within the 3 that it has after every step."""
    stepper, x = Stepper(moved("gru, attention:4")), torch.randn(5, 2, 3).numpy()
    expected, unharmed = stepper(x, stepper.new_state(2))
    for number in (-1.0, 0.5, 3.0, 1e9, float("nan"), float("inf")):
        state = stepper.new_state(2)
        state.values[0] = number
        for t in range(5):
            y, state = stepper(x[t : t + 1], state)
            assert np.array_equal(y[0, 1], expected[t, 1])
            assert state.values[0, -2] in (0, 1, 2)
            assert state.values[0, -1] in (1, 2, 3)
        assert np.array_equal(state.values[1], unharmed.values[1])


def test_a_block_of_one_s_own_is_named() -> None:
    stack = moved("gru, mlp")
    stack.blocks[1].block = torch.nn.Bilinear(8, 8, 8)  # type: ignore[union-attr]
    with pytest.raises(StreamError, match=r"blocks\.1\.block: one step of a Bilinear is not known"):
        Stepper(stack)


@pytest.mark.skipif(find_c_compiler() is None, reason="needs a C compiler")
def test_a_stack_in_c(tmp_path: Path) -> None:
    stack = moved("gated(conv:3 > rg_lru), attention:3:kv_heads=1, mlstm:2, lru, qrnn, mlp")
    check = export_c(stack, tmp_path, "stack", steps=200).check
    assert check.tolerance == 1e-5
