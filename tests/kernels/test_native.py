"""The engine as torch sees it: derivatives, memory, and inputs of every shape and layout."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from against_reference import NATIVE, assert_as_reference, draw
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.utils.checkpoint import checkpoint

import covering
from agreement import assert_agree, gradients, tensors
from every_cell import KINDS, Peephole, assemble, draw_state, draw_weights, fitting, flat, traits
from recurra import LSTM, cells, kernels
from recurra.cells import Cell
from recurra.errors import ShapeError
from recurra.kernels import Weights
from recurra.kernels.native import extension, launches

pytestmark = pytest.mark.skipif(not NATIVE, reason="needs the C++ extension")
INSTRUCTION_SETS = ("baseline", *extension.instruction_sets())
ONE_OF_EACH_KIND = [
    Peephole(),
    cells.GRU(),
    cells.SLSTM(2),
    cells.MGU(),
    cells.LayerNormGRU(),
    cells.IndRNN("tanh"),
    cells.SRU(),
    cells.Jordan(),
]


@covering.parametrize({"cell": NATIVE, "lengths": [(3, 0, 2), None], "reverse": [True, False]}, strength=1)
def test_derivatives(cell: Cell, lengths: Any, reverse: bool) -> None:
    weights, state = draw_weights(cell, 2, 2), draw_state(cell, 3, 2)
    x = torch.randn(3, 3, 2, dtype=torch.float64).requires_grad_()
    true = None if lengths is None else torch.tensor(lengths)

    def run(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        state, replaced = others[: len(cell.state)], others[len(cell.state) :]
        result = kernels.run("native", cell, x, state, assemble(weights, replaced), true, reverse)
        return tuple(tensors(result))

    assert gradcheck(run, (x, *state, *flat(weights)), fast_mode=True)
    assert gradgradcheck(run, (x, *state, *flat(weights)), fast_mode=True)


def derivatives(loss: Tensor, wanted: list[Tensor], create_graph: bool = False) -> list[Tensor]:
    """Zero where the loss does not depend on it."""
    if not loss.requires_grad:
        return [torch.zeros_like(tensor) for tensor in wanted]
    found = torch.autograd.grad(loss, wanted, create_graph=create_graph, allow_unused=True, materialize_grads=True)
    return list(found)


def second_derivatives(backend: str, cell: Cell, forward: Callable[[str], Any], wanted: list[Tensor]) -> list[Tensor]:
    results = tensors(forward(backend))
    first = derivatives(torch.stack([r.square().sum() for r in results]).sum(), wanted, create_graph=True)
    return [*first, *derivatives(torch.stack([g.sin().sum() for g in first]).sum(), wanted)]


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("cell", KINDS, ids=str)
def test_second_derivative_through_a_state_that_the_same_weights_made(cell: Cell) -> None:
    weights, state = draw_weights(cell, 2, 3), draw_state(cell, 2, 3)
    x = torch.randn(5, 2, 2, dtype=torch.float64).requires_grad_()
    wanted = [x, *state, *flat(weights)]

    def in_two(backend: str) -> Any:
        first, between = kernels.run(backend, cell, x[:2], state, weights)
        second, final = kernels.run(backend, cell, x[2:], between, weights)
        return first, second, final

    assert_agree(*(second_derivatives(name, cell, in_two, wanted) for name in ("native", "reference")))


@pytest.mark.parametrize("cell", [cells.LSTM(), cells.GRU()], ids=str)
def test_second_derivative_with_one_tensor_in_several_places(cell: Cell) -> None:
    weight = (0.5 * torch.randn(len(cell.gates) * 3, 3, dtype=torch.float64)).requires_grad_()
    bias = torch.randn(len(cell.gates) * 3, dtype=torch.float64).requires_grad_()
    x = torch.randn(4, 2, 3, dtype=torch.float64).requires_grad_()
    h = torch.randn(2, 3, dtype=torch.float64).requires_grad_()

    def shared(backend: str) -> Any:
        return kernels.run(backend, cell, x, (h,) * len(cell.state), Weights(weight, weight, bias, bias))

    wanted = [x, h, weight, bias]
    assert_agree(*(second_derivatives(name, cell, shared, wanted) for name in ("native", "reference")))


def spread(tensor: Tensor) -> Tensor:
    """The same values, but not side by side."""
    return torch.stack([tensor, torch.full_like(tensor, torch.nan)], dim=-1)[..., 0]


@covering.parametrize({"cell": NATIVE, "grad": [False, True]}, traits={"cell": traits})
def test_layouts(cell: Cell, grad: bool) -> None:
    """Nothing needs to be contiguous: inputs, states, weights, per-unit parameters, lengths, nor gradients."""
    hidden = fitting(cell, 5)
    x = normal(3, 4, 8).transpose(0, 2)[:, :, ::2]  # (8, 4, 2)
    contiguous = draw_weights(cell, 2, hidden)
    weights = assemble(contiguous, [spread(0.3 * tensor.detach()) for tensor in flat(contiguous)])
    state = tuple(normal(hidden, 4).T for _ in cell.state)
    lengths = torch.tensor([8, 99, 3, 99, 0, 99, 5, 99])[::2]
    wanted = [x, *state, *flat(weights)]
    # A scalar is contiguous however it lies.
    assert not any(tensor.is_contiguous() for tensor in wanted if tensor.numel() > 1)
    if grad:
        for tensor in wanted:
            tensor.requires_grad_()

    def forward(backend: str) -> Any:
        return kernels.run(backend, cell, x, state, weights, lengths, reverse=True)

    results = [forward(name) for name in ("native", "reference")]
    assert_agree(results[0], results[1])
    if grad:
        laid = [normal(*reversed(r.shape)).permute(*reversed(range(r.dim()))) for r in tensors(results[0])]
        assert_agree(*(gradients(result, wanted, laid) for result in results))
        expanded = [torch.ones((), dtype=torch.float64).expand(r.shape) for r in tensors(results[0])]
        assert_agree(*(gradients(result, wanted, expanded) for result in results))
        assert_agree(*(second_derivatives(name, cell, forward, wanted) for name in ("native", "reference")))


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("cell", ONE_OF_EACH_KIND, ids=str)
def test_gradients_of_some_inputs_only(cell: Cell, create_graph: bool) -> None:
    weights, state = draw_weights(cell, 2, 4), draw_state(cell, 3, 4)
    x = torch.randn(4, 3, 2, dtype=torch.float64)
    everything = [x, *state, *flat(weights)]
    for chosen in everything:
        for tensor in everything:
            tensor.requires_grad_(tensor is chosen)
        found = []
        for name in ("native", "reference"):
            output, final = kernels.run(name, cell, x, state, weights)
            loss = output.square().sum() + torch.stack(final).sin().sum()
            found.append(derivatives(loss, [chosen], create_graph))
            if create_graph:
                found[-1] += derivatives(found[-1][0].square().sum(), [chosen])
        assert_agree(found[0], found[1])


@pytest.mark.parametrize("part", ["output", "final"])
def test_gradients_from_one_result_only(part: str) -> None:
    weights, state = draw_weights(cells.LSTM(), 2, 4), draw_state(cells.LSTM(), 3, 4)
    x = torch.randn(4, 3, 2, dtype=torch.float64)
    found = []
    for name in ("native", "reference"):
        output, final = kernels.run(name, cells.LSTM(), x, state, weights)
        loss = output.sum() if part == "output" else final[1].sum()
        found.append(torch.autograd.grad(loss, [*state, *flat(weights)]))
    assert_agree(found[0], found[1])


def needs_compiling(cell: Cell) -> bool:
    return type(cell).__module__.partition(".")[0] != "recurra"


@pytest.mark.parametrize(
    "cell",
    # A cell of the tests' own takes seconds to compile for each instruction set.
    [pytest.param(cell, marks=[pytest.mark.slow] * needs_compiling(cell)) for cell in NATIVE],
    ids=str,
)
def test_every_instruction_set(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    monkeypatch.setattr(extension, "best", lambda cell: extension.compiled_cell(cell, used[-1]))
    for instruction_set, dtype in product(INSTRUCTION_SETS, (torch.float64, torch.float32)):
        used.append(instruction_set)
        for batch, hidden, reverse in ((1, 3, False), (7, 17, True), (13, 40, False)):
            lengths = torch.arange(batch) % 6
            assert_as_reference(draw(cell, 5, batch, 3, hidden, lengths, reverse, dtype))
            masks = "recurrent+zoneout" if cell.output_nonlinearity is None else "recurrent"
            assert_as_reference(draw(cell, 5, batch, 3, hidden, None, reverse, dtype, masks=masks))
            assert_as_reference(draw(cell, 1, batch, 3, hidden, None, reverse, dtype))


@pytest.mark.usefixtures("deterministic_fill")
@covering.parametrize(
    {"cell": NATIVE, "steps": [1, 4], "lengths": [(0, 0, 0), (1, 0, 1), (4, 4, 4)]}, traits={"cell": traits}
)
def test_short_and_empty(cell: Cell, steps: int, lengths: tuple[int, ...]) -> None:
    true = torch.tensor(lengths).clamp(max=steps)
    for reverse in (False, True):
        assert_as_reference(draw(cell, steps, 3, 2, 5, true, reverse))
        assert_as_reference(draw(cell, steps, 3, 2, 5, None, reverse))


@covering.parametrize(
    {"cell": NATIVE, ("steps", "batch"): [(0, 3), (3, 0), (0, 0)]}, strength=1, traits={"cell": traits}
)
def test_nothing_to_run_has_gradients(cell: Cell, steps: int, batch: int) -> None:
    weights, state = draw_weights(cell, 2, 4), draw_state(cell, batch, 4)
    x = torch.randn(steps, batch, 2, dtype=torch.float64)
    output, final = kernels.run("native", cell, x, state, weights)
    assert output.shape == (steps, batch, 4)
    assert_agree(final, state)
    assert_agree(gradients((output, final), state), gradients((x, state), state))


def test_padding_is_never_read() -> None:
    lengths = torch.tensor([2, 0, 4])
    weights = draw_weights(cells.LSTM(), 2, 5)
    x = torch.randn(4, 3, 2, dtype=torch.float64)
    spoiled = x.clone()
    spoiled[torch.arange(4).unsqueeze(1) >= lengths] = torch.nan
    state = draw_state(cells.LSTM(), 3, 5)
    for reverse in (False, True):
        results = [
            kernels.run("native", cells.LSTM(), given, state, weights, lengths, reverse) for given in (x, spoiled)
        ]
        assert_agree(results[1], results[0])
        # The gradient of the input's own weights multiplies the input by zero there; the rest is clean.
        wanted = [*state, weights.weight_hh, weights.bias_hh, weights.bias_ih]
        assert_agree(gradients(results[1], wanted), gradients(results[0], wanted))


@pytest.mark.usefixtures("two_threads")
def test_a_row_does_not_depend_on_its_neighbours() -> None:
    weights = draw_weights(cells.GRU(), 5, 33, torch.float32)
    x = torch.randn(9, 64, 5)
    state = (torch.randn(64, 33),)
    together, _ = kernels.run("native", cells.GRU(), x, state, weights)
    alone, _ = kernels.run("native", cells.GRU(), x[:, 7:8], (state[0][7:8],), weights)
    assert_agree(together[:, 7:8], alone)


def small_run() -> tuple[Tensor, tuple[Tensor, ...], list[Tensor]]:
    weights, state = draw_weights(cells.LSTM(), 2, 4), draw_state(cells.LSTM(), 3, 4)
    x = torch.randn(4, 3, 2, dtype=torch.float64).requires_grad_()
    output, final = kernels.run("native", cells.LSTM(), x, state, weights)
    return output, final, [x, *state, *flat(weights)]


def test_a_changed_output_is_refused() -> None:
    output, _, _ = small_run()
    loss = output.sum()
    with torch.no_grad():
        output.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_changed_weight_is_refused() -> None:
    output, _, wanted = small_run()
    with torch.no_grad():
        wanted[4].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


def test_changed_lengths_change_nothing() -> None:
    lengths = torch.tensor([4, 0, 2])
    weights, state = draw_weights(cells.LSTM(), 2, 4), draw_state(cells.LSTM(), 3, 4)
    x = torch.randn(4, 3, 2, dtype=torch.float64).requires_grad_()
    wanted = [x, *state, *flat(weights)]
    result = kernels.run("native", cells.LSTM(), x, state, weights, lengths)
    before = gradients(result, wanted)
    lengths.fill_(1 << 40)
    assert_agree(gradients(result, wanted), before)


def test_backward_twice() -> None:
    output, final, wanted = small_run()
    loss = output.square().sum() + final[1].sum()
    first = torch.autograd.grad(loss, wanted, retain_graph=True)
    assert_agree(torch.autograd.grad(loss, wanted), first)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(loss, wanted)


def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, bool]]:
    """Whether each launch from here on is given memory for the history and for what the backward pass needs."""
    seen: list[tuple[bool, bool]] = []
    launch = launches.launch

    def spy(one: launches.Launch) -> None:
        seen.append((bool(one.call.history), bool(one.call.saved)))
        launch(one)

    monkeypatch.setattr(launches, "launch", spy)
    return seen


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_no_history_without_grad(context: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = LSTM(3, 4), torch.randn(5, 2, 3)
    seen = written(monkeypatch)
    with context():
        layer(x)
    layer.requires_grad_(False)(x)
    assert seen == [(False, False)] * 2
    layer.requires_grad_(True)(x)
    assert seen[2] == (True, True)


def test_what_is_kept_is_seen_by_hooks_and_freed_by_the_backward_pass() -> None:
    packed: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        packed.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output, _, _ = small_run()
    # The history (1, T, B, H) and what an LSTM keeps (T, B, 5, H).
    assert 4 * 3 * 4 in packed
    assert 4 * 3 * 5 * 4 in packed
    node = output.grad_fn
    assert node is not None
    assert not [name for name, value in vars(node).items() if isinstance(value, Tensor) and value.is_floating_point()]


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing(reentrant: bool) -> None:
    layer = LSTM(3, 4, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64).requires_grad_()
    wanted = [x, *layer.parameters()]
    found = []
    for again in (False, True):
        for tensor in wanted:
            tensor.grad = None
        output = checkpoint(layer, x, use_reentrant=reentrant)[0] if again else layer(x)[0]
        output.square().sum().backward()
        found.append([tensor.grad for tensor in wanted])
    assert_agree(found[1], found[0])


@pytest.mark.parametrize("backend", ["native", "auto"])
def test_tensors_that_do_not_belong_together_are_refused(backend: str) -> None:
    """The engine trusts its pointers; what does not fit must not reach it."""
    cell, weights = cells.LSTM(), draw_weights(cells.LSTM(), 2, 4)
    x, (h, c) = torch.randn(5, 3, 2, dtype=torch.float64), draw_state(cells.LSTM(), 3, 4)
    assert weights.weight_hh is not None
    assert weights.bias_hh is not None
    small = {name: getattr(weights, name).float() for name in ("weight_hh", "bias_hh")}
    wrong: list[tuple[Any, Weights, Any]] = [
        ((h.float(), c.float()), weights, None),
        ((h[:1], c[:1]), weights, None),
        ((h[:, :2], c[:, :2]), weights, None),
        ((h, c), weights._replace(weight_hh=small["weight_hh"]), None),
        ((h, c), weights._replace(bias_hh=small["bias_hh"]), None),
        ((h, c), weights._replace(weight_hh=weights.weight_hh[:8]), None),
        ((h, c), weights._replace(bias_hh=weights.bias_hh[:8]), None),
        ((h, c), weights, torch.tensor([5, 5])),
        ((h, c), weights, torch.tensor([5, 5, 6])),
        ((h, c), weights, torch.tensor([5, 5, -1])),
    ]
    for state, others, lengths in wrong:
        with pytest.raises(ShapeError):
            kernels.run(backend, cell, x, state, others, lengths)


def test_lengths_of_another_integer_type() -> None:
    weights, state = draw_weights(cells.GRU(), 2, 4), draw_state(cells.GRU(), 3, 4)
    x = torch.randn(5, 3, 2, dtype=torch.float64)
    results = [
        kernels.run("native", cells.GRU(), x, state, weights, torch.tensor([5, 0, 3], dtype=dtype))
        for dtype in (torch.int32, torch.int64)
    ]
    assert_agree(results[0], results[1])


@pytest.mark.parametrize("cell", [cells.LSTM(), cells.LayerNormGRU(), cells.MGU(), cells.SLSTM(2)], ids=str)
def test_memory_that_cannot_be_had(cell: Cell) -> None:
    functions = extension.best(cell)
    like = torch.zeros(1)
    # The packed weights alone would need petabytes, and are asked for before anything is read.
    filled = extension.Call(9, 1, 1 << 25, 1 << 25, heads=1, weight=like.data_ptr())
    for direction in (functions.forward, functions.backward):
        with pytest.raises(MemoryError, match="native kernel could not allocate"):
            launches.launch(launches.Launch(direction, filled, 32))
        with pytest.raises(MemoryError, match="native kernel could not allocate"):
            launches.launch_both(*[launches.Launch(direction, extension.Call.from_buffer_copy(filled), 32)] * 2)
