"""Inference with weights of fewer bits: near the reference, on every path of a layer, and never with old weights."""

from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import covering
from recurra import cells
from recurra.cells import Cell
from recurra.errors import BackendError
from recurra.kernels import describe_cell
from recurra.kernels.native import stored_weights
from recurra.layers import Recurrent
from recurra.streaming import Stepper

SERVED: list[Cell] = [cells.LSTM(), cells.GRU(), cells.Elman(), cells.PeepholeLSTM(), cells.CoupledLSTM()]
FORMATS = ["native_bfloat16", "native_int8"]
ERRORS = {"native_bfloat16": 0.01, "native_int8": 0.03}


def results(layer: Recurrent, backend: str, *arguments: Any, **options: Any) -> list[Tensor]:
    layer.backend = backend
    with torch.no_grad():
        output, state = layer(*arguments, **options)
    return [output, *(state if isinstance(state, tuple) else [state])]


@covering.parametrize(
    {
        "backend": FORMATS,
        "cell": SERVED,
        "bias": [True, False],
        "bidirectional": [True, False],
        "num_layers": [1, 2],
        "ragged": [True, False],
        "resets": [True, False],
        "threads": [1, 2],
    },
    strength=2,
)
def test_the_results_are_near_those_of_the_reference(
    backend: str, cell: Cell, bias: bool, bidirectional: bool, num_layers: int, ragged: bool, resets: bool, threads: int
) -> None:
    torch.manual_seed(0)
    layer = Recurrent(cell, 9, 21, num_layers, bias, bidirectional=bidirectional)
    x, directions = torch.randn(13, 5, 9), 1 + bidirectional
    options: dict[str, Any] = {"lengths": torch.tensor([13, 0, 7, 13, 1])} if ragged else {}
    if resets:
        options["resets"] = torch.rand(13, 5) < 0.2
    state = [torch.randn(directions * num_layers, 5, 21) for _ in cell.state]
    hx = tuple(state) if len(state) > 1 else state[0]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found, expected = (results(layer, name, x, hx, **options) for name in (backend, "reference"))
    finally:
        torch.set_num_threads(before)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=ERRORS[backend], atol=2 * ERRORS[backend])
    assert not torch.equal(found[0], expected[0])


@given(steps=st.integers(0, 6), lengths=st.lists(st.integers(0, 6), max_size=5), reverse=st.booleans())
def test_any_lengths(steps: int, lengths: list[int], reverse: bool) -> None:
    torch.manual_seed(1)
    layer = Recurrent(cells.GRU(), 3, 8, bidirectional=reverse, batch_first=True)
    true = torch.tensor([min(one, steps) for one in lengths], dtype=torch.int64)
    x = torch.randn(len(lengths), steps, 3)
    found, expected = (results(layer, name, x, lengths=true) for name in ("native_int8", "reference"))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0.03, atol=0.06)
    changed = x.clone()
    changed[torch.arange(steps) >= true.unsqueeze(1)] = float("nan")
    assert torch.equal(results(layer, "native_int8", changed, lengths=true)[0], found[0])


@pytest.mark.parametrize("backend", FORMATS)
def test_a_sequence_has_the_numbers_of_a_stream(backend: str) -> None:
    torch.manual_seed(2)
    layer = Recurrent(cells.LSTM(), 7, 40)
    stepper = Stepper(layer, backend.removeprefix("native_"))
    x = torch.randn(6, 2, 7)
    whole, _ = stepper(x, stepper.new_state(2))
    torch.testing.assert_close(results(layer, backend, x)[0], whole, rtol=1e-5, atol=1e-5)


def test_weights_are_stored_once_and_again_when_they_change() -> None:
    torch.manual_seed(3)
    layer = Recurrent(cells.PeepholeLSTM(), 4, 8)
    x = torch.randn(5, 2, 4)
    names = [name for name, _ in layer.named_parameters()]
    with patch.object(stored_weights, "step_programs", wraps=stored_weights.step_programs) as made:
        first = results(layer, "native_int8", x)[0]
        assert torch.equal(results(layer, "native_int8", x)[0], first)
        assert made.call_count == 1
        for count, name in enumerate(names, start=2):
            with torch.no_grad():
                layer.get_parameter(name).mul_(0.5)
            after = results(layer, "native_int8", x)[0]
            assert made.call_count == count, name
            assert not torch.equal(after, first)
            first = after
        results(layer, "native_bfloat16", x)
        assert made.call_count == len(names) + 2
        with torch.inference_mode():
            other = Recurrent(cells.GRU(), 4, 8, backend="native_int8")
            before = other(x)[0]
            other.get_parameter("weight_hh_l0").mul_(0.5)
            assert not torch.equal(other(x)[0], before)


def test_what_is_refused() -> None:
    layer = Recurrent(cells.LSTM(), 4, 8, backend="native_int8")
    x = torch.randn(5, 2, 4)
    with pytest.raises(BackendError, match=r"native_int8.*no gradients.*torch\.no_grad"):
        layer(x)
    with torch.no_grad():
        for other, words in (
            (Recurrent(cells.LSTM(), 4, 8, proj_size=3), "projected outputs"),
            (Recurrent(cells.LSTM(), 4, 8, zoneout=0.1), "zoneout"),
            (Recurrent(cells.MinGRU(), 4, 8), "not one product"),
            (Recurrent(cells.LayerNormLSTM(), 4, 8), "not one product"),
            (Recurrent(cells.GRUResetBefore(), 4, 8), "not one product"),
        ):
            other.backend = "native_int8"
            with pytest.raises(BackendError, match=words):
                other(x)
        with pytest.raises(BackendError, match="float64"):
            layer.double()(x.double())
    assert "native_int8" in describe_cell(cells.LSTM())["kernels, CPU"]
    assert "native_int8" not in describe_cell(cells.MinGRU())["kernels, CPU"]
