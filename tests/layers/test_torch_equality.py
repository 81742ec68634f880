"""recurra.RNN, LSTM and GRU are torch.nn's: outputs, final states and every gradient, in float64 to 1e-10."""

import copy
import inspect
import io
import pickle
import typing
import warnings
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import recurra
from agreement import assert_agree, gradients
from every_cell import MIXING
from recurra.errors import ParameterError

KINDS = ("RNN tanh", "RNN relu", "LSTM", "LSTM projected", "GRU")
# The native kernel does not project the output.
SERVED_KINDS = [pair for pair in product(KINDS, MIXING) if pair != ("LSTM projected", "native")]
LAYOUTS = ("padded", "batch_first", "unbatched", "packed sorted", "packed unsorted", "packed batch_first")


@dataclass(frozen=True)
class Case:
    """Sizes and options of one comparison."""

    layout: str
    steps: int
    batch: int
    input_size: int
    hidden_size: int
    num_layers: int
    bidirectional: bool
    bias: bool
    with_state: bool
    proj_size: int
    lengths: tuple[int, ...]
    seed: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    steps = draw(st.integers(1, 7))
    batch = draw(st.integers(1, 5))
    hidden_size = draw(st.sampled_from((2, 3, 5, 8, 17)))
    layout = draw(st.sampled_from(LAYOUTS))
    lengths = draw(st.lists(st.integers(1, steps), min_size=batch, max_size=batch))
    if layout == "packed sorted":
        lengths.sort(reverse=True)
    return Case(
        layout=layout,
        steps=steps,
        batch=batch,
        input_size=draw(st.sampled_from((1, 2, 3, 16))),
        hidden_size=hidden_size,
        num_layers=draw(st.integers(1, 3)),
        bidirectional=draw(st.booleans()),
        bias=draw(st.booleans()),
        with_state=draw(st.booleans()),
        proj_size=draw(st.integers(1, hidden_size - 1)),
        lengths=tuple(lengths),
        seed=draw(st.integers(0, 2**16)),
    )


def both(kind: str, *sizes: int, backend: str = "auto", **options: Any) -> tuple[nn.Module, recurra.Recurrent]:
    """torch's network and ours, with the same random weights."""
    name, *option = kind.split()
    if name == "RNN":
        options["nonlinearity"] = option[0]
    if option != ["projected"]:
        options.pop("proj_size", None)
    options.setdefault("dtype", torch.float64)
    theirs = getattr(nn, name)(*sizes, **options)
    ours = getattr(recurra, name)(*sizes, **options, backend=backend)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, ours


def arguments(case: Case, parts: int, projected: bool) -> tuple[Any, Any, list[Tensor]]:
    """Input, initial state, and the tensors whose gradients are compared."""

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64).requires_grad_()

    unbatched, batch_first = case.layout == "unbatched", "batch_first" in case.layout
    batch = () if unbatched else (case.batch,)
    x = draw(*((*batch, case.steps) if batch_first else (case.steps, *batch)), case.input_size)
    states = case.num_layers * (1 + case.bidirectional)
    sizes = [case.proj_size if projected else case.hidden_size, case.hidden_size][:parts]
    hx = [draw(states, *batch, size) for size in sizes] if case.with_state else []
    wanted = [x, *hx]
    given_x: Any = x
    if case.layout.startswith("packed"):
        given_x = pack_padded_sequence(
            x, torch.tensor(case.lengths), batch_first, enforce_sorted=case.layout == "packed sorted"
        )
    return given_x, (None if not hx else hx[0] if parts == 1 else tuple(hx)), wanted


@pytest.mark.parametrize(("kind", "backend"), SERVED_KINDS)
@settings(max_examples=40)
@given(case=cases())
def test_outputs_states_and_gradients(kind: str, backend: str, case: Case) -> None:
    torch.manual_seed(case.seed)
    theirs, ours = both(
        kind,
        case.input_size,
        case.hidden_size,
        backend=backend,
        num_layers=case.num_layers,
        bias=case.bias,
        batch_first="batch_first" in case.layout,
        bidirectional=case.bidirectional,
        proj_size=case.proj_size,
    )
    x, hx, wanted = arguments(case, 2 if kind.startswith("LSTM") else 1, kind == "LSTM projected")
    expected = theirs(x, hx)
    actual = ours(x, hx)
    assert_agree(actual, expected)
    assert_agree(
        gradients(actual, [*wanted, *ours.parameters()]),
        gradients(expected, [*wanted, *theirs.parameters()]),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_state_dicts_are_interchangeable(kind: str) -> None:
    theirs, ours = both(kind, 3, 5, num_layers=2, bidirectional=True, proj_size=2)
    ours.reset_parameters()
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    before = theirs(x)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    assert list(theirs.state_dict()) == list(ours.state_dict())
    assert not torch.equal(before[0], theirs(x)[0])
    assert_agree(theirs(x), ours(x))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [True, False])
def test_the_same_seed_gives_the_same_weights(kind: str, bias: bool) -> None:
    name, *option = kind.split()
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "bias": bias}
    if option == ["projected"]:
        options["proj_size"] = 2
    made = []
    for package in (nn, recurra):
        torch.manual_seed(3)
        made.append(getattr(package, name)(4, 6, **options).state_dict())
    assert made[0].keys() == made[1].keys()
    for key, value in made[0].items():
        assert torch.equal(value, made[1][key]), key


@pytest.mark.parametrize(("kind", "backend"), SERVED_KINDS)
def test_dropout(kind: str, backend: str) -> None:
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    theirs, ours = both(kind, 3, 8, num_layers=3, dropout=0.5, proj_size=4, backend=backend)
    theirs.eval()
    ours.eval()
    assert_agree(ours(x), theirs(x))
    without = ours(x)
    ours.train()
    torch.manual_seed(1)
    first = ours(x)
    torch.manual_seed(1)
    assert_agree(ours(x), first)
    assert not torch.allclose(ours(x)[0], first[0])
    assert not torch.allclose(first[0], without[0])
    theirs, ours = both(kind, 3, 8, num_layers=3, dropout=1.0, proj_size=4, backend=backend)
    assert_agree(ours(x), theirs(x))
    assert_agree(ours(2 * x)[0], ours(x)[0])  # nothing of the input reaches the last layer
    assert not torch.allclose(ours(x)[0], without[0])


def test_dropout_spares_the_last_layer() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that the option does nothing
        theirs, ours = both("LSTM", 3, 8, dropout=0.9)
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    assert ours.training
    assert_agree(ours(x), theirs(x))


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_constructor_takes_torch_s_arguments_in_order(name: str) -> None:
    theirs = inspect.signature(typing.get_overloads(getattr(nn, name).__init__)[0])
    ours = inspect.signature(getattr(recurra, name).__init__)
    leading = list(ours.parameters.values())[: len(theirs.parameters)]
    assert [(p.name, p.default) for p in leading] == [(p.name, p.default) for p in theirs.parameters.values()]
    beyond = list(ours.parameters.values())[len(leading) :]
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in beyond)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_constructor_takes_every_option_of_recurrent(name: str) -> None:
    kind = getattr(recurra, name)
    ours, general = (inspect.signature(each.__init__).parameters for each in (kind, recurra.Recurrent))
    # elapsed_size is of cells that read the time, which torch has not.
    for option, parameter in general.items():
        if option not in ("cell", "elapsed_size"):
            assert ours[option].default == parameter.default, option
    # Each reaches the layer as it was given.
    given = {
        "num_layers": 2,
        "bias": False,
        "batch_first": True,
        "dropout": 0.1,
        "bidirectional": True,
        "proj_size": 0 if name == "GRU" else 2,
        "dtype": torch.float64,
        "device": "cpu",
        "recurrent_dropout": 0.2,
        "zoneout": (0.3, 0.4) if name == "LSTM" else (0.3,),
        "weight_dropout": 0.5,
        "variational": True,
        "recompute": True,
        "backend": "reference",
    }
    assert given.keys() == general.keys() - {"self", "cell", "input_size", "hidden_size", "elapsed_size"}
    layer = kind(3, 4, **given)
    assert (layer.weight_ih_l0.dtype, layer.weight_ih_l0.device.type) == (given.pop("dtype"), given.pop("device"))
    assert {option: getattr(layer, option) for option in given} == given
    # It is the general layer over its cell.
    torch.manual_seed(0)
    other = recurra.Recurrent(layer.cell, 3, 4, **given, dtype=torch.float64)
    other.load_state_dict(layer.state_dict(), strict=True)
    x = torch.randn(5, 6, 3, dtype=torch.float64)
    results = []
    for each in (layer, other):
        torch.manual_seed(1)
        results.append(each(x))
    assert_agree(*results)


def test_rnn_and_lstm_project_and_a_gru_refuses() -> None:
    assert recurra.RNN(3, 4, proj_size=2)(torch.zeros(5, 1, 3))[0].shape == (5, 1, 2)
    with pytest.raises(ParameterError, match=r"^proj_size: expected 0, as GRU\(\) mixes its last output"):
        recurra.GRU(3, 4, proj_size=2)


@pytest.mark.parametrize("name", ["Recurrent", "RecurrentCell", "RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"])
def test_backend_is_given_by_name(name: str) -> None:
    assert inspect.signature(getattr(recurra, name)).parameters["backend"].kind is inspect.Parameter.KEYWORD_ONLY


def test_forward_takes_torch_s_names() -> None:
    theirs, ours = both("GRU", 3, 5)
    x, h = torch.randn(4, 2, 3, dtype=torch.float64), torch.randn(1, 2, 5, dtype=torch.float64)
    assert_agree(ours(input=x, hx=h), theirs(input=x, hx=h))


def copied(module: nn.Module) -> nn.Module:
    return copy.deepcopy(module)


def pickled(module: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(module))


def saved(module: nn.Module) -> nn.Module:
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    buffer.seek(0)
    other = copy.deepcopy(module)
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    other.load_state_dict(torch.load(buffer, weights_only=True), strict=True)
    return other


@pytest.mark.parametrize("through", [copied, pickled, saved])
@pytest.mark.parametrize("kind", KINDS)
def test_round_trips(kind: str, through: Any) -> None:
    _, ours = both(kind, 3, 5, num_layers=2, bidirectional=True, proj_size=2)
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    other = through(ours)
    assert repr(other) == repr(ours)
    assert_agree(other(x), ours(x))
    with torch.no_grad():
        other.weight_hh_l0.mul_(2)
    assert not torch.allclose(other(x)[0], ours(x)[0])


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("kind", KINDS)
def test_dtypes(kind: str) -> None:
    theirs, ours = both(kind, 3, 5, num_layers=2, proj_size=2, dtype=torch.float32)
    x = torch.randn(4, 2, 3)
    assert_agree(ours(x), theirs(x))
    assert_agree(ours.double()(x.double()), theirs.double()(x.double()))
    half = ours.to(torch.bfloat16)
    output, _ = half(x.bfloat16())
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.double(), theirs(x.double())[0], rtol=0.05, atol=0.05)


def test_repr_shows_what_is_not_the_default() -> None:
    shown = repr(recurra.LSTM(3, 5, 2, bidirectional=True, backend="reference"))
    assert shown == "LSTM(LSTM(), 3, 5, num_layers=2, bidirectional=True, backend='reference')"


def test_output_size() -> None:
    for proj_size, bidirectional in product((0, 2), (False, True)):
        layer = recurra.LSTM(3, 5, proj_size=proj_size, bidirectional=bidirectional, dtype=torch.float64)
        assert layer.output_size == layer(torch.randn(2, 1, 3, dtype=torch.float64))[0].shape[-1]
