"""torch.func's transforms over the engine, alone and in one another, equal to the same over the reference."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from against_reference import NATIVE
from torch import Tensor
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, linearize, vjp, vmap
from torch.utils._pytree import tree_leaves

import covering
from agreement import assert_agree, tensors
from every_cell import KINDS, Peephole, fitting
from recurra import Recurrent, cells, kernels
from recurra.cells import Cell
from recurra.errors import BackendError
from recurra.kernels import reference
from recurra.kernels.native import forward

pytestmark = [
    pytest.mark.skipif(not NATIVE, reason="needs the C++ extension"),
    # torch itself calls what it deprecates when a forward-mode derivative is first asked for.
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
]
STEPS, BATCH, INPUTS, MEMBERS = 4, 2, 2, 3
LENGTHS = torch.tensor([4, 2])
# Each has something that others have not: gates that need more than a sum, no recurrence, a diagonal one, heads,
# normalisation, gates in two rounds, a projected output, per-unit parameters.
CHOSEN = [
    cells.LSTM(),
    cells.GRU(),
    cells.MinLSTM(),
    cells.IndRNN(),
    cells.SLSTM(2),
    cells.LayerNormLSTM(),
    cells.GRUResetBefore(),
    cells.Jordan(),
    Peephole(),
]
# Of these the engine itself sums gradients of weights over its rows: for each sample's own it runs sample by sample.
SUMMED = (cells.IndRNN, cells.LayerNormLSTM, Peephole)
Loss = Callable[..., Tensor]


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def setting(cell: Cell, **options: Any) -> tuple[Loss, dict[str, Tensor]]:
    """A loss as a function of parameters, input and lengths, on the engine, and its parameters."""
    layer = Recurrent(cell, INPUTS, fitting(cell, 3), **options, dtype=torch.float64)

    def loss(parameters: dict[str, Tensor], x: Tensor, lengths: Tensor | None = None) -> Tensor:
        results = tensors(functional_call(layer, parameters, (x, None, lengths)))
        return sum((part.sin().square().sum() for part in results), x.new_zeros(()))

    return loss, {name: parameter.detach() for name, parameter in layer.named_parameters()}


def stacked(parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.stack([value * factor for factor in (1.0, 0.5, -0.5)]) for name, value in parameters.items()}


def compare(
    monkeypatch: pytest.MonkeyPatch, runs: Counter[str], compute: Callable[[], Any], forward: int, backward: int
) -> None:
    """What is computed on the engine, run as often as told, equals what is computed on the reference."""
    with monkeypatch.context() as patch:
        runs.clear()
        found = tree_leaves(compute())
        assert (runs["forward"], runs["backward"]) == (forward, backward)
        patch.setattr("recurra.kernels.dispatch._KERNELS", dict.fromkeys(kernels.BACKENDS, reference.run))
        assert_agree(found, tree_leaves(compute()))
        assert (runs["forward"], runs["backward"]) == (forward, backward)


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, engine_runs: Counter[str]) -> Callable[..., None]:
    """`compare`, in this test."""

    def check(compute: Callable[[], Any], forward: int, backward: int) -> None:
        compare(monkeypatch, engine_runs, compute, forward, backward)

    return check


@covering.parametrize({"cell": CHOSEN, "lengths": [None, LENGTHS]}, strength=1)
def test_an_ensemble(cell: Cell, lengths: Tensor | None, check: Callable[..., None]) -> None:
    loss, parameters = setting(cell)
    x = normal(STEPS, BATCH, INPUTS)
    members = stacked(parameters)
    check(lambda: vmap(loss, (0, None, None))(members, x, lengths), MEMBERS, 0)
    check(lambda: vmap(grad(loss), (0, None, None))(members, x, lengths), MEMBERS, MEMBERS)
    check(lambda: vmap(grad(loss), (0, 0, None))(members, torch.stack([x, 2 * x, -x]), lengths), MEMBERS, MEMBERS)


@covering.parametrize({"cell": CHOSEN, "lengths": [None, LENGTHS]}, strength=1)
def test_many_inputs_are_one_batch(cell: Cell, lengths: Tensor | None, check: Callable[..., None]) -> None:
    loss, parameters = setting(cell, bidirectional=True)
    x = normal(STEPS, MEMBERS, BATCH, INPUTS)
    check(lambda: vmap(loss, (None, 1, None))(parameters, x, lengths), 2, 0)
    check(lambda: grad(lambda p: vmap(loss, (None, 1, None))(p, x, lengths).sum())(parameters), 2, 2)


@pytest.mark.usefixtures("deterministic_fill")
@covering.parametrize({"cell": CHOSEN, "ragged": ["equal", "ragged", "each"]}, strength=1)
def test_gradients_of_each_sample(cell: Cell, ragged: str, check: Callable[..., None]) -> None:
    loss, parameters = setting(cell)
    x = normal(MEMBERS, STEPS, BATCH, INPUTS)
    lengths = {"equal": None, "ragged": LENGTHS, "each": torch.tensor([[4, 2], [0, 1], [3, 4]])}[ragged]
    in_dims = (None, 0, 0 if ragged == "each" else None)
    backward = MEMBERS if isinstance(cell, SUMMED) else 1
    check(lambda: vmap(grad(loss), in_dims)(parameters, x, lengths), 1, backward)

    def norm(parameters: dict[str, Tensor]) -> Tensor:
        of_each = vmap(grad(loss), in_dims)(parameters, x, lengths)
        return sum((gradient.square().sum() for gradient in of_each.values()), x.new_zeros(()))

    check(lambda: grad(norm)(parameters), 1, backward + 1)


@pytest.mark.parametrize("cell", KINDS, ids=str)
def test_gradients_of_each_sample_of_one_row(cell: Cell) -> None:
    loss, parameters = setting(cell)
    x = normal(MEMBERS, STEPS, 1, INPUTS)
    found = vmap(grad(loss), (None, 0, None))(parameters, x, None)
    looped = [grad(loss)(parameters, one, None) for one in x]
    assert_agree(list(found.values()), [torch.stack([one[name] for one in looped]) for name in found])


@pytest.mark.parametrize("cell", [cells.LSTM(), Peephole()], ids=str)
def test_vmaps_in_one_another(cell: Cell, check: Callable[..., None]) -> None:
    loss, parameters = setting(cell)
    members, x = stacked(parameters), normal(2, STEPS, BATCH, INPUTS)
    each = 2 if isinstance(cell, SUMMED) else 1
    check(lambda: vmap(vmap(grad(loss), (None, 0)), (0, None))(members, x), MEMBERS, each * MEMBERS)
    check(lambda: vmap(vmap(grad(loss), (0, None)), (None, 0))(members, x), MEMBERS, each * MEMBERS)
    deep = normal(2, 2, STEPS, BATCH, INPUTS)
    lengths = torch.tensor([[[4, 1], [2, 3]], [[0, 4], [1, 1]]])
    check(lambda: vmap(vmap(grad(loss), (None, 0, 0)), (None, 0, 0))(parameters, deep, lengths), 1, each * each)
    check(lambda: vmap(vmap(loss, (None, 0, 0)), (None, 1, 1))(parameters, deep, lengths), 1, 0)


@covering.parametrize({"cell": CHOSEN, "lengths": [None, LENGTHS]}, strength=1)
def test_second_derivatives(cell: Cell, lengths: Tensor | None, check: Callable[..., None]) -> None:
    loss, parameters = setting(cell)
    x = normal(STEPS, BATCH, INPUTS)
    # The reference serves forward-mode derivatives, over whatever.
    check(lambda: hessian(loss, 1)(parameters, x, lengths), 0, 0)
    slope = grad(lambda p, x: sum(g.square().sum() for g in grad(loss)(p, x, lengths).values()), 1)  # type: ignore[misc]
    check(lambda: slope(parameters, x), 1, 2)


@pytest.mark.parametrize("cell", [cells.LSTM(), cells.SRU()], ids=str)
def test_jacobians(cell: Cell, check: Callable[..., None]) -> None:
    layer = Recurrent(cell, INPUTS, 3, dtype=torch.float64)
    x = normal(STEPS, BATCH, INPUTS)
    count = STEPS * BATCH * 3
    check(lambda: jacrev(lambda x: layer(x)[0])(x), 1, count)
    check(lambda: jacfwd(lambda x: layer(x)[0])(x), 0, 0)
    check(lambda: vmap(jacrev(lambda x: layer(x)[0]))(torch.stack([x, -x])), 1, count)
    # Of the second derivatives the reference gives all at once.
    check(lambda: jacrev(jacrev(lambda x: layer(x)[0].sum()))(x), 1, 1)


@pytest.mark.parametrize("cell", [cells.GRU(), Peephole()], ids=str)
def test_third_derivatives(cell: Cell, check: Callable[..., None]) -> None:
    loss, parameters = setting(cell)
    x = normal(2, 1, INPUTS)

    def twice(x: Tensor) -> Tensor:
        return grad(lambda x: grad(lambda x: loss(parameters, x))(x).sin().sum())(x).sin().sum()

    check(lambda: grad(twice)(x), 1, 3)


@pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning")
def test_forward_mode_derivatives_around_and_within(check: Callable[..., None]) -> None:
    loss, parameters = setting(cells.LSTM())
    x, along = normal(2, STEPS, BATCH, INPUTS)
    check(lambda: jvp(lambda x: grad(loss, 1)(parameters, x), (x,), (along,)), 0, 0)
    check(lambda: grad(lambda x: jvp(lambda x: loss(parameters, x), (x,), (along,))[1])(x), 0, 0)
    check(lambda: vmap(lambda a: jvp(lambda x: loss(parameters, x), (x,), (a,))[1])(torch.stack([along, x])), 0, 0)
    check(lambda: linearize(lambda x: loss(parameters, x), x)[1](along), 0, 0)

    def pulled() -> Any:
        _, pull, *_ = vjp(lambda x: loss(parameters, x), x)
        return jvp(lambda v: pull(v)[0], (x.new_tensor(2.0),), (x.new_tensor(3.0),))

    check(pulled, 1, 0)


def test_the_graph_goes_through_a_vmap(check: Callable[..., None]) -> None:
    loss, parameters = setting(cells.GRU())
    for parameter in parameters.values():
        parameter.requires_grad_()
    x = normal(MEMBERS, STEPS, BATCH, INPUTS).requires_grad_()
    wanted = [x, *parameters.values()]
    check(lambda: torch.autograd.grad(vmap(loss, (None, 0))(parameters, x).sum(), wanted), 1, 1)
    with torch.no_grad():
        check(lambda: vmap(loss, (None, 0))(parameters, x), 1, 0)


def test_no_memory_is_kept_where_no_gradient_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    run = forward.forward
    monkeypatch.setattr(forward, "forward", lambda *a, **o: asked.append(a[3]) or run(*a, **o))
    loss, parameters = setting(cells.GRU())
    x = normal(MEMBERS, STEPS, BATCH, INPUTS)
    vmap(loss, (None, 0))(parameters, x)
    assert asked == [False]
    vmap(grad(loss), (None, 0))(parameters, x)
    grad(lambda x: vmap(loss, (None, 0))(parameters, x).sum())(x)
    vmap(loss, (None, 0))(parameters, x.requires_grad_())
    assert asked == [False, True, True, True]


def test_masks_of_dropout_are_each_member_s(check: Callable[..., None]) -> None:
    layer = Recurrent(cells.LSTM(), INPUTS, 3, recurrent_dropout=0.5, zoneout=0.3, dtype=torch.float64)
    x = normal(MEMBERS, STEPS, BATCH, INPUTS)

    def run() -> Any:
        torch.manual_seed(3)
        return vmap(grad(lambda x: layer(x)[0].square().sum()), randomness="different")(x)

    check(run, 1, 1)


def test_forward_mode_derivatives_are_refused_by_name() -> None:
    layer = Recurrent(cells.GRU(), INPUTS, 3, backend="native")
    x = torch.randn(STEPS, BATCH, INPUTS)
    with pytest.raises(BackendError, match=r"native.*forward-mode"):
        jvp(lambda x: layer(x)[0], (x,), (x,))


def test_lengths_of_a_member_out_of_range() -> None:
    loss, parameters = setting(cells.GRU())
    x = normal(2, STEPS, BATCH, INPUTS)
    with pytest.raises(ValueError, match=r"lengths: expected .* 0 to T = 4, got 1 to 5"):
        vmap(loss, (None, 0, 0))(parameters, x, torch.tensor([[4, 2], [1, 5]]))
