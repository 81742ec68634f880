"""What is particular to the cells without recurrent weights."""

import pytest
import torch
from by_hand import Step, assert_as_written, by_gate
from torch import Tensor

from agreement import assert_agree
from every_cell import assemble, draw_state, draw_weights, flat, per_unit
from recurra import Recurrent, kernels
from recurra.cells import RGLRU, SRU, Cell, MinGRU, MinLSTM
from recurra.kernels import Weights

CELLS = (SRU(), MinGRU(), MinLSTM(), RGLRU())


def projections(cell: Cell, w: Weights, x: Tensor) -> dict[str, Tensor]:
    """W x + b by gate."""
    W, b = by_gate(cell, w.weight_ih), by_gate(cell, w.bias_ih)
    return {gate: x @ W[gate].T + b[gate] for gate in cell.gates}


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_there_are_no_recurrent_weights(cell: Cell) -> None:
    names = {name for name, _ in Recurrent(cell, 3, 4).named_parameters()}
    assert names == {"weight_ih_l0", "bias_ih_l0", *(f"{name}_l0" for name in cell.per_unit)}


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_no_unit_reads_another(cell: Cell) -> None:
    weights, x = draw_weights(cell, 3, 4), torch.randn(3, 1, 3).double()

    def last(*state: Tensor) -> Tensor:
        return kernels.run("reference", cell, x, state, weights)[0][-1]

    jacobians = torch.autograd.functional.jacobian(last, tuple(torch.randn(1, 4).double() for _ in cell.state))
    total = sum((jacobian[0, :, 0] for jacobian in jacobians), torch.zeros(4, 4).double())
    assert torch.equal(total, total.diag().diag())
    assert total.diag().all()


def test_an_sru() -> None:
    cell = SRU()

    def write(w: Weights) -> Step:
        own = per_unit(cell, w)

        def step(x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
            p = projections(cell, w, x)
            f = torch.sigmoid(p["f"] + own["v_f"] * c)
            r = torch.sigmoid(p["r"] + own["v_r"] * c)  # of the memory before, as f
            c = f * c + (1 - f) * p["g"]
            return r * c + (1 - r) * p["skip"], c

        return step

    assert_as_written(cell, write)


def test_an_sru_does_not_read_its_output_and_passes_its_input_where_its_reset_gate_is_shut() -> None:
    weights, x = draw_weights(SRU(), 3, 4), torch.randn(5, 2, 3).double()
    h, c = draw_state(SRU(), 2, 4)
    expected = kernels.run("reference", SRU(), x, (h, c), weights)
    assert_agree(kernels.run("reference", SRU(), x, (100 * h, c), weights), expected)
    changed = [tensor.detach().clone() for tensor in flat(weights)]
    changed[1][4:8] = -1000
    shut = assemble(weights, changed)
    assert_agree(kernels.run("reference", SRU(), x, (h, c), shut)[0], projections(SRU(), shut, x)["skip"])


def test_a_min_gru() -> None:
    def write(w: Weights) -> Step:
        def step(x: Tensor, h: Tensor) -> tuple[Tensor]:
            p = projections(MinGRU(), w, x)
            z = torch.sigmoid(p["z"])
            return ((1 - z) * h + z * p["n"],)

        return step

    assert_as_written(MinGRU(), write)


def test_a_min_lstm() -> None:
    def write(w: Weights) -> Step:
        def step(x: Tensor, h: Tensor) -> tuple[Tensor]:
            p = projections(MinLSTM(), w, x)
            f, i = torch.sigmoid(p["f"]), torch.sigmoid(p["i"])
            return (f / (f + i) * h + i / (f + i) * p["n"],)

        return step

    assert_as_written(MinLSTM(), write)


@pytest.mark.parametrize("cell", [MinGRU(), MinLSTM()], ids=str)
def test_a_convex_combination_stays_among_what_it_combines(cell: Cell) -> None:
    weights, (state,), x = draw_weights(cell, 3, 4), draw_state(cell, 2, 4), 5 * torch.randn(30, 2, 3).double()
    outputs, _ = kernels.run("reference", cell, x, (state,), weights)
    combined = torch.cat([state.unsqueeze(0), projections(cell, weights, x)["n"]])
    lowest, highest = combined.cummin(0).values[1:], combined.cummax(0).values[1:]
    assert (outputs >= lowest - 1e-12).all()
    assert (outputs <= highest + 1e-12).all()
    assert (outputs.std(dim=0) > 0.01).all()


def test_a_min_lstm_is_defined_where_both_its_gates_underflow() -> None:
    weights = Weights(torch.zeros(3, 1), bias_ih=torch.tensor([-2000.0, -2000.0, 0.5]).requires_grad_())
    assert weights.bias_ih is not None
    for shift, share in ((0.0, 0.5), (3.0, torch.tensor(3.0).sigmoid().item()), (500.0, 1.0), (-500.0, 0.0)):
        moved = Weights(weights.weight_ih, bias_ih=weights.bias_ih + torch.tensor([shift, 0, 0]))
        output, _ = kernels.run("reference", MinLSTM(), torch.zeros(1, 1, 1), (torch.ones(1, 1),), moved)
        torch.testing.assert_close(output.item(), share + (1 - share) * 0.5, rtol=1e-4, atol=1e-6)
        assert torch.autograd.grad(output.sum(), weights.bias_ih)[0].isfinite().all()


def test_an_rg_lru() -> None:
    def write(w: Weights) -> Step:
        def step(x: Tensor, h: Tensor) -> tuple[Tensor]:
            p = projections(RGLRU(), w, x)
            r, i = torch.sigmoid(p["r"]), torch.sigmoid(p["i"])
            a = torch.sigmoid(per_unit(RGLRU(), w)["decay"]) ** (8 * r)
            return (a * h + torch.sqrt(1 - a**2) * (i * p["v"]),)

        return step

    assert_as_written(RGLRU(), write)


def test_the_decay_of_an_rg_lru_is_between_0_and_1() -> None:
    weights, x = draw_weights(RGLRU(), 3, 50), 3 * torch.randn(1, 40, 3).double()
    h = torch.ones(40, 50).double()
    kept, nothing = (kernels.run("reference", RGLRU(), x, (k * h,), weights)[0] for k in (1, 0))
    decay = kept - nothing
    assert decay.min() >= 0
    assert decay.max() < 1
    assert decay.max() - decay.min() > 0.5


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_first_decay_of_an_rg_lru(dtype: torch.dtype) -> None:
    layer = Recurrent(RGLRU(), 3, 2000, dtype=dtype)
    decay = layer.get_parameter("decay_l0").detach()
    assert decay.dtype == dtype
    assert decay.isfinite().all()
    eighth = torch.sigmoid(decay.double()) ** 8
    error = torch.finfo(dtype).eps / 2 if dtype.itemsize == 2 else 1e-6
    assert eighth.min() >= 0.9 - error
    assert eighth.max() <= 0.999 + error
    assert abs(eighth.mean() - 0.9495) < 0.005 + error
    assert eighth.std() > 0.02


@pytest.mark.parametrize("decay", [-300.0, 300.0])
@pytest.mark.parametrize("gate", [-300.0, 300.0])
def test_an_rg_lru_and_its_gradients_are_finite_at_its_limits(gate: float, decay: float) -> None:
    biases = torch.tensor([gate, 0, 1]).requires_grad_()
    decays, h = torch.tensor([[decay]]).requires_grad_(), torch.ones(1, 1).requires_grad_()
    weights = Weights(torch.zeros(3, 1), bias_ih=biases, per_unit=decays)
    output, _ = kernels.run("reference", RGLRU(), torch.zeros(3, 1, 1), (h,), weights)
    kept = 0.0 if gate > 0 > decay else 1.0
    expected = torch.full((3, 1, 1), 0.5) if kept == 0.0 else torch.ones(3, 1, 1)
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-5)
    for gradient in torch.autograd.grad(output.sum(), [biases, decays, h]):
        assert gradient.isfinite().all()
