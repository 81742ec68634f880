"""A runner that remembers gives what one that does not would."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import prune as prune_weights
from torch.utils._pytree import tree_map

import recurra
from agreement import tensors
from every_cell import KINDS, serving
from recurra import cells
from recurra.errors import BackendError, ShapeError
from recurra.kernels import runner
from recurra.kernels.native import extension

pytestmark = pytest.mark.skipif(not extension.is_installed(), reason="needs the C++ extension")

STEPS, BATCH, INPUTS, HIDDEN = 5, 2, 3, 4


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A list that grows with each call that uses what was found before."""
    calls: list[Any] = []

    def counted(run: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: (calls.append(arguments), run(*arguments))[1]

    monkeypatch.setattr(runner, "run_prepared", counted(runner.run_prepared))
    monkeypatch.setattr(runner.SingleStep, "run", counted(runner.SingleStep.run))
    return calls


def check(layer: Any, dtype: torch.dtype = torch.float32) -> Tensor:
    """The output in inference, which is that of the reference."""
    x, backend = torch.randn(STEPS, BATCH, INPUTS, dtype=dtype), layer.backend
    with torch.no_grad():
        output, final = layer(x)
        layer.backend = "reference"
        expected, expected_final = layer(x)
    layer.backend = backend
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(final, expected_final, rtol=1e-5, atol=1e-6)
    return output


@pytest.mark.parametrize("cell", KINDS, ids=str)
@given(steps=st.integers(0, 12), batch=st.integers(0, 9), data=st.data())
@settings(max_examples=5)
def test_every_cell_again_and_again(cell: cells.Cell, steps: int, batch: int, data: st.DataObject) -> None:
    hidden = 5 * cell.heads
    layer = recurra.Recurrent(cell, 3, hidden, num_layers=2, bidirectional=data.draw(st.booleans()))
    reference = copy.deepcopy(layer)
    reference.backend = "reference"
    with torch.no_grad():
        for _ in range(3):
            x = torch.randn(steps, batch, 3)
            output, final = layer(x)
            expected, expected_final = reference(x)
            torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(final, expected_final, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", KINDS, ids=str)
@pytest.mark.parametrize("steps", [1, 3])
def test_training_again_and_again(cell: cells.Cell, steps: int, remembered: list[Any]) -> None:
    layer = recurra.Recurrent(cell, 3, 5 * cell.heads, dtype=torch.float64)
    reference = copy.deepcopy(layer)
    reference.backend = "reference"
    optimizers = [torch.optim.SGD(each.parameters(), lr=0.1) for each in (layer, reference)]
    for batch in (2, 5, 2):
        x = torch.randn(steps, batch, 3, dtype=torch.float64, requires_grad=True)
        results = []
        for each, optimizer in zip((layer, reference), optimizers, strict=True):
            optimizer.zero_grad()
            output, final = each(x)
            torch.stack([part.square().sum() for part in tensors((output, final))]).sum().backward()
            results.append([*tensors((output, final)), x.grad, *(p.grad for p in each.parameters())])
            x.grad = None
            optimizer.step()
        torch.testing.assert_close(results[0], results[1], rtol=1e-8, atol=1e-9)
    assert len(remembered) == (3 if "native" in serving(cell) else 0)


def test_training_sees_weights_that_change(remembered: list[Any]) -> None:
    layer: Any = recurra.GRU(INPUTS, HIDDEN)
    x = torch.randn(STEPS, BATCH, INPUTS)
    for change in (lambda _: None, replace, set_data, transpose, change_in_place, parametrise):
        change(layer)
        results = []
        for backend in ("auto", "reference"):
            layer.backend = backend
            output, _ = layer(x)
            results.append([output, *torch.autograd.grad(output.square().sum(), list(layer.parameters()))])
        torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-5)
    assert remembered


def replace(layer: Any) -> None:
    layer.weight_hh_l0 = nn.Parameter(torch.randn_like(layer.weight_hh_l0))


def set_data(layer: Any) -> None:
    layer.weight_ih_l0.data = torch.randn_like(layer.weight_ih_l0)


def transpose(layer: Any) -> None:
    layer.weight_hh_l0.data = layer.weight_hh_l0.data.T.contiguous().T


def change_in_place(layer: Any) -> None:
    with torch.no_grad():
        layer.bias_hh_l0.add_(1)


def parametrise(layer: Any) -> None:
    nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")


def prune(layer: Any) -> None:
    prune_weights.random_unstructured(layer, "weight_hh_l0", 0.5)


@pytest.mark.parametrize("change", [replace, set_data, transpose, change_in_place, parametrise, prune])
def test_weights_that_change_are_seen(change: Callable[[Any], None], remembered: list[Any]) -> None:
    layer = recurra.Recurrent(cells.Elman(), INPUTS, HIDDEN)
    before = check(layer)
    assert len(remembered) == 1
    change(layer)
    torch.manual_seed(0)
    after = check(layer)
    assert not torch.equal(before, after)


def test_parameters_of_units_that_change_in_place_are_seen(remembered: list[Any]) -> None:
    layer = recurra.Recurrent(cells.PeepholeLSTM(), INPUTS, HIDDEN)
    check(layer)
    with torch.no_grad():
        layer.get_parameter("peephole_o_l0").add_(1)
    check(layer)
    assert len(remembered) == 2


def test_the_type_may_change(remembered: list[Any]) -> None:
    layer = recurra.GRU(INPUTS, HIDDEN)
    check(layer)
    check(layer.double(), torch.float64)
    check(layer.float())
    assert len(remembered) == 3


def test_functional_call_sees_its_own_weights() -> None:
    layer = recurra.GRU(INPUTS, HIDDEN)
    x = torch.randn(STEPS, BATCH, INPUTS)
    others = {name: torch.randn_like(parameter) for name, parameter in layer.named_parameters()}
    other = recurra.GRU(INPUTS, HIDDEN)
    other.load_state_dict(others)
    with torch.no_grad():
        layer(x)
        torch.testing.assert_close(torch.func.functional_call(layer, others, (x,))[0], other(x)[0])


def test_a_bias_that_becomes_the_other_is_seen() -> None:
    layer: Any = recurra.GRU(INPUTS, HIDDEN)
    bias = nn.Parameter(torch.randn(3 * HIDDEN))
    layer.bias_ih_l0, layer.bias_hh_l0 = bias, None
    check(layer)
    layer.bias_ih_l0, layer.bias_hh_l0 = None, bias
    check(layer)


class Wrapped(Tensor):
    """A tensor whose memory is another's, as of quantised weights."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "Wrapped":
        made = Tensor._make_wrapper_subclass(cls, held.shape, dtype=held.dtype)  # type: ignore[attr-defined]
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def held(value: Any) -> Any:
            return value.held if isinstance(value, Wrapped) else value

        return func(*tree_map(held, args), **tree_map(held, kwargs or {}))


@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"])
@pytest.mark.parametrize("grad", [False, True])
def test_weights_without_memory_of_their_own(name: str, grad: bool) -> None:
    layer = recurra.GRU(INPUTS, HIDDEN)
    x = torch.randn(STEPS, BATCH, INPUTS)
    with torch.set_grad_enabled(grad):
        expected = layer(x)[0]
        held = layer.get_parameter(name).detach()
        delattr(layer, name)
        setattr(layer, name, Wrapped(held))
        torch.testing.assert_close(layer(x)[0], expected)


def test_a_copy_remembers_nothing_of_the_original(remembered: list[Any]) -> None:
    layer = recurra.LSTM(INPUTS, HIDDEN)
    check(layer)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        with torch.no_grad():
            other.get_parameter("weight_hh_l0").mul_(2)
        check(other)
    check(layer)


def test_recomputing_and_autocast_take_the_general_way(remembered: list[Any]) -> None:
    layer = recurra.GRU(INPUTS, HIDDEN, recompute=True)
    x = torch.randn(STEPS, BATCH, INPUTS)
    output, _ = layer(x)
    output.sum().backward()
    assert layer.weight_hh_l0.grad is not None
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        layer(x)
    with torch.no_grad():
        layer(x, lengths=torch.tensor([5, 3]))
    assert not remembered


@pytest.mark.parametrize("steps", [1, STEPS])
def test_lengths_that_are_full_take_the_prepared_way(steps: int, remembered: list[Any]) -> None:
    layer = recurra.GRU(INPUTS, HIDDEN)
    x = torch.randn(steps, BATCH, INPUTS, requires_grad=True)
    results = []
    for lengths in (None, torch.full((BATCH,), steps)):
        output, final = layer(x, lengths=lengths)
        results.append((output, final, *torch.autograd.grad(output.sum() + final.sum(), [x, *layer.parameters()])))
    torch.testing.assert_close(results[0], results[1])
    assert len(remembered) == 2
    layer(x, lengths=[steps, 0])
    assert len(remembered) == 2


def test_what_does_not_fit_is_refused_after_calls_that_did() -> None:
    layer, step = recurra.GRU(INPUTS, HIDDEN), recurra.GRUCell(INPUTS, HIDDEN)
    with torch.no_grad():
        layer(torch.randn(STEPS, BATCH, INPUTS))
        step(torch.randn(BATCH, INPUTS))
        for call in (
            lambda: layer(torch.randn(STEPS, BATCH, INPUTS + 1)),
            lambda: layer(torch.randn(STEPS, BATCH, INPUTS), torch.zeros(1, BATCH + 1, HIDDEN)),
            lambda: layer(torch.randn(STEPS, BATCH, INPUTS), torch.zeros(1, BATCH, HIDDEN).double()),
            lambda: step(torch.randn(BATCH, INPUTS + 1)),
            lambda: step(torch.randn(BATCH, INPUTS), torch.zeros(BATCH + 1, HIDDEN)),
        ):
            with pytest.raises(ShapeError):
                call()
        layer.weight_hh_l0.data = torch.randn(3 * HIDDEN, HIDDEN + 1)
        with pytest.raises(ShapeError, match="weight_hh"):
            layer(torch.randn(STEPS, BATCH, INPUTS))


def test_a_backend_asked_for_by_name_is_the_one_that_runs(remembered: list[Any]) -> None:
    layer = recurra.GRU(INPUTS, HIDDEN)
    check(layer)
    layer.backend = "aten"
    check(layer)
    layer.backend = "reference"
    check(layer)
    assert len(remembered) == 1
    layer = recurra.Recurrent(cells.MGU(), INPUTS, HIDDEN, backend="aten")
    with torch.no_grad(), pytest.raises(BackendError):
        layer(torch.randn(STEPS, BATCH, INPUTS))
