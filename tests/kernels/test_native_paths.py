"""Each way through the engine: few steps, units or rows by threads, the input projection inside or before."""

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
import torch
from against_reference import NATIVE, assert_as_reference, assert_results_agree, assert_same_bits_again, draw

import covering
from agreement import assert_agree, gradients, tensors
from every_cell import KINDS, traits
from recurra import cells
from recurra.cells import Cell
from recurra.codegen import mixes_units
from recurra.kernels.native import extension, forward, launches

pytestmark = pytest.mark.skipif(not NATIVE, reason="needs the C++ extension")


@dataclass
class Seen:
    """What each launch asked for.

    Attributes:
        allowed: how many threads the engine may use; torch's own operations run on one.
        fused: whether the engine made the input projection, a launch of the forward pass each.
        threads: of each launch that asked for several.
    """

    allowed: int = 2
    fused: list[bool] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Watches the engine at work."""
    seen = Seen()
    launch = launches.launch
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    run_parallel = kind(extension.parallel())

    def record(task: int, context: int, count: int) -> None:
        seen.threads.append(count)
        run_parallel(task, context, count)

    recorder = kind(record)

    def spy(one: launches.Launch) -> None:
        one.call.threads = seen.allowed
        if not one.call.d_x:
            seen.fused.append(bool(one.call.inputs))
        launch(one)

    monkeypatch.setattr(launches, "launch", spy)
    monkeypatch.setattr(extension, "parallel", lambda: ctypes.cast(recorder, ctypes.c_void_p).value)
    return seen


def divides_units(cell: Cell) -> bool:
    """Whether a small batch of it can be divided by units."""
    return (
        mixes_units(cell) and not cell.layer_norm and not cell.second_stage_gates and cell.output_nonlinearity is None
    )


def fuses(cell: Cell) -> bool:
    """Whether the engine can make its input projection."""
    return mixes_units(cell) and not cell.second_stage_gates


def hidden_for(cell: Cell, batch: int) -> int:
    """An odd H such that a step is worth a barrier, and nine are worth a thread."""
    share = cell.heads if mixes_units(cell) else 1
    return math.ceil(math.sqrt(1.3e5 * share / (2 * len(cell.gates) * batch))) | 1


def rows_for(cell: Cell) -> tuple[int, int]:
    """B and H such that nine steps are worth two threads."""
    return (30, 47) if mixes_units(cell) else (90, 131)


# T, B, I and H, and whether the engine makes the input projection where it can.
PATHS: dict[str, tuple[Callable[[Cell], tuple[int, int, int, int]], bool]] = {
    "unpacked": (lambda cell: (2, 3, 5, 19), True),
    "unpacked, by units": (lambda cell: (8, 1, 40, hidden_for(cell, 1)), True),
    "1 row by units": (lambda cell: (10, 1, 5, hidden_for(cell, 1)), False),
    "2 rows by units": (lambda cell: (9, 2, 5, hidden_for(cell, 2)), False),
    "3 rows by units": (lambda cell: (9, 3, 5, hidden_for(cell, 3)), False),
    "by rows": (lambda cell: (9, rows_for(cell)[0], 5, rows_for(cell)[1]), True),
    "by rows, projected before": (lambda cell: (9, rows_for(cell)[0], 5, rows_for(cell)[1]), False),
}


@pytest.mark.usefixtures("deterministic_fill")
@covering.parametrize(
    {
        "cell": NATIVE,
        "path": PATHS,
        "ragged": [False, True],
        "reverse": [False, True],
        "dtype": [torch.float64, torch.float32],
    },
    traits={"cell": traits},
)
def test_each_path_with_memory_full_of_nan(
    cell: Cell,
    path: str,
    ragged: bool,
    reverse: bool,
    dtype: torch.dtype,
    seen: Seen,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if path == "by rows, projected before":
        monkeypatch.setattr(forward, "_FUSED_BYTES", 0)
    sizes, fused = PATHS[path]
    steps, batch, inputs, hidden = sizes(cell)
    lengths = None
    if ragged:
        lengths = torch.randint(0, steps, (batch,))
        lengths[0], lengths[-1] = 0, steps
    case = draw(cell, steps, batch, inputs, hidden, lengths, reverse, dtype)
    assert_as_reference(case)
    assert_same_bits_again(case)
    # Three runs, each with its backward pass.
    assert seen.fused == [fused and fuses(cell)] * 3
    if "by rows" in path or ("by units" in path and divides_units(cell)):
        assert seen.threads == [2] * 6
    elif path == "unpacked":
        assert seen.threads == []


@pytest.mark.parametrize("cell", [cells.LSTM(), cells.Elman(), cells.Jordan()], ids=str)
def test_large_weights_are_multiplied_before(cell: Cell, seen: Seen) -> None:
    """As is what few rows would share: in float64, 2**17 weights are the most."""
    hidden = 32
    inputs = 2**17 // (len(cell.gates) * hidden) - hidden
    for batch, more, fused in ((9, 0, True), (9, 1, False), (3, 0, False), (2, 0, False)):
        assert_as_reference(draw(cell, 5, batch, inputs + more, hidden))
        assert seen.fused.pop() == fused


@pytest.mark.usefixtures("deterministic_fill")
@pytest.mark.parametrize("cell", KINDS, ids=str)
def test_two_threads_and_one_agree(cell: Cell, seen: Seen) -> None:
    """Rows of cells whose units do not mix to the bit: nothing depends on who their neighbours are."""
    batch, hidden = rows_for(cell)
    case = draw(cell, 9, batch, 5, hidden, torch.randint(0, 10, (batch,)), dtype=torch.float32)
    two = case.run("native")
    by_row = [*tensors(two), *gradients(two, case.state)]
    seen.allowed = 1
    one = case.run("native")
    assert_results_agree(case, two, one)
    assert seen.threads[0] == 2
    for a, b in zip(by_row, [*tensors(one), *gradients(one, case.state)], strict=True):
        assert mixes_units(cell) or torch.equal(a, b)


@pytest.mark.parametrize(
    "cell", [cells.LSTM(), cells.GRUResetBefore(), cells.SLSTM(2), cells.LayerNormGRU(), cells.MinGRU()], ids=str
)
def test_a_row_does_not_depend_on_its_neighbours(cell: Cell, seen: Seen) -> None:
    together = draw(cell, 9, 30, 5, 47)
    output = together.run("native")[0]
    for row in (0, 7, 29):
        few = replace(together, x=together.x[:, row : row + 1], state=tuple(p[row : row + 1] for p in together.state))
        assert_agree(few.run("native")[0], output[:, row : row + 1])
