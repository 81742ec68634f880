"""The engine under torch.compile: one graph without breaks, equal to what runs without."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from against_reference import NATIVE
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch._functorch import config
from torch.func import functional_call, grad, jvp, vmap
from torch.utils._pytree import tree_leaves

import covering
from agreement import assert_agree, gradients, tensors
from every_cell import KINDS, fitting
from recurra import GRU, LSTM, Recurrent, RecurrentCell, cells
from recurra.cells import Cell
from recurra.errors import BackendError, ShapeError
from recurra.kernels.native import extension

pytestmark = pytest.mark.skipif(not NATIVE, reason="needs the C++ extension")
LENGTHS = torch.tensor([4, 0, 2])


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Nothing compiled before; and `gradients` keeps the graph, which donated buffers do not allow."""
    torch.compiler.reset()
    with config.patch(donated_buffer=False):
        yield
    torch.compiler.reset()


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def assert_as_uncompiled(layer: nn.Module, *arguments: Any, backend: str = "aot_eager") -> None:
    """One graph computes the results and, backward, the gradients that the layer itself does."""
    compiled = torch.compile(layer, backend=backend, fullgraph=True)
    found = []
    for run in (compiled, layer):
        torch.manual_seed(0)
        results = run(*arguments)
        found.append((tensors(results), gradients(results, layer.parameters())))
    assert_agree(found[0], found[1])


@pytest.mark.usefixtures("deterministic_fill")
@covering.parametrize({"cell": KINDS, "backend": ["eager", "aot_eager"], "lengths": [None, LENGTHS]}, strength=1)
def test_every_kind(cell: Cell, backend: str, lengths: Tensor | None, engine_runs: Counter[str]) -> None:
    layer = Recurrent(cell, 3, fitting(cell, 4), dtype=torch.float64)
    assert_as_uncompiled(layer, normal(4, 3, 3), None, lengths, backend=backend)
    assert engine_runs == {"forward": 1, "backward": 1}


@covering.parametrize(
    {
        "options": [
            {"num_layers": 2, "bidirectional": True},
            {"num_layers": 2, "dropout": 0.5, "recurrent_dropout": 0.5, "zoneout": (0.2, 0.3)},
            {"proj_size": 2, "recurrent_dropout": 0.5, "bidirectional": True},
            {"recompute": True, "bidirectional": True},
            {"bias": False, "batch_first": True},
        ],
        "lengths": [None, [4, 0, 2]],
    },
    strength=1,
)
def test_options(options: dict[str, Any], lengths: Any, engine_runs: Counter[str]) -> None:
    layer = Recurrent(cells.LSTM(), 3, 4, **options, dtype=torch.float64)
    x = normal(3, 4, 3) if "batch_first" in options else normal(4, 3, 3)
    assert_as_uncompiled(layer, x, None, lengths)
    assert engine_runs["forward"]


def test_without_gradients(engine_runs: Counter[str]) -> None:
    layer, x = LSTM(3, 4, dtype=torch.float64), normal(4, 3, 3)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            assert_agree(compiled(x), layer(x))
    assert engine_runs == {"forward": 2}


def test_a_step(engine_runs: Counter[str]) -> None:
    cell = RecurrentCell(cells.GRU(), 3, 4, dtype=torch.float64)
    assert_as_uncompiled(cell, normal(2, 3), normal(2, 4))
    assert engine_runs == {"forward": 1, "backward": 1}


class Model(nn.Module):
    """Recurrent layers among others."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Linear(3, 3)
        self.first, self.second = GRU(3, 6, 2, bidirectional=True), LSTM(12, 4)
        self.head = nn.Linear(4, 1)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        between, _ = self.first(self.before(x), None, lengths)
        output, _ = self.second(between.relu(), None, lengths)
        return self.head(output.tanh()).squeeze(2)


# Of what inductor is built on.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_a_model(backend: str, engine_runs: Counter[str]) -> None:
    model = Model().double()
    assert_as_uncompiled(model, normal(4, 3, 3), LENGTHS, backend=backend)
    assert engine_runs == {"forward": 5, "backward": 5}


def test_training_of_layers_that_torch_s_own_kernels_fail() -> None:
    """As a graph of torch.lstm, torch 2.13 cannot differentiate it: oneDNN saves no tensor where one is expected."""
    assert_as_uncompiled(LSTM(3, 4, 2, bidirectional=True), torch.randn(4, 3, 3))


@pytest.mark.parametrize("dynamic", [None, pytest.param(True, marks=pytest.mark.slow)], ids=["automatic", "dynamic"])
def test_other_lengths_and_batches_need_no_other_code(dynamic: bool | None) -> None:
    layer, counter = LSTM(3, 4, bidirectional=True, dtype=torch.float64), CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(layer, backend=counter, fullgraph=True, dynamic=dynamic)
    for steps, batch in ((5, 2), (7, 3), (9, 4), (3, 6), (11, 5), (2, 9)):
        x, lengths = normal(steps, batch, 3), torch.randint(0, steps + 1, (batch,))
        results = [run(x, None, lengths) for run in (compiled, layer)]
        assert_agree(results[0], results[1])
        assert_agree(*(gradients(result, layer.parameters()) for result in results))
    assert counter.frame_count <= 2


def test_equal_layers_share_code_and_others_do_not() -> None:
    counter, x = CompileCounterWithBackend("eager"), torch.randn(4, 3, 3)
    for _ in range(10):
        layer = Recurrent(cells.Elman("tanh"), 3, 4)
        assert_agree(torch.compile(layer, backend=counter, fullgraph=True)(x), layer(x))
    assert counter.frame_count == 1
    layer = Recurrent(cells.Elman("tanh"), 3, 4)
    compiled = torch.compile(layer, backend=counter, fullgraph=True)
    for cell in (cells.Elman("tanh"), cells.Elman("relu"), cells.Elman("tanh")):
        layer.cell = cell
        assert_agree(compiled(x), layer(x))
    assert counter.frame_count == 2


def test_numbers_among_a_cell_s_fields() -> None:
    x = torch.randn(4, 3, 3)
    for heads in (1, 2, 3):
        layer = Recurrent(cells.SLSTM(heads), 3, 6)
        assert_agree(torch.compile(layer, backend="eager", fullgraph=True)(x), layer(x))


def test_lengths_out_of_range_are_refused_as_it_runs() -> None:
    layer, x = LSTM(3, 4), torch.randn(4, 3, 3)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    compiled(x, None, LENGTHS)
    with pytest.raises(ShapeError, match=r"lengths: expected .* 0 to T = 4, got -1 to 5"):
        compiled(x, None, torch.tensor([5, -1, 2]))


def test_shapes_that_do_not_fit_are_refused() -> None:
    compiled = torch.compile(LSTM(3, 4), backend="eager")
    with pytest.raises(ShapeError, match="hx"):
        compiled(torch.randn(4, 3, 3), (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)))


Transform = Callable[[Callable[..., Tensor], dict[str, Tensor], Tensor], Any]
TRANSFORMS: dict[str, tuple[Transform, dict[str, int]]] = {
    "each sample": (lambda f, p, x: vmap(grad(f), (None, 0))(p, x), {"forward": 1, "backward": 1}),
    "ensemble": (
        lambda f, p, x: vmap(grad(f), (0, None))({k: torch.stack([v, -v]) for k, v in p.items()}, x[0]),
        {"forward": 2, "backward": 2},
    ),
    "second derivative": (
        lambda f, p, x: grad(lambda x: grad(f, 1)(p, x).square().sum())(x[0]),
        {"forward": 1, "backward": 2},
    ),
}


@covering.parametrize({"name": TRANSFORMS, "lengths": [None, LENGTHS]}, strength=1)
def test_transforms_within(name: str, lengths: Tensor | None, engine_runs: Counter[str]) -> None:
    layer, x = LSTM(2, 3, dtype=torch.float64), normal(3, 4, 3, 2)
    parameters = {name: parameter.detach() for name, parameter in layer.named_parameters()}

    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(layer, parameters, (x, None, lengths))[0].sin().sum()

    transform, runs = TRANSFORMS[name]
    found = torch.compile(lambda p, x: transform(loss, p, x), backend="aot_eager", fullgraph=True)(parameters, x)
    assert engine_runs["forward"] == runs["forward"]
    assert engine_runs["backward"] == runs["backward"]
    expected = transform(loss, parameters, x)
    assert_agree(tree_leaves(found), tree_leaves(expected))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_a_forward_mode_derivative_within(engine_runs: Counter[str]) -> None:
    layer, x = LSTM(2, 3, dtype=torch.float64), normal(4, 3, 2)

    def along(x: Tensor) -> Any:
        return jvp(lambda x: layer(x)[0], (x,), (x,))

    assert_agree(torch.compile(along, backend="eager", fullgraph=True)(x), along(x))
    assert not engine_runs
    layer.backend = "native"
    with pytest.raises(BackendError, match="forward-mode"):
        along(x)


def test_a_gradient_of_a_gradient() -> None:
    layer, x = LSTM(2, 3, dtype=torch.float64), normal(4, 3, 2).requires_grad_()
    found = []
    for run in (torch.compile(layer, backend="eager", fullgraph=True), layer):
        (slope,) = torch.autograd.grad(run(x)[0].sin().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), [x, *layer.parameters()]))
    assert_agree(found[0], found[1])


def test_autocast(engine_runs: Counter[str]) -> None:
    layer, x = LSTM(3, 4), torch.randn(4, 3, 3)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = compiled(x)[0]
    torch.testing.assert_close(found, layer(x)[0], rtol=0.05, atol=0.05)
    gradients(found, layer.parameters())
    assert not engine_runs


@pytest.mark.parametrize(("cell", "dtype"), [(cells.LSTM(), torch.float64), (cells.MGU(), torch.float32)], ids=str)
def test_without_the_extension(
    cell: Cell, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, engine_runs: Counter[str]
) -> None:
    monkeypatch.setattr(extension, "unsupported_reason", lambda cell: "the C++ extension is not installed")
    layer = Recurrent(cell, 3, 4, bidirectional=True, dtype=dtype)
    assert_as_uncompiled(layer, torch.randn(2, 3, 3, dtype=dtype))
    assert not engine_runs
