"""What holds of every cell, those of `recurra.cells` found and not named, on every kernel that serves it."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, jvp, stack_module_state, vmap

import covering
from agreement import assert_agree, gradients, tensors
from every_cell import (
    CELLS,
    FIRST_USE,
    FIRST_USE_SERVED,
    KINDS,
    KINDS_SERVED,
    SERVED,
    WITH_PRODUCTS,
    assemble,
    draw_state,
    draw_weights,
    fitting,
    flat,
    served_traits,
    traits,
)
from recurra import Recurrent, RecurrentCell, kernels
from recurra.cells import Cell

# torch itself calls what it deprecates when a forward-mode derivative is first asked for.
ignore_jit = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
FAST = [(cell, backend) for cell, backend in (*SERVED, *FIRST_USE_SERVED) if backend != "reference"]
EVERY_CELL = [*CELLS, *FIRST_USE, *WITH_PRODUCTS]


@covering.parametrize({"cell": EVERY_CELL, "lengths": [(3, 0, 2), (3, 3, 3)], "reverse": [False, True]}, strength=1)
def test_derivatives_of_the_reference(cell: Cell, lengths: tuple[int, ...], reverse: bool) -> None:
    weights, state = draw_weights(cell, 2, 2), draw_state(cell, 3, 2)
    x = torch.randn(3, 3, 2, dtype=torch.float64).requires_grad_()
    true = torch.tensor(lengths)

    def run(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        state, replaced = others[: len(cell.state)], others[len(cell.state) :]
        result = kernels.run("reference", cell, x, state, assemble(weights, replaced), true, reverse)
        return tuple(tensors(result))

    assert gradcheck(run, (x, *state, *flat(weights)), fast_mode=True)
    assert gradgradcheck(run, (x, *state, *flat(weights)), fast_mode=True)


@covering.parametrize(
    {
        ("cell", "backend"): FAST,
        "dtype": [torch.float64, torch.float32],
        "lengths": [None, (7, 1, 0, 4, 7)],
        "reverse": [False, True],
    }
)
def test_equal_to_the_reference(cell: Cell, backend: str, dtype: torch.dtype, lengths: Any, reverse: bool) -> None:
    assert_equal_to_the_reference(cell, backend, dtype, lengths, reverse)


@pytest.mark.slow
@covering.parametrize(
    {
        "cell": FIRST_USE,
        "dtype": [torch.float64, torch.float32],
        "lengths": [None, (7, 1, 0, 4, 7)],
        "reverse": [False, True],
    }
)
def test_compiled_at_first_use(cell: Cell, dtype: torch.dtype, lengths: Any, reverse: bool) -> None:
    assert_equal_to_the_reference(cell, "native", dtype, lengths, reverse)


def assert_equal_to_the_reference(cell: Cell, backend: str, dtype: torch.dtype, lengths: Any, reverse: bool) -> None:
    true = None if lengths is None else torch.tensor(lengths)
    for hidden in (1, 15, 16, 17, 33):
        with torch.no_grad():
            weights = draw_weights(cell, 5, hidden, dtype)
            for tensor in flat(weights):
                tensor /= hidden**0.5
        state = draw_state(cell, 5, hidden, dtype=dtype)
        x = torch.randn(7, 5, 5, dtype=dtype)
        if true is not None:
            x[torch.arange(7).unsqueeze(1) >= true] = 0
        x.requires_grad_()
        wanted = [x, *state, *flat(weights)]
        expected = kernels.run("reference", cell, x, state, weights, true, reverse)
        actual = kernels.run(backend, cell, x, state, weights, true, reverse)
        assert_agree(actual, expected)
        assert_agree(gradients(actual, wanted), gradients(expected, wanted))


@pytest.mark.parametrize(
    ("cell", "backend"), [*SERVED, *FIRST_USE_SERVED, *((cell, "reference") for cell in WITH_PRODUCTS)], ids=str
)
def test_sequence_is_prefix_and_streamed_steps(cell: Cell, backend: str) -> None:
    hidden = fitting(cell, 5)
    layer = Recurrent(cell, 3, hidden, backend=backend, dtype=torch.float64)
    step = RecurrentCell(cell, 3, hidden, backend="auto" if cell.built_in else "reference", dtype=torch.float64)
    step.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x = torch.randn(8, 2, 3, dtype=torch.float64)
    output, final = layer(x)
    prefix, state = layer(x[:3])
    rest, state_in_two = layer(x[3:], state)
    assert_agree(torch.cat([prefix, rest]), output)
    assert_agree(state_in_two, final)
    streamed = []
    state = state[0] if isinstance(state, Tensor) else tuple(part[0] for part in state)
    for t in range(3, 8):
        state = step(x[t], state)
        streamed.append(state if isinstance(state, Tensor) else state[0])
    assert_agree(torch.cat([prefix, torch.stack(streamed)]), output)
    assert_agree(state, final[0] if isinstance(final, Tensor) else tuple(part[0] for part in final))


@covering.parametrize(
    {
        ("cell", "backend"): SERVED,
        ("steps", "batch"): [(0, 2), (3, 0), (0, 0)],
        "lengths": [False, True],
        "bidirectional": [False, True],
    },
    strength=1,
    traits={("cell", "backend"): served_traits},
)
def test_nothing_to_run(cell: Cell, backend: str, steps: int, batch: int, lengths: bool, bidirectional: bool) -> None:
    layer = Recurrent(cell, 3, 4, 2, bidirectional=bidirectional, backend=backend, dtype=torch.float64)
    hx = draw_state(cell, 4 if bidirectional else 2, batch, 4)
    x = torch.randn(steps, batch, 3, dtype=torch.float64)
    output, final = layer(x, hx, lengths=[0] * batch if lengths else None)
    assert output.shape == (steps, batch, layer.output_size)
    assert output.dtype == torch.float64
    assert_agree(final if isinstance(final, tuple) else (final,), hx)


def ensemble(cell: Cell, **options: Any) -> list[Recurrent]:
    return [Recurrent(cell, 3, 4, 2, bidirectional=True, **options, dtype=torch.float64) for _ in range(3)]


@covering.parametrize(
    {"cell": CELLS, "lengths": [None, (5, 0)], "in_x": [None, 0]}, strength=1, traits={"cell": traits}
)
def test_vmap_over_an_ensemble(cell: Cell, lengths: tuple[int, ...] | None, in_x: int | None) -> None:
    members = ensemble(cell)
    parameters, buffers = stack_module_state(members)
    x = torch.randn(*((3,) if in_x == 0 else ()), 5, 2, 3, dtype=torch.float64)

    def run(parameters: Any, buffers: Any, x: Tensor) -> Any:
        return functional_call(members[0], (parameters, buffers), (x, None, lengths))

    stacked = tensors(vmap(run, in_dims=(0, 0, in_x))(parameters, buffers, x))
    looped = [tensors(m(x if in_x is None else x[i], lengths=lengths)) for i, m in enumerate(members)]
    assert_agree(stacked, [torch.stack(part) for part in zip(*looped, strict=True)])


def directional(layer: Recurrent, x: Tensor, along: Tensor, cotangents: list[Tensor]) -> Tensor:
    """The derivative of a weighting of all results along a direction of the input, by the backward pass."""
    x = x.clone().requires_grad_()
    (gradient,) = gradients(layer(x), [x], cotangents)
    return (gradient * along).sum()


@ignore_jit
@pytest.mark.parametrize("cell", KINDS, ids=str)
def test_forward_mode_derivatives(cell: Cell) -> None:
    (layer, *_) = ensemble(cell)
    x, along = torch.randn(2, 5, 2, 3, dtype=torch.float64)
    results, tangents, *_ = jvp(lambda x: tuple(tensors(layer(x))), (x,), (along,))
    assert_agree(results, tuple(tensors(layer(x))))
    cotangents = [torch.randn_like(result) for result in results]
    forward = sum((t * c).sum() for t, c in zip(tangents, cotangents, strict=True))
    assert_agree(forward, directional(layer, x, along, cotangents))

    with torch.autograd.forward_ad.dual_level():
        dual = layer(torch.autograd.forward_ad.make_dual(x, along))
        unpacked = [torch.autograd.forward_ad.unpack_dual(result).tangent for result in tensors(dual)]
    assert_agree(unpacked, list(tangents))


@pytest.mark.parametrize("cell", KINDS, ids=str)
def test_gradients_by_function_transform(cell: Cell) -> None:
    (layer, *_) = ensemble(cell)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    cotangents = [torch.randn_like(result) for result in tensors(layer(x))]

    def loss(x: Tensor) -> Tensor:
        return sum(((r * c).sum() for r, c in zip(tensors(layer(x)), cotangents, strict=True)), x.new_zeros(()))

    gradient = torch.func.grad(loss)(x)
    x.requires_grad_()
    assert_agree(gradient, gradients(layer(x), [x], cotangents)[0])


@pytest.mark.parametrize(("cell", "backend"), [s for s in KINDS_SERVED if s[1] != "reference"], ids=str)
def test_gradient_of_a_gradient(cell: Cell, backend: str) -> None:
    (layer, *_) = ensemble(cell, backend=backend)
    found = []
    x = torch.randn(4, 2, 3, dtype=torch.float64).requires_grad_()
    for name in (backend, "reference"):
        layer.backend = name
        (slope,) = torch.autograd.grad(layer(x)[0].square().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), list(layer.parameters())))
    assert_agree(found[0], found[1])
    assert all(gradient.any() for gradient in found[0])


@pytest.mark.parametrize("cell", KINDS, ids=str)
def test_no_graph_without_grad(cell: Cell) -> None:
    (layer, *_) = ensemble(cell)
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    with torch.inference_mode():
        results = tensors(layer(x))
    assert not any(result.requires_grad for result in results)
    assert_agree(results, tensors(layer(x)))


# torch.compile itself makes such an object for a function with a backward pass of its own.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize(("cell", "backend"), [s for s in KINDS_SERVED if "newton" not in s[1]], ids=str)
def test_compiles_whole(cell: Cell, backend: str) -> None:
    layer = Recurrent(cell, 3, fitting(cell, 4), backend=backend, dtype=torch.float64)
    torch.compiler.reset()
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    x = torch.randn(2, 2, 3, dtype=torch.float64)
    assert_agree(compiled(x), layer(x))
