"""The Triton kernel in its interpreter: equal to the reference in outputs, final states and every gradient."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from against_reference import assert_results_agree, draw
from diagonal_cells import AffineBlocks, DiagonalGRU, DiagonalLSTM, TwoAverages, WithoutMemory

import covering
from agreement import assert_agree, gradients, tensors
from every_cell import CELLS, FIRST_USE, draw_state
from recurra import Recurrent, cells, kernels, ops
from recurra.cells import Cell, Gates, PerUnit, State
from recurra.codegen import dependence
from recurra.codegen.expression import FUNCTIONS
from recurra.errors import BackendError
from recurra.kernels import Weights
from recurra.kernels.triton import availability, sequence

HIDDEN = 6
SERVED: list[Cell] = [
    *(cell for cell in [*CELLS, *FIRST_USE] if dependence(cell).mixes == "none"),
    cells.SLSTM(heads=HIDDEN),
    cells.SLSTM(heads=2),
    DiagonalLSTM(),
    DiagonalGRU(),
    AffineBlocks(),
    TwoAverages(),
    WithoutMemory(),
]


@pytest.mark.usefixtures("interpreted", "deterministic_fill")
@covering.parametrize(
    {
        "cell": SERVED,
        "lengths": [None, (3, 0)],
        "reverse": [False, True],
        "masks": ["", "zoneout+recurrent"],
        "bias": [True, False],
        "dtype": [torch.float64, torch.float32],
        "tile": [64, 4],
    },
    strength=1,
)
def test_cells_are_as_the_reference_has_them(
    cell: Cell,
    lengths: Any,
    reverse: bool,
    masks: str,
    bias: bool,
    dtype: torch.dtype,
    tile: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sequence, "_TILE", tile)
    case = draw(cell, 3, 2, 2, HIDDEN, lengths, reverse, dtype, bias=bias, masks=masks)
    assert_results_agree(case, case.run("triton"), case.run("reference"))


@pytest.mark.usefixtures("interpreted")
def test_gradient_of_a_gradient() -> None:
    case = draw(DiagonalGRU(), 2, 2, 1, 2, (2, 1))
    found = []
    for backend in ("triton", "reference"):
        output, final = case.run(backend)
        slopes = torch.autograd.grad(output.square().sum() + final[0].sum(), case.wanted, create_graph=True)
        found.append(torch.autograd.grad(torch.cat([slope.flatten() for slope in slopes]).square().sum(), case.wanted))
    assert_agree(found[0], found[1])
    assert all(gradient.any() for gradient in found[0])


@pytest.mark.usefixtures("interpreted")
def test_batched_gradients() -> None:
    case = draw(DiagonalGRU(), 2, 2, 1, 2, (2, 1))
    output = case.run("triton")[0]
    directions = torch.randn(2, *output.shape, dtype=output.dtype)
    batched = torch.autograd.grad(output, case.wanted, directions, is_grads_batched=True, retain_graph=True)
    for k, direction in enumerate(directions):
        each = torch.autograd.grad(output, case.wanted, direction, retain_graph=True)
        assert_agree([gradient[k] for gradient in batched], list(each))


@pytest.mark.usefixtures("interpreted")
def test_masks_have_gradients() -> None:
    case = draw(cells.IndRNN("tanh"), 3, 2, 2, 3, masks="zoneout+recurrent")
    assert case.masks is not None
    assert case.masks.recurrent is not None
    assert case.masks.zoneout is not None
    wanted = [case.masks.recurrent.requires_grad_(), case.masks.zoneout[0].requires_grad_(), *case.wanted]
    assert_agree(*(gradients(case.run(backend), wanted) for backend in ("triton", "reference")))


@pytest.mark.usefixtures("interpreted")
def test_two_directions_with_resets_lengths_and_a_state() -> None:
    layer = Recurrent(cells.MinGRU(), 2, 3, bidirectional=True, dtype=torch.float64)
    x = torch.randn(3, 2, 2, dtype=torch.float64).requires_grad_()
    hx = draw_state(cells.MinGRU(), 2, 2, 3)
    resets = torch.tensor([[0, 0], [0, 1], [1, 0]], dtype=torch.bool)
    results = []
    for backend in ("triton", "reference"):
        layer.backend = backend
        result = layer(x, hx, lengths=[3, 2], resets=resets)
        results.append((result, gradients(result, [x, *hx, *layer.parameters()])))
    assert_agree(results[0], results[1])


@pytest.mark.usefixtures("interpreted")
def test_inference_and_recomputed_training() -> None:
    layer = Recurrent(DiagonalGRU(), 2, 3, backend="triton", recompute=True)
    x = torch.randn(3, 2, 2)
    with torch.no_grad():
        actual = layer(x)
    assert not any(result.requires_grad for result in tensors(actual))
    trained = layer(x)
    assert_agree(actual, trained)
    layer.backend = "reference"
    expected = layer(x)
    assert_agree(trained, expected)
    assert_agree(*(gradients(result, list(layer.parameters())) for result in (trained, expected)))


@dataclass(frozen=True)
class Applied(Cell):
    """The output is a function of one gate, or of two."""

    function: str = field(default="tanh", metadata={"choices": (*FUNCTIONS, "minimum", "maximum")})

    gates = ("a", "b")
    state = ("h",)
    recurrence = "none"

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        two = self.function in ("minimum", "maximum")
        return State(h=getattr(ops, self.function)(*((x.a, x.b) if two else (x.a,))))


@pytest.mark.usefixtures("interpreted")
@pytest.mark.filterwarnings("ignore:.* encountered in :RuntimeWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_functions_are_as_torch_has_them(dtype: torch.dtype) -> None:
    """To a few roundings of each value, also of the smallest, and where exp overflows."""
    sizes = [0.0, 1e-30, 1e-6, 0.09, 0.0999, 0.1001, 0.3, 1.0, 5.0, 17.0, 30.0, 80.0, 800.0]
    for function in (*FUNCTIONS, "minimum", "maximum"):
        signs = (1,) if function in ("log", "sqrt") else (1, -1)
        a = torch.tensor([sign * size for sign in signs for size in sizes], dtype=dtype)
        weights = Weights(torch.cat([a, a.roll(3)]).unsqueeze(1))
        arguments = Applied(function), torch.ones(1, 1, 1, dtype=dtype), (a.new_zeros(1, len(a)),), weights
        actual, expected = (kernels.run(backend, *arguments)[0] for backend in ("triton", "reference"))
        torch.testing.assert_close(actual, expected, rtol=16 * torch.finfo(dtype).eps, atol=torch.finfo(dtype).tiny)


def test_without_triton_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "find_spec", lambda name: None)
    with pytest.raises(
        BackendError, match=r"cannot serve: .*needs the package triton: pip install 'recurra\[triton\]'"
    ):
        Recurrent(cells.SRU(), 2, 3, backend="triton")(torch.zeros(1, 1, 2))


@pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed: pip install 'recurra[triton]'")
def test_on_a_processor_it_is_refused_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(BackendError, match=r"runs on a CUDA device, not on cpu \(TRITON_INTERPRET=1 "):
        Recurrent(cells.SRU(), 2, 3, backend="triton")(torch.zeros(1, 1, 2))
