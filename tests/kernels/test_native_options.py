"""What a step may have beside its update: masks, a projection, heads, normalisation, second-stage gates, no biases."""

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import pytest
import torch
from against_reference import NATIVE, assert_as_reference, assert_same_bits_again, draw
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import covering
from agreement import tensors
from every_cell import CELLS, Peephole, assemble, traits
from recurra import cells, kernels
from recurra.cells import Cell, Gates, PerUnit, State
from recurra.errors import BackendError, ShapeError
from recurra.kernels import Masks
from recurra.kernels.native import extension
from recurra.ops import sigmoid, tanh

pytestmark = pytest.mark.skipif(not NATIVE, reason="needs the C++ extension")

# The engine has no zoneout of projected outputs.
ZONED = [cell for cell in NATIVE if cell.output_nonlinearity is None]
# Values of a vector, of the widest here.
DOUBLES = extension._VECTOR_BYTES[("baseline", *extension.instruction_sets())[-1]] // 8
AROUND = sorted({1, 2, DOUBLES - 1, DOUBLES, DOUBLES + 1, 2 * DOUBLES - 1, 2 * DOUBLES, 2 * DOUBLES + 1})
DIRECTIONS = [(None, False), ((4, 0, 6, 1, 3), True)]


@dataclass(frozen=True)
class Modulated(Cell):
    """Late gates of a cell of no paper: two of them, from a parameter, the memory and both projections."""

    gates = ("a", "b", "c", "d")
    state = ("h", "m")
    per_unit = ("p", "q")
    second_stage_gates = ("c", "d")

    def modulated(self, x: Gates, u: Gates, s: State, p: PerUnit) -> Any:
        return sigmoid(x.a - u.a) * s.h + tanh(u.b * p.p + x.c) * s.m

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        m = sigmoid(x.b + p.q * u.b) * s.m + tanh(x.c + u.c) * x.d
        return State(h=sigmoid(u.d + u.a) * tanh(m) + 0.25 * s.h, m=m)


@dataclass(frozen=True)
class NormalisedHeads(Cell):
    """Layer normalisation, over all units, of a block-diagonal recurrence, with a gate of which only u is used."""

    heads: int = 2

    gates = ("a", "b")
    state = ("h", "m")
    recurrence = "block_diagonal"
    layer_norm = True

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        m = sigmoid(x.a + u.a) * s.m + tanh(u.b)
        return State(h=tanh(m) * x.b, m=m)


@pytest.mark.usefixtures("deterministic_fill")
@covering.parametrize(
    {
        "cell": [*NATIVE, Modulated()],
        "masks": ["recurrent", "zoneout", "expected", "recurrent+zoneout"],
        ("lengths", "reverse"): DIRECTIONS,
    },
    traits={"cell": traits},
)
def test_masks(cell: Cell, masks: str, lengths: Any, reverse: bool) -> None:
    if cell.output_nonlinearity is not None and masks != "recurrent":
        with pytest.raises(BackendError, match="no zoneout of projected outputs"):
            draw(cell, 6, 5, 3, 17, lengths, reverse, masks=masks).run("native")
        return
    case = draw(cell, 6, 5, 3, 17, lengths, reverse, masks=masks)
    assert_as_reference(case)
    assert_same_bits_again(case)
    assert_as_reference(draw(cell, 6, 5, 3, 17, lengths, reverse, torch.float32, masks=masks))


@pytest.mark.usefixtures("two_engine_threads", "deterministic_fill")
@covering.parametrize(
    {
        "cell": [cells.LSTM(), cells.SLSTM(2), Peephole(), cells.MinGRU()],
        ("batch", "hidden"): [(1, 131), (40, 47)],
        "steps": [5, 9],
        "masks": ["recurrent", "zoneout", "expected"],
    }
)
def test_masks_on_other_paths(cell: Cell, batch: int, hidden: int, steps: int, masks: str) -> None:
    """Units and rows divided, and, for few steps of one row, nothing packed."""
    case = draw(cell, steps, batch, 3, hidden, masks=masks)
    assert_as_reference(case)
    assert_same_bits_again(case)


@pytest.mark.parametrize("masks", ["zoneout", "expected"])
def test_masks_that_broadcast(masks: str) -> None:
    """As the reference has it: from any of (T, B, H) or 1."""
    case = draw(cells.LSTM(), 4, 3, 2, 5, masks=masks)
    for shapes in (((4, 1, 5), (1, 3, 5)), ((1, 1, 5), (4, 3, 5)), ((1, 1, 1), (1, 1, 5)), ((4, 3, 1), (4, 3, 5))):
        zoneout = tuple(torch.rand(*shape, dtype=torch.float64) for shape in shapes)
        assert_as_reference(replace(case, masks=Masks(zoneout=zoneout)))


def test_what_does_not_fit_is_refused() -> None:
    case = draw(cells.LSTM(), 4, 3, 2, 5)
    good = torch.rand(4, 3, 5, dtype=torch.float64)
    wrong = [
        Masks(recurrent=torch.rand(3, 4, dtype=torch.float64)),
        Masks(recurrent=torch.rand(1, 5, dtype=torch.float64)),
        Masks(recurrent=torch.rand(3, 5)),
        Masks(zoneout=(good, good[:3])),
        Masks(zoneout=(good, good[:, :2])),
        Masks(zoneout=(good[:1, :1], good[:1, :1, :4])),
        Masks(zoneout=(good, good[0])),
        Masks(zoneout=(good, good.float())),
    ]
    for masks in wrong:
        with pytest.raises(ShapeError, match=r"^(masks \(recurrent\)|zoneout \((h|c)\)): "):
            replace(case, masks=masks).run("native")
    with pytest.raises(ShapeError, match=r"^weight_hh: "):
        replace(case, weights=case.weights._replace(weight_hh=None)).run("native")


@pytest.mark.usefixtures("deterministic_fill")
@pytest.mark.parametrize(("lengths", "reverse"), DIRECTIONS, ids=["equal-ahead", "ragged-reverse"])
@pytest.mark.parametrize(
    "cell",
    [
        cells.LSTM(),
        cells.Elman("relu"),
        Peephole(),
        *(cells.Jordan("tanh", name) for name in ("tanh", "relu", "sigmoid", "identity")),
    ],
    ids=str,
)
def test_projected_outputs(cell: Cell, lengths: Any, reverse: bool) -> None:
    for size, hidden in product(AROUND, (2 * DOUBLES + 2, 4 * DOUBLES + 3)):
        case = draw(cell, 6, 5, 3, hidden, lengths, reverse, proj_size=size)
        assert_as_reference(case)
        assert_as_reference(draw(cell, 6, 5, 3, hidden, lengths, reverse, torch.float32, proj_size=size))
        assert_as_reference(draw(cell, 6, 5, 3, hidden, lengths, reverse, proj_size=size, masks="recurrent"))
        # Of a Jordan network the output may be the larger.
        if cell.output_nonlinearity is not None:
            assert_as_reference(draw(cell, 6, 5, 3, 3, lengths, reverse, proj_size=size))


@pytest.mark.usefixtures("deterministic_fill")
@pytest.mark.parametrize(("lengths", "reverse"), DIRECTIONS, ids=["equal-ahead", "ragged-reverse"])
@pytest.mark.parametrize("heads", [1, 2, 3])
def test_heads(heads: int, lengths: Any, reverse: bool) -> None:
    for size in AROUND:
        case = draw(cells.SLSTM(heads), 6, 5, 3, heads * size, lengths, reverse)
        assert_as_reference(case)
        assert_same_bits_again(case)
        assert_as_reference(draw(cells.SLSTM(heads), 6, 5, 3, heads * size, lengths, reverse, torch.float32))
        assert_as_reference(draw(cells.SLSTM(heads), 6, 5, 3, heads * size, lengths, reverse, masks="recurrent"))


@pytest.mark.usefixtures("two_engine_threads", "deterministic_fill")
@pytest.mark.parametrize(("batch", "size"), [(1, 131), (3, 83), (40, 17)])
@pytest.mark.parametrize("heads", [2, 3])
def test_heads_on_two_threads(heads: int, batch: int, size: int) -> None:
    case = draw(cells.SLSTM(heads), 9, batch, 3, heads * size)
    assert_as_reference(case)
    assert_same_bits_again(case)


@pytest.mark.usefixtures("deterministic_fill")
@pytest.mark.parametrize(("lengths", "reverse"), DIRECTIONS, ids=["equal-ahead", "ragged-reverse"])
@pytest.mark.parametrize("cell", [cells.LayerNormLSTM(), cells.LayerNormGRU(), NormalisedHeads()], ids=str)
def test_layer_normalisation(cell: Cell, lengths: Any, reverse: bool) -> None:
    for hidden in (*AROUND[1:], 4 * DOUBLES + 3):
        case = draw(cell, 6, 5, 3, hidden, lengths, reverse)
        assert_as_reference(case)
        assert_same_bits_again(case)
        assert_as_reference(draw(cell, 6, 5, 3, hidden, lengths, reverse, bias=False, masks="recurrent+zoneout"))


@pytest.mark.parametrize("cell", [cells.LayerNormLSTM(), cells.LayerNormGRU()], ids=str)
def test_layer_normalisation_of_one_unit_and_of_equal_ones(cell: Cell) -> None:
    """Where the variance is zero the scale is 1 / sqrt(1e-5), of nothing."""
    assert_as_reference(draw(cell, 6, 5, 3, 1))
    case = draw(cell, 6, 5, 3, 19)
    with torch.no_grad():
        assert case.weights.weight_hh is not None
        case.weights.weight_hh.fill_(0.5)
    assert_as_reference(case)


@pytest.mark.usefixtures("deterministic_fill")
@pytest.mark.parametrize(("lengths", "reverse"), DIRECTIONS, ids=["equal-ahead", "ragged-reverse"])
@pytest.mark.parametrize("cell", [cells.GRUResetBefore(), cells.MGU(), Modulated()], ids=str)
def test_second_stage_gates(cell: Cell, lengths: Any, reverse: bool) -> None:
    for hidden in AROUND:
        case = draw(cell, 6, 5, 3, hidden, lengths, reverse)
        assert_as_reference(case)
        assert_same_bits_again(case)
        assert_as_reference(draw(cell, 6, 5, 3, hidden, lengths, reverse, bias=False, masks="recurrent+zoneout"))


@covering.parametrize(
    {"cell": NATIVE, ("steps", "hidden"): [(2, 5), (6, 17)], "masks": ["", "recurrent"]},
    strength=1,
    traits={"cell": traits},
)
def test_without_biases(cell: Cell, steps: int, hidden: int, masks: str) -> None:
    assert_as_reference(draw(cell, steps, 4, 3, hidden, bias=False, masks=masks))


@pytest.mark.parametrize("missing", ["bias_ih", "bias_hh"])
@pytest.mark.parametrize(
    "cell", [cells.LSTM(), cells.GRU(), cells.IndRNN(), cells.MGU(), cells.LayerNormGRU()], ids=str
)
def test_with_one_bias(cell: Cell, missing: str) -> None:
    case = draw(cell, 6, 4, 3, 17)
    weights = case.weights._replace(**{missing: None})
    assert_as_reference(replace(case, weights=weights))


@given(
    cell=st.sampled_from(NATIVE or CELLS),
    hidden=st.integers(1, 40),
    batch=st.integers(1, 30),
    steps=st.integers(1, 9),
    inputs=st.integers(1, 20),
    reverse=st.booleans(),
    bias=st.booleans(),
    masks=st.sampled_from(["", "", "recurrent", "zoneout", "expected", "recurrent+zoneout"]),
    threads=st.sampled_from([1, 2]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    data=st.data(),
)
def test_any_size_and_options(
    cell: Cell,
    hidden: int,
    batch: int,
    steps: int,
    inputs: int,
    reverse: bool,
    bias: bool,
    masks: str,
    threads: int,
    dtype: torch.dtype,
    data: st.DataObject,
) -> None:
    if cell.output_nonlinearity is not None and masks:
        masks = "recurrent"
    projects = cell in (cells.LSTM(), cells.Elman()) and hidden > 1 and masks in ("", "recurrent")
    proj_size = data.draw(st.integers(0, hidden - 1)) if projects else 0
    lengths = data.draw(st.none() | st.lists(st.integers(0, steps), min_size=batch, max_size=batch))
    torch.manual_seed(hidden)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert_as_reference(
            draw(
                cell,
                steps,
                batch,
                inputs,
                hidden,
                lengths,
                reverse,
                dtype,
                proj_size=proj_size,
                bias=bias,
                masks=masks,
            )
        )
    finally:
        torch.set_num_threads(before)


# The masks lie around a cell's equations, so that few cells with every trait will do.
DERIVED = [
    *((cell, "recurrent+zoneout", 0) for cell in covering.cover([*ZONED, Modulated()], lambda cell: [traits(cell)])),
    *((cell, "recurrent", 2) for cell in NATIVE if cell not in ZONED or cell == cells.LSTM()),
]


@pytest.mark.parametrize(("cell", "masks", "proj_size"), DERIVED, ids=str)
def test_derivatives_with_masks(cell: Cell, masks: str, proj_size: int) -> None:
    case = draw(cell, 3, 2, 2, 3 if proj_size else 2, (2, 3), True, masks=masks, proj_size=proj_size)

    def run(x: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        state, replaced = others[: len(cell.state)], others[len(cell.state) :]
        weights = assemble(case.weights, replaced)
        result = kernels.run("native", cell, x, state, weights, case.lengths, case.reverse, case.masks)
        return tuple(tensors(result))

    assert gradcheck(run, case.wanted, fast_mode=True)
    assert gradgradcheck(run, case.wanted, fast_mode=True)
