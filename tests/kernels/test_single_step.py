"""Sequences of one step, whose products torch makes: results, every gradient, and what autograd asks."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from against_reference import NATIVE, assert_as_reference, draw
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.func import vmap

import covering
import recurra
from agreement import assert_agree, gradients, tensors
from every_cell import KINDS, assemble, flat, traits
from recurra import cells, kernels
from recurra.cells import Cell
from recurra.kernels.native import launches

pytestmark = pytest.mark.skipif(not NATIVE, reason="needs the C++ extension")


@pytest.mark.usefixtures("deterministic_fill")
@covering.parametrize(
    {
        "cell": NATIVE,
        "batch": [1, 3, 4, 9, 35],
        "lengths": [False, True],
        "reverse": [False, True],
        "bias": [False, True],
        "masks": ["", "zoneout", "recurrent"],
        "dtype": [torch.float64, torch.float32],
    },
    traits={"cell": traits},
)
def test_as_the_reference(
    cell: Cell, batch: int, lengths: bool, reverse: bool, bias: bool, masks: str, dtype: torch.dtype
) -> None:
    if masks == "recurrent" and cell.recurrence == "none":
        masks = ""
    if masks == "zoneout" and cell.output_nonlinearity is not None:
        masks = ""
    true = torch.randint(0, 2, (batch,)) if lengths else None
    assert_as_reference(draw(cell, 1, batch, 5, 19, true, reverse, dtype, bias=bias, masks=masks))


@pytest.mark.parametrize("cell", [cells.LSTM(), cells.GRU(), cells.Elman(), cells.LayerNormGRU()], ids=str)
def test_second_derivatives(cell: Cell) -> None:
    case = draw(cell, 1, 4, 2, 2)

    def run(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        state, replaced = others[: len(cell.state)], others[len(cell.state) :]
        return tuple(tensors(kernels.run("native", cell, x, state, assemble(case.weights, replaced))))

    assert gradcheck(run, (case.x, *case.state, *flat(case.weights)))
    assert gradgradcheck(run, (case.x, *case.state, *flat(case.weights)), fast_mode=True)


@pytest.mark.parametrize("cell", [cells.LSTM(), cells.GRU()], ids=str)
def test_gradients_of_each_row(cell: Cell) -> None:
    layer = recurra.Recurrent(cell, 3, 5, dtype=torch.float64)
    parameters = {name: parameter.detach() for name, parameter in layer.named_parameters()}
    x, h = torch.randn(6, 1, 4, 3, dtype=torch.float64), torch.randn(6, 1, 4, 5, dtype=torch.float64)

    def loss(parameters: dict[str, Tensor], x: Tensor, h: Tensor) -> Tensor:
        state = h if len(cell.state) == 1 else (h,) * len(cell.state)
        return torch.func.functional_call(layer, parameters, (x, state))[0].square().sum()

    results = []
    for backend in ("native", "reference"):
        layer.backend = backend
        results.append(vmap(torch.func.grad(loss, (0, 1, 2)), (None, 0, 0))(parameters, x, h))
    assert_agree(results[0][1:], results[1][1:])
    assert_agree(list(results[0][0].values()), list(results[1][0].values()))


@pytest.mark.usefixtures("deterministic_fill")
@covering.parametrize(
    {
        "cell": KINDS,
        "batch": [1, 3, 4, 70],
        "dtype": [torch.float64, torch.float32],
        "bias": [False, True],
        "wants": ["everything", "weights", "inputs", "bias"],
    },
    traits={"cell": traits},
)
def test_a_layer_call_after_call(cell: Cell, batch: int, dtype: torch.dtype, bias: bool, wants: str) -> None:
    layer = recurra.Recurrent(cell, 3, 7 * cell.heads, bias=bias, dtype=dtype)
    for name, parameter in layer.named_parameters():
        parameter.requires_grad_(wants in ("everything", "weights") or (wants == "bias" and "bias" in name))
    for _ in range(2):
        x = torch.randn(1, batch, 3, dtype=dtype, requires_grad=wants in ("everything", "inputs"))
        hx = [torch.randn(1, batch, layer.hidden_size, dtype=dtype) for _ in cell.state]
        for part in hx:
            part.requires_grad_(wants == "everything")
        wanted = [tensor for tensor in (x, *hx, *layer.parameters()) if tensor.requires_grad]
        results = []
        for backend in ("auto", "reference"):
            layer.backend = backend
            result = tensors(layer(x, hx[0] if len(hx) == 1 else tuple(hx)))
            results.append([*result, *gradients(result, wanted), *gradients(result[:1], wanted)])
        assert_agree(results[0], results[1])


@pytest.mark.parametrize("cell", [cells.LSTM(), cells.GRU(), cells.Elman()], ids=str)
def test_what_autograd_asks_of_a_layer(cell: Cell) -> None:
    layer = recurra.Recurrent(cell, 3, 5, dtype=torch.float64)
    x = torch.randn(1, 4, 3, dtype=torch.float64, requires_grad=True)
    wanted = [x, *layer.parameters()]
    results = []
    for backend in ("native", "reference"):
        layer.backend = backend
        output, _ = layer(x)
        first = torch.autograd.grad(output.square().sum(), wanted, create_graph=True)
        second = torch.autograd.grad(torch.stack([g.square().sum() for g in first]).sum(), wanted, retain_graph=True)
        rows = torch.eye(20, dtype=torch.float64).view(20, 1, 4, 5)
        batched = torch.autograd.grad(output, wanted, rows, is_grads_batched=True)
        with torch.autograd.graph.save_on_cpu():
            again = torch.autograd.grad(layer(x)[0].square().sum(), wanted)
        results.append([*first, *second, *batched, *again])
    assert_agree(results[0], results[1])


def test_weights_that_change_before_the_backward_pass_are_refused() -> None:
    layer = recurra.GRU(3, 5)
    loss = layer(torch.randn(1, 4, 3, requires_grad=True))[0].sum()
    with torch.no_grad():
        layer.weight_ih_l0.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def products(seen: list[Any], run: Callable[[], Any]) -> list[bool]:
    """For each launch of a run, whether the engine is given the recurrent weights."""
    seen.clear()
    run()
    return list(seen)


def test_the_engine_gets_no_weights_that_it_would_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    launch = launches.launch

    def spy(one: launches.Launch) -> None:
        seen.append(bool(one.call.weight))
        launch(one)

    monkeypatch.setattr(launches, "launch", spy)

    def train(steps: int, batch: int) -> None:
        case = draw(cells.GRU(), steps, batch, 3, 5)
        case.run("native")[0].sum().backward()

    assert products(seen, lambda: train(1, 4)) == [False, False]
    assert products(seen, lambda: train(1, 1)) == [True, False]
    assert products(seen, lambda: train(2, 4)) == [True, True]
