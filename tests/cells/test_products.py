"""Cells with matrices and sizes of their own: what they compute, and who refuses them, saying why."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import Step, assert_as_written, by_gate
from torch import Tensor

import recurra
from agreement import assert_agree
from every_cell import WITH_PRODUCTS, LowRank, draw_state, draw_weights, fitting
from recurra import Recurrent, Stepper, kernels
from recurra.cells import LMU, ONLSTM, RHN, UGRNN, Cell, Gates, PerUnit, Product, State
from recurra.codegen import write_cell
from recurra.errors import BackendError, CellError, ParameterError, ShapeError
from recurra.inspection import gate_activations, gate_values, record, recurrent_spectra
from recurra.kernels import Weights, describe_cell, unpacked_products
from recurra.layers import initialize


def test_a_recurrent_highway_network() -> None:
    cell = RHN(depth=3)

    def write(weights: Weights) -> Step:
        W, U = by_gate(cell, weights.weight_ih), by_gate(cell, weights.weight_hh)
        b, d = by_gate(cell, weights.bias_ih), by_gate(cell, weights.bias_hh)
        assert weights.products is not None
        R = unpacked_products(cell, weights.products, 4)

        def product(name: str, h: Tensor) -> Tensor:
            weight, bias = R[name]
            assert bias is not None
            return h @ weight.T + bias

        def step(x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
            n, t = (x @ W[gate].T + b[gate] + h @ U[gate].T + d[gate] for gate in "nt")
            h = torch.sigmoid(t) * torch.tanh(n) + (1 - torch.sigmoid(t)) * h
            for k in (2, 3):
                n, t = (product(f"{gate}{k}", h) for gate in "nt")
                h = torch.sigmoid(t) * torch.tanh(n) + (1 - torch.sigmoid(t)) * h
            return (h,)

        return step

    assert_as_written(cell, write)


def test_a_highway_of_one_layer_is_an_update_gate_network() -> None:
    weights, state, x = draw_weights(RHN(depth=1), 3, 4), draw_state(RHN(depth=1), 2, 4), torch.randn(5, 2, 3).double()

    def turned(tensor: Tensor) -> Tensor:
        candidate, gate = tensor.chunk(2)
        return torch.cat([-gate, candidate])

    w, u, b, d = weights[:4]
    assert u is not None
    assert b is not None
    assert d is not None
    gated = Weights(*map(turned, (w, u, b, d)))
    expected = kernels.run("reference", UGRNN(), x, state, gated)
    assert_agree(kernels.run("reference", RHN(depth=1), x, state, weights), expected)


def test_weights_of_a_low_rank_are_a_product_of_two() -> None:
    weights, state, x = draw_weights(LowRank(), 3, 5), draw_state(LowRank(), 2, 5), torch.randn(6, 2, 3).double()
    assert weights.products is not None
    (down, _), (up, bias) = unpacked_products(LowRank(), weights.products, 5).values()
    whole = Weights(weights.weight_ih, up @ down, weights.bias_ih, bias)
    expected = kernels.run("reference", recurra.cells.Elman("tanh"), x, state, whole)
    assert_agree(kernels.run("reference", LowRank(), x, state, weights), expected)


def test_parameters() -> None:
    layer = Recurrent(LowRank(rank=2), 3, 5, bias=False)
    shapes = {name: tuple(parameter.shape) for name, parameter in layer.named_parameters()}
    own = {"weight_down_l0": (2, 5), "weight_up_l0": (5, 2), "bias_up_l0": (5,)}
    assert shapes == {"weight_ih_l0": (5, 3), **own}
    assert layer.get_parameter("bias_up_l0").tolist() == [0.5] * 5
    assert 0 < layer.get_parameter("weight_up_l0").abs().max() <= 5**-0.5


def test_initialization() -> None:
    layer = Recurrent(RHN(depth=2), 3, 8, dtype=torch.float64)
    with torch.no_grad():
        layer.get_parameter("bias_t2_l0").fill_(7)
    done = initialize(layer)
    assert (done["weight_n2_l0"], done["bias_t2_l0"]) == ("orthogonal", "as the cell says")
    weight = layer.get_parameter("weight_n2_l0").detach()
    assert_agree(weight @ weight.T, torch.eye(8, dtype=torch.float64))
    assert layer.get_parameter("bias_t2_l0").tolist() == [-2.0] * 8


@pytest.mark.parametrize("cell", WITH_PRODUCTS, ids=str)
def test_what_compiles_equations_says_why_it_does_not(cell: Cell) -> None:
    with pytest.raises(CellError, match=r"has products of its own \(.*\), and runs on the reference kernel"):
        write_cell(cell, "Cell")
    layer = Recurrent(cell, 3, fitting(cell, 4))
    with pytest.raises(CellError, match="has products of its own"):
        Stepper(layer)
    for backend, reason in (("native", "products of its own"), ("scan", "unit by unit"), ("newton", "unit by unit")):
        with pytest.raises(BackendError, match=reason):
            Recurrent(cell, 3, 4, backend=backend)(torch.zeros(2, 1, 3))
    with pytest.raises(ParameterError, match=r"^proj_size: expected 0"):
        Recurrent(cell, 3, 4, proj_size=2)
    with pytest.raises(ParameterError, match=r"^cell: expected .* products"):
        recurra.ConvRecurrent(cell, 3, 4, 3)
    assert describe_cell(cell)["kernels, CPU"] == "reference"


def test_the_gates_of_every_layer_of_a_highway_are_inspected() -> None:
    cell = RHN(depth=2)
    assert {(a.gate, a.function) for a in gate_activations(cell)} == {
        ("n", "tanh"),
        ("t", "sigmoid"),
        ("n2", "tanh"),
        ("t2", "sigmoid"),
    }
    layer = Recurrent(cell, 3, 4, dtype=torch.float64)
    (segment,) = record(layer, torch.randn(5, 2, 3, dtype=torch.float64)).segments
    values = {a.gate: value.unflatten(0, (5, 2)) for a, value in gate_values(segment).items()}
    (h,), (before,) = segment.after(), segment.before()
    first = before + values["t"] * (values["n"] - before)
    assert_agree(first + values["t2"] * (values["n2"] - first), h)


def test_a_legendre_memory_unit() -> None:
    cell = LMU(order=5, theta=7.0)

    def write(weights: Weights) -> Step:
        assert weights.products is not None
        assert weights.weight_hh is not None
        assert weights.bias_ih is not None
        assert weights.bias_hh is not None
        products = unpacked_products(cell, weights.products, 4)
        A, B, e, W = (products[name][0] for name in "ABem")
        input_weight, recurrent_weight = weights.weight_ih, weights.weight_hh
        bias = weights.bias_ih + weights.bias_hh

        def step(x: Tensor, h: Tensor, m: Tensor) -> tuple[Tensor, ...]:
            gates = x @ input_weight.T + h @ recurrent_weight.T + bias
            m = m @ A.T + (gates[:, :1] + m @ e.T) @ B.T
            return torch.tanh(gates[:, 1:] + m @ W.T), m

        return step

    assert_as_written(cell, write)


def test_a_legendre_memory_holds_a_window_of_its_input() -> None:
    """At a delay of a fraction f of the window its values are sums weighted by Legendre polynomials of 2 f - 1."""
    layer = Recurrent(LMU(order=8, theta=40.0), 1, 2, bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.get_parameter("weight_hh_l0").zero_()
        layer.get_parameter("weight_ih_l0").copy_(torch.tensor([[1.0], [0.0], [0.0]]))
    signal = torch.sin(torch.arange(200, dtype=torch.float64) / 9)
    _, (_, memory) = layer(signal.reshape(200, 1, 1))
    assert memory.shape == (1, 1, 8)
    # A value is held for the step, and stands for its middle.
    for fraction in (0.0, 0.25, 0.5, 1.0):
        weights = np.polynomial.legendre.legvander([2 * fraction - 1], 7)[0]
        then = math.sin((199 + 0.5 - 40 * fraction) / 9)
        assert weights @ memory[0, 0].detach().numpy() == pytest.approx(then, abs=0.03)


def test_an_lstm_with_ordered_neurons() -> None:
    cell = ONLSTM(levels=2)

    def write(weights: Weights) -> Step:
        assert weights.weight_hh is not None
        assert weights.bias_ih is not None
        assert weights.bias_hh is not None
        W, U, bias = weights.weight_ih, weights.weight_hh, weights.bias_ih + weights.bias_hh

        def cumax(scores: Tensor) -> Tensor:
            return scores.softmax(1).cumsum(1).repeat_interleave(2, 1)

        def step(x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
            i, f, g, o, mf, mi = (x @ W.T + h @ U.T + bias).split([4, 4, 4, 4, 2, 2], 1)
            mf, mi = cumax(mf), 1 - cumax(mi)
            w = mf * mi
            forget, enter = torch.sigmoid(f) * w + (mf - w), torch.sigmoid(i) * w + (mi - w)
            c = forget * c + enter * torch.tanh(g)
            return torch.sigmoid(o) * torch.tanh(c), c

        return step

    assert_as_written(cell, write)


@pytest.mark.parametrize(("levels", "hidden"), [(4, 8), (3, 8), (5, 3), (1, 2)])
def test_units_of_higher_levels_keep_their_memory_longer(levels: int, hidden: int) -> None:
    torch.manual_seed(0)
    layer = Recurrent(ONLSTM(levels=levels), 2, hidden)
    own = [((unit + 1) * levels - 1) // hidden for unit in range(hidden)]
    with torch.no_grad():
        # The gates within a level are closed, so that the levels alone decide; all scores are far from 0.
        layer.get_parameter("bias_ih_l0")[: 2 * hidden] = -1e4
        layer.get_parameter("weight_ih_l0")[2 * hidden :] *= 300
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            layer.get_parameter(name)[2 * hidden : 3 * hidden] = 0  # nothing enters
        before = torch.ones(1, 3, hidden), torch.ones(1, 3, hidden)
        _, (_, c) = layer(torch.randn(1, 3, 2), before)
    assert own[-1] == levels - 1
    assert ((c >= 0) & (c <= 1 + 1e-6)).all()
    # c is mf - w = mf (1 - mi): it grows with the level, and is 1 at the last.
    assert (c.diff(dim=-1) >= -1e-6).all()
    torch.testing.assert_close(c[..., -1], torch.ones(1, 3))


def test_a_fixed_matrix_may_depend_on_the_hidden_size() -> None:
    @dataclass(frozen=True)
    class Neighbours(Cell):
        shift: int = 1

        gates = ("h",)
        state = ("h",)

        def products(self) -> Mapping[str, Product]:
            size = 3 if self.shift > 1 else None
            return {"next": Product(size, fixed=lambda hidden: torch.eye(hidden, dtype=torch.float64).roll(1, 1))}

        def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
            return State(h=x.h + p.next(s.h))

    layer = Recurrent(Neighbours(), 1, 4)
    assert [name for name, _ in layer.named_parameters() if "next" in name] == []
    initial = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    with torch.no_grad():
        _, h = layer(torch.zeros(1, 1, 1), initial)
        bias = layer.get_parameter("bias_ih_l0")
    torch.testing.assert_close(h, torch.tensor([[[2.0, 3.0, 4.0, 1.0]]]) + bias)
    with pytest.raises(ParameterError, match=r"products \(next\): expected a fixed matrix of 3 x 4, .* got \(4, 4\)"):
        Recurrent(Neighbours(shift=2), 1, 4)


def test_sizes_of_a_cell_s_own_are_those_of_parameters_and_states() -> None:
    layer = Recurrent(LMU(order=6), 3, 4, 2, bidirectional=True)
    shapes = {name: tuple(value.shape) for name, value in layer.named_parameters() if name.endswith("_l1")}
    assert shapes == {
        "weight_ih_l1": (5, 8),
        "weight_hh_l1": (5, 4),
        "bias_ih_l1": (5,),
        "bias_hh_l1": (5,),
        "weight_e_l1": (1, 6),
        "weight_m_l1": (4, 6),
    }
    assert layer.state_sizes == [4, 6]
    output, (h, m) = layer(torch.zeros(3, 2, 3))
    assert (output.shape, h.shape, m.shape) == ((3, 2, 8), (4, 2, 4), (4, 2, 6))
    assert not layer.get_parameter("weight_e_l1").any()
    assert initialize(layer)["weight_ih_l0"] == "xavier_uniform per gate"
    assert recurrent_spectra(record(layer, torch.zeros(3, 2, 3)))[0].gate == "h"


def of_sizes(widths: dict[str, int], **declared: Any) -> Cell:
    """A cell of two gates and a count, of these sizes."""

    @dataclass(frozen=True)
    class Sized(Cell):
        gates = ("a", "b")
        state = ("h", "count")
        keeps = declared.get("keeps", {})
        recurrence = declared.get("recurrence", "dense")

        def widths(self) -> Mapping[str, int]:
            return widths

        def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
            return State(h=torch.tanh(x.a + u.a) + 0.1 * s.count, count=s.count + 1)

    return Sized()


def test_a_number_that_all_units_share() -> None:
    layer = Recurrent(of_sizes({"count": 1}), 3, 4)
    _, (_, count) = layer(torch.zeros(5, 2, 3), lengths=[5, 2])
    assert count.tolist() == [[[5.0], [2.0]]]
    with pytest.raises(CellError, match=r"has other sizes than H \(count\)"):
        Stepper(layer)


@pytest.mark.parametrize(
    ("widths", "declared"),
    [
        ({"c": 2}, {}),
        ({"h": 2}, {}),
        ({"a": 2, "b": 2}, {}),
        ({"count": 0}, {}),
        ({"b": 1}, {"keeps": {"b": 1}}),
        ({"b": 1}, {"recurrence": "diagonal"}),
    ],
)
def test_sizes_that_do_not_fit_are_refused(widths: dict[str, int], declared: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=r"^Sized\.widths: expected "):
        Recurrent(of_sizes(widths, **declared), 3, 4)


def of_one_product(product: Product, name: str = "own") -> Cell:
    """A cell whose next state is a product of its own."""

    @dataclass(frozen=True)
    class Own(Cell):
        gates = ("h",)
        state = ("h",)
        per_unit = ("scale",)

        def products(self) -> Mapping[str, Product]:
            return {name: product}

        def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
            return State(h=getattr(p, name)(s.h))

    return Own()


@pytest.mark.parametrize(
    ("name", "product", "error", "words"),
    [
        ("scale", Product(), ParameterError, r"^Own\.products: expected names other than"),
        ("hh", Product(), ParameterError, r"^Own\.products: expected names other than"),
        ("own", Product(rows=0), ParameterError, r"^Own\.products \(own\): expected a whole number"),
        ("own", Product(2, 2, fixed=torch.zeros(2, 3)), ParameterError, r"^Own\.products \(own\): expected a fixed"),
        ("own", Product(columns=3), ShapeError, "argument of the product own: expected 3 columns"),
        ("own", Product(rows=3), CellError, r"the part 'h' of the state has the shape \(1, 3\)"),
    ],
)
def test_products_that_do_not_fit_are_refused(name: str, product: Product, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        Recurrent(of_one_product(product, name), 2, 4)
