"""The engine as torch operators: their contract with torch, and whoever looks on while they run."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from against_reference import NATIVE, draw
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.fx.experimental.proxy_tensor import make_fx

import covering
from agreement import assert_agree, gradients, tensors
from every_cell import Peephole, flat
from recurra import GRU, LSTM, Recurrent, cells, kernels
from recurra.cells import Cell, Gates, PerUnit, State
from recurra.errors import BackendError
from recurra.kernels.native import cell_keys
from recurra.kernels.native.arguments import arguments
from recurra.ops import tanh

pytestmark = pytest.mark.skipif(not NATIVE, reason="needs the C++ extension")
LENGTHS = torch.tensor([4, 0, 2])
CHOSEN = [
    cells.LSTM(),
    cells.GRU(),
    cells.SRU(),
    cells.IndRNN(),
    cells.LayerNormGRU(),
    cells.GRUResetBefore(),
    cells.Jordan(),
    cells.SLSTM(2),
    Peephole(),
]


def arguments_of(cell: Cell, lengths: Tensor | None, reverse: bool, masks: str = "", steps: int = 4) -> tuple[Any, ...]:
    """What `recurra::recurrence` is called with, for a random case."""
    proj_size = 4 if isinstance(cell, cells.Jordan) else 0
    case = draw(cell, steps, 3, 2, 4, lengths, reverse, masks=masks, proj_size=proj_size)
    every = arguments(cell, case.x, case.state, case.weights, case.masks).flat()
    there = [None if tensor is None else tensor.detach().requires_grad_(tensor.requires_grad) for tensor in every]
    present = [tensor is not None for tensor in there]
    return cell_keys.key_of(cell), [t for t in there if t is not None], present, lengths, reverse, True


@pytest.mark.parametrize("cell", CHOSEN, ids=str)
def test_the_contract_with_torch(cell: Cell) -> None:
    torch.library.opcheck(torch.ops.recurra.recurrence.default, arguments_of(cell, LENGTHS, True))


@pytest.mark.parametrize(
    ("cell", "lengths", "masks"),
    [
        (cells.LSTM(), None, "recurrent"),
        (cells.SRU(), LENGTHS // 2, "expected"),
        pytest.param(cells.SLSTM(2), LENGTHS // 2, "zoneout", marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_the_contract_of_the_gradients_with_torch(cell: Cell, lengths: Tensor | None, masks: str) -> None:
    # Two steps: the graph of the second-order gradients grows with them.
    key, given, present, lengths, reverse, _ = arguments = arguments_of(cell, lengths, True, masks, steps=2)
    torch.library.opcheck(torch.ops.recurra.recurrence.default, arguments)
    with torch.no_grad():
        output, final, kept = torch.ops.recurra.recurrence(*arguments)
    cotangents = [torch.randn_like(result).requires_grad_() for result in (output, *final[1:])]
    has = [True, False, *(True for _ in final[1:])]
    needed = [tensor.requires_grad for tensor in given]
    backward = (key, given, present, output, kept, lengths, reverse, cotangents, has, needed, 1)
    torch.library.opcheck(torch.ops.recurra.recurrence_backward.default, backward)


@covering.parametrize({"cell": CHOSEN, "lengths": [None, LENGTHS]}, strength=1)
def test_derivatives(cell: Cell, lengths: Tensor | None) -> None:
    key, given, present, lengths, reverse, _ = arguments_of(cell, lengths, True)

    def run(*given: Tensor) -> tuple[Tensor, ...]:
        output, final, _ = torch.ops.recurra.recurrence(key, list(given), present, lengths, reverse, True)
        return output, *final

    assert gradcheck(run, given, fast_mode=True)
    assert gradgradcheck(run, given, fast_mode=True)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["equal", "ragged"])
@pytest.mark.parametrize("cell", [cells.LSTM(), cells.SRU(), Peephole()], ids=str)
def test_gradients_of_what_kept_nothing(cell: Cell, lengths: Tensor | None) -> None:
    key, given, *rest = arguments_of(cell, lengths, False)
    results = [torch.ops.recurra.recurrence(key, given, *rest[:-1], training)[:2] for training in (True, False)]
    assert_agree(gradients(results[1], given), gradients(results[0], given))


def test_gradients_of_masks() -> None:
    case = draw(cells.LSTM(), 4, 3, 2, 4, LENGTHS, masks="recurrent+zoneout")
    assert case.masks is not None
    assert case.masks.recurrent is not None
    assert case.masks.zoneout is not None
    wanted = [mask.requires_grad_() for mask in (case.masks.recurrent, *case.masks.zoneout)]
    found = [gradients(case.run(backend), [*wanted, case.x]) for backend in ("native", "reference")]
    assert_agree(found[0], found[1])


def test_gradients_batched_by_autograd() -> None:
    case = draw(cells.GRU(), 4, 3, 2, 4, LENGTHS)
    many = torch.randn(5, 4, 3, 4, dtype=torch.float64)
    found = []
    for backend in ("native", "reference"):
        output, _ = case.run(backend)
        found.append(torch.autograd.grad(output, case.wanted, many, is_grads_batched=True))
    assert_agree(found[0], found[1])


def test_jacobian_and_hessian_of_torch_autograd() -> None:
    case = draw(cells.LSTM(), 3, 2, 2, 3)

    def total(backend: str, bias: Tensor) -> Tensor:
        weights = case.weights._replace(bias_ih=bias)
        return kernels.run(backend, case.cell, case.x, case.state, weights)[0].square().sum((0, 2))

    bias = case.weights.bias_ih
    for vectorize in (False, True):
        found = [
            (
                torch.autograd.functional.jacobian(lambda b, name=name: total(name, b), bias, vectorize=vectorize),
                torch.autograd.functional.hessian(lambda b, name=name: total(name, b).sum(), bias, vectorize=vectorize),
            )
            for name in ("native", "reference")
        ]
        assert_agree(found[0], found[1])


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_a_dual_cotangent_of_what_ran_before() -> None:
    case = draw(cells.LSTM(), 4, 3, 2, 4)
    found = []
    for backend in ("native", "reference"):
        output, _ = case.run(backend)
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(torch.ones_like(output), torch.arange(48.0).double().view(4, 3, 4))
            slopes = torch.autograd.grad(output, case.wanted, dual)
            found.append([forward_ad.unpack_dual(slope).tangent for slope in slopes])
    assert_agree(found[0], found[1])


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["equal", "ragged"])
def test_fake_tensors(lengths: Tensor | None, engine_runs: Any) -> None:
    layer, x = LSTM(2, 4, 2, bidirectional=True), torch.randn(4, 3, 2)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        output, final = layer(x)
    assert [tensor.shape for tensor in tensors((output, final))] == [tensor.shape for tensor in tensors(layer(x))]
    with mode:
        layer = LSTM(2, 4)
    output, _ = layer(mode.from_tensor(x))
    (slope,) = torch.autograd.grad(output.sum(), [layer.get_parameter("weight_hh_l0")])
    assert slope.shape == (16, 4)
    assert not engine_runs


def test_a_graph_of_operators_recorded_as_it_runs() -> None:
    layer, (x, y) = LSTM(2, 4, dtype=torch.float64), torch.randn(2, 4, 3, 2, dtype=torch.float64)

    def train(x: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad(layer(x)[0].sin().sum(), list(layer.parameters())))

    recorded: Any = make_fx(train)(x)
    called = [str(node.target) for node in recorded.graph.nodes]
    assert called.count("recurra.recurrence.default") == 1
    assert called.count("recurra.recurrence_backward.default") == 1
    assert_agree(recorded(y), train(y))


@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_program(strict: bool) -> None:
    layer = LSTM(2, 4, 2, bidirectional=True, dtype=torch.float64)
    steps, batch = torch.export.Dim("T", min=2, max=64), torch.export.Dim("B", min=2, max=64)
    shapes = {"input": {0: steps, 1: batch}, "hx": None, "lengths": {0: batch}}
    example = torch.randn(4, 3, 2, dtype=torch.float64), None, LENGTHS
    program: Any = torch.export.export(layer, example, dynamic_shapes=shapes, strict=strict)
    assert sum(str(node.target) == "recurra.recurrence.default" for node in program.graph.nodes) == 4
    other = torch.randn(6, 5, 2, dtype=torch.float64), None, torch.tensor([0, 1, 6, 3, 2])
    assert_agree(program.module()(*other), layer(*other))


LOADED = """
import sys, torch
from recurra import GRU
from recurra.errors import BackendError
program = torch.export.load(sys.argv[1]).module()
x = torch.ones(4, 3, 2)
try:
    program(x)
except BackendError as error:
    print(error)
GRU(2, 4)
print(torch.equal(program(x)[0], torch.load(sys.argv[2])))
"""


@pytest.mark.slow
def test_an_exported_program_in_another_process(tmp_path: Path) -> None:
    layer, x = GRU(2, 4), torch.ones(4, 3, 2)
    torch.export.save(torch.export.export(layer, (x,)), tmp_path / "gru.pt2")
    torch.save(layer(x)[0].detach(), tmp_path / "output.pt")
    command = [sys.executable, "-W", "ignore", "-c", LOADED, str(tmp_path / "gru.pt2"), str(tmp_path / "output.pt")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    first, *rest = done.stdout.splitlines() or [done.stderr]
    assert "the cell recurra.cells.gru.GRU() is not registered in this process" in first
    assert rest == ["True"]


def test_an_export_to_onnx_has_torch_s_operations_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    program = torch.export.export(Recurrent(cells.MGU(), 2, 4), (torch.randn(3, 2, 2),), strict=False)
    assert not [node for node in program.graph.nodes if "recurra" in str(node.target)]


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("cell", [cells.LSTM(), cells.MGU()], ids=str)
def test_torch_jit_trace_records_no_native_kernel(cell: Cell) -> None:
    layer, (x, y) = Recurrent(cell, 2, 4, bidirectional=True), torch.randn(2, 4, 3, 2)
    traced: Any = torch.jit.trace(layer, (x,))
    assert_agree(traced(y)[0], layer(y)[0])
    layer.backend = "native"
    with pytest.raises(BackendError, match=r"native.* cannot serve: torch\.jit\.trace"):
        torch.jit.trace(layer, (x,))


def test_an_unknown_cell() -> None:
    _, *rest = arguments_of(cells.LSTM(), None, False)
    with pytest.raises(BackendError, match=r"the cell elsewhere\.Cell\(\) is not registered in this process"):
        torch.ops.recurra.recurrence("elsewhere.Cell()", *rest)


def test_the_keys_of_cells() -> None:
    assert cell_keys.key_of(cells.SLSTM(2)) == "recurra.cells.slstm.SLSTM(heads=2)"
    assert cell_keys.key_of(cells.LSTM()) == cell_keys.key_of(cells.LSTM())

    def define(factor: float) -> type[Cell]:
        class Scaled(Cell):
            gates = ("a",)
            state = ("h",)

            def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
                return State(h=factor * tanh(x.a + u.a))

        return Scaled

    first, second = (define(factor)() for factor in (0.5, 0.25))
    assert cell_keys.key_of(first) != cell_keys.key_of(second)
    for cell in (first, second):
        assert cell_keys.known(cell_keys.key_of(cell)) is cell


def test_torch_compile_is_imported_by_its_users_only() -> None:
    asked = "import sys, recurra.kernels; print('torch._dynamo' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"


def test_every_weight_has_a_gradient() -> None:
    """So that a comparison of gradients compares something."""
    case = draw(cells.LSTM(), 4, 3, 2, 4)
    assert all(gradient.any() for gradient in gradients(case.run("native"), [case.x, *flat(case.weights)]))
