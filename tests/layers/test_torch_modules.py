"""PyTorch's own samples for the tests of its six recurrent modules, and the behaviour of those modules, on Recurra's.

What differs, and why:

- Messages of errors have torch's words, after the name of the parameter, what was expected and what was received.
- A sequence of no steps: torch.nn raises RuntimeError, Recurra returns no output and the state as it was.
- `proj_size` of RNN: torch.nn refuses it, Recurra projects the output. A `proj_size` of GRU is refused by both, here in
  other words, for any value but 0.
- `hidden_size=0` of a cell: torch.nn takes it, Recurra refuses it, as both refuse it of a layer.
- `bias="relu"` of a cell, which two of torch's samples pass by position: torch.nn takes it for true, Recurra refuses
  it, as both refuse it of a layer.
- `dropout` with one layer: torch.nn warns that it does nothing, Recurra does not.
- A scripted module: torch.jit.script refuses Recurra's modules, and says what to use.
- `flatten_parameters` and the flat list of weights: Recurra's modules have no such list.
"""

import copy
import io
import pickle
import re
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

import recurra
from agreement import assert_agree, gradients, tensors

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

NAMES = ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")


def entry(name: str) -> Any:
    # On import it forbids the whole process to set the flags of backends.
    with patch("torch.backends.disable_global_flags"):
        common = pytest.importorskip("torch.testing._internal.common_modules", reason="needs expecttest")
    return next(info for info in common.module_db if info.module_cls is getattr(nn, name))


def samples(name: str, **options: Any) -> Iterator[tuple[Any, Any, tuple[Any, ...]]]:
    """torch's module, Recurra's with the same weights, and the arguments of a call, for every sample."""
    info = entry(name)
    if name in ("RNN", "GRU"):
        options["with_packed_sequence"] = True
    for training in (True, False):
        found = info.module_inputs_func(
            info, device="cpu", dtype=torch.float64, requires_grad=True, training=training, **options
        )
        for sample in found:
            made = sample.constructor_input
            theirs = getattr(nn, name)(*made.args, **made.kwargs, dtype=torch.float64).train(training)
            ours = getattr(recurra, name)(*made.args, **made.kwargs, dtype=torch.float64).train(training)
            ours.load_state_dict(theirs.state_dict())
            yield theirs, ours, sample.forward_input.args


def of_layout(arguments: Any) -> Any:
    """The arguments with every tensor stored in another order."""
    if isinstance(arguments, PackedSequence):
        return arguments
    if isinstance(arguments, Tensor):
        spread = torch.stack([arguments.detach(), torch.full_like(arguments, torch.nan)], dim=-1)[..., 0]
        return spread.requires_grad_()
    return type(arguments)(of_layout(part) for part in arguments)


@pytest.mark.parametrize("name", NAMES)
def test_results_and_gradients(name: str) -> None:
    for theirs, ours, arguments in samples(name):
        for layout in (arguments, of_layout(arguments)):
            inputs = [tensor for tensor in tensors(layout) if tensor.requires_grad]
            expected, actual = theirs(*layout), ours(*layout)
            assert_agree(actual, expected)
            wanted = gradients(expected, [*inputs, *theirs.parameters()])
            assert_agree(gradients(actual, [*inputs, *ours.parameters()]), wanted)


@pytest.mark.parametrize("name", NAMES)
def test_first_and_second_derivatives(name: str) -> None:
    for _, ours, arguments in list(samples(name))[:8]:
        inputs = [tensor.detach().requires_grad_() for tensor in tensors(arguments)]
        if isinstance(arguments[0], PackedSequence):
            continue

        def run(x: Tensor, *state: Tensor, module: nn.Module = ours) -> tuple[Tensor, ...]:
            return tuple(tensors(module(x, state if len(state) > 1 else state[0] if state else None)))

        assert torch.autograd.gradcheck(run, inputs)
        assert torch.autograd.gradgradcheck(run, inputs)


@pytest.mark.parametrize("name", NAMES)
def test_copies_dtypes_and_devices(name: str) -> None:
    for theirs, ours, arguments in samples(name):
        assert repr(ours)
        expected = ours(*arguments)
        assert_agree(copy.deepcopy(ours)(*arguments), expected)
        assert_agree(pickle.loads(pickle.dumps(ours))(*arguments), expected)
        written = io.BytesIO()
        torch.save(ours.state_dict(), written)
        theirs.load_state_dict(torch.load(io.BytesIO(written.getvalue())))
        assert_agree(theirs(*arguments), expected)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        assert {p.dtype for p in ours.float().parameters()} == {torch.float32}
        assert {p.device.type for p in ours.to("meta").parameters()} == {"meta"}


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_attributes_of_layers(name: str) -> None:
    for theirs, ours, _ in samples(name):
        assert ours.mode == theirs.mode
        assert len(ours.all_weights) == len(theirs.all_weights)
        for mine, torch_s in zip(ours.all_weights, theirs.all_weights, strict=True):
            assert_agree([p.detach() for p in mine], [p.detach() for p in torch_s])


@pytest.mark.parametrize("name", NAMES)
def test_errors(name: str) -> None:
    info = entry(name)
    found = info.module_error_inputs_func(info, device="cpu", dtype=torch.float64, requires_grad=False, training=True)
    kind = getattr(recurra, name)
    checked = 0
    for wrong in found:
        made, call = wrong.module_error_input.constructor_input, wrong.module_error_input.forward_input
        if name.endswith("Cell") and len(made.args) > 2:
            with pytest.raises(TypeError, match="bias should be of type bool, got: str"):
                kind(*made.args)
            continue
        with pytest.raises(wrong.error_type, match=wrong.error_regex):
            kind(*made.args, **{"dtype": torch.float64, **made.kwargs})(*call.args)
        checked += 1
    assert checked >= 4


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_wrong_shapes_of_layers(name: str) -> None:
    kinds = [getattr(library, name) for library in (nn, recurra)]
    x, states = torch.randn(5, 3, 10), 2 if name == "LSTM" else 1

    def state(*shape: int) -> Any:
        parts = tuple(torch.randn(shape) for _ in range(states))
        return parts if states > 1 else parts[0]

    calls = [
        (torch.randn(5, 3, 11), state(4, 3, 20)),
        (x, state(3, 3, 20)),
        (x, state(4, 2, 20)),
        (x, state(4, 3, 21)),
        (x, state(4, 20)),
        (x[:, 0], state(4, 1, 20)),
    ]
    for kind in kinds:
        module: Any = kind(10, 20, num_layers=2, bidirectional=True)
        for call in calls:
            with pytest.raises(RuntimeError):
                module(*call)
        with pytest.raises(ValueError, match=rf"{name}: Expected input to be 2D or 3D, got 4D"):
            module(torch.randn(2, 5, 3, 10))


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_a_state_is_not_broadcast_over_the_batch(name: str) -> None:
    h = torch.randn(1, 20)
    hx = (h, h) if name == "LSTMCell" else h
    for library in (nn, recurra):
        with pytest.raises(RuntimeError, match="Input batch size 3 doesn't match hidden0 batch size 1"):
            getattr(library, name)(10, 20)(torch.randn(3, 10), hx)


def test_projected_states_of_wrong_sizes() -> None:
    x = torch.randn(5, 3, 10)
    for kind in (nn.LSTM, recurra.LSTM):
        module = kind(10, 20, proj_size=7)
        for h, c in ((20, 20), (7, 7), (8, 20)):
            with pytest.raises(RuntimeError):
                module(x, (torch.randn(1, 3, h), torch.randn(1, 3, c)))
        for wrong in (-1, 20, 21):
            with pytest.raises(ValueError, match="proj_size"):
                kind(10, 20, proj_size=wrong)


def test_unknown_nonlinearity() -> None:
    for kind in (nn.RNN, nn.RNNCell, recurra.RNN, recurra.RNNCell):
        with pytest.raises((ValueError, RuntimeError), match=r"nonlinearity.*garbage"):
            kind(10, 20, nonlinearity="garbage")(torch.randn(3, 10))


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_dropout_between_layers(name: str) -> None:
    x = torch.ones(4, 2, 6)
    for library in (nn, recurra):
        module = getattr(library, name)(6, 50, 2, dropout=1.0)
        evaluated = module.eval()(x)[0]
        torch.manual_seed(1)
        dropped = module.train()(x)[0]
        blank = copy.deepcopy(module).eval()
        with torch.no_grad():
            blank.weight_ih_l1.zero_()
        torch.testing.assert_close(dropped, blank(x)[0])  # everything between the layers is dropped
        assert (dropped - evaluated).abs().max() > 1e-3
        with pytest.raises(ValueError, match="dropout"):
            getattr(library, name)(6, 5, dropout=1.5)


def test_weights_that_share_memory_or_do_not_lie_in_order() -> None:
    x = torch.randn(5, 3, 4, dtype=torch.float64)
    for kind, ours in ((nn.LSTM, recurra.LSTM), (nn.GRU, recurra.GRU)):
        theirs: Any = kind(4, 4, 2, dtype=torch.float64)
        mine: Any = ours(4, 4, 2, dtype=torch.float64)
        mine.load_state_dict(theirs.state_dict())
        for module in (theirs, mine):
            with torch.no_grad():
                module.weight_hh_l0.set_(module.weight_hh_l0.t().contiguous().t())
            module.weight_ih_l1 = module.weight_ih_l0
        assert_agree(mine(x), theirs(x))
        assert_agree(gradients(mine(x), mine.parameters()), gradients(theirs(x), theirs.parameters()))


@pytest.mark.parametrize("make", [recurra.LSTMCell, recurra.GRUCell, recurra.RNNCell])
def test_torch_s_cells_take_zoneout(make: Any) -> None:
    x = torch.randn(2, 3)
    state = torch.ones(2, 4)
    after = make(3, 4, zoneout=1.0)(x, (state, state) if make is recurra.LSTMCell else state)
    assert torch.equal(after[0] if make is recurra.LSTMCell else after, state)


def test_each_difference_listed_above_is_one() -> None:
    assert recurra.GRU(3, 4)(torch.zeros(0, 2, 3))[0].shape == (0, 2, 4)
    assert recurra.RNN(3, 4, proj_size=2)(torch.zeros(5, 2, 3))[0].shape == (5, 2, 2)
    assert recurra.GRU(3, 4, proj_size=0).proj_size == 0
    for call, words in (
        (lambda: nn.GRU(3, 4)(torch.zeros(0, 2, 3)), "sequence length to be larger than 0"),
        (lambda: nn.RNN(3, 4, proj_size=2), "only supported for LSTM"),
        (lambda: nn.GRU(3, 4, proj_size=2), "only supported for LSTM"),
        (lambda: recurra.GRU(3, 4, proj_size=2), "proj_size: expected 0"),
        (lambda: recurra.RNN(3, 4, nonlinearity="garbage"), "Unknown nonlinearity"),
        (lambda: recurra.RNNCell(3, 4, nonlinearity="garbage"), "Unknown nonlinearity"),
        (lambda: recurra.LSTM(3, 4, proj_size=9), "has to be smaller than hidden_size"),
        (lambda: recurra.LSTM(3, 4, proj_size=-1), "should be a positive integer"),
        (lambda: recurra.GRU(3, 4, dropout=2.0), "should be a number in range [0, 1]"),
        (lambda: recurra.GRUCell(3, 0), "hidden_size must be greater than zero"),
    ):
        with pytest.raises((ValueError, RuntimeError), match=re.escape(words)):
            call()
    assert nn.GRUCell(3, 0).hidden_size == 0
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
        nn.GRU(3, 4, dropout=0.5)
    recurra.GRU(3, 4, dropout=0.5)
