"""A sequence computed again in the backward pass: the same results, in memory that grows as the root of its length."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from against_reference import NATIVE, Case, assert_results_agree, draw
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

import covering
from agreement import assert_agree, gradients
from every_cell import SERVED, served_traits
from recurra import Recurrent, cells, kernels
from recurra.cells import Cell
from recurra.kernels.native import forward as forwards


def run(case: Case, backend: str, recompute: bool) -> Any:
    return kernels.run(
        backend,
        case.cell,
        case.x,
        case.state,
        case.weights,
        case.lengths,
        case.reverse,
        case.masks,
        recompute=recompute,
    )


@covering.parametrize(
    {("cell", "backend"): SERVED, ("lengths", "reverse"): [(None, False), ((7, 0, 10, 1, 4), True)]},
    traits={("cell", "backend"): served_traits},
)
def test_the_same_results(cell: Cell, backend: str, lengths: Any, reverse: bool) -> None:
    masks = "" if backend == "aten" else "recurrent" if cell.output_nonlinearity else "recurrent+zoneout"
    case = draw(cell, 10, 5, 3, 6, lengths, reverse, masks=masks)
    assert_results_agree(case, run(case, backend, True), run(case, backend, False))


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 16, 17])
@pytest.mark.parametrize("reverse", [False, True])
def test_any_number_of_steps(steps: int, reverse: bool) -> None:
    for masks in ("zoneout", "expected"):
        case = draw(cells.LSTM(), steps, 2, 3, 5, (steps, steps // 2), reverse, masks=masks)
        assert_results_agree(case, run(case, "auto", True), run(case, "auto", False))


@pytest.mark.parametrize(("cell", "backend"), [pair for pair in SERVED if pair[0] == cells.LSTM()], ids=str)
def test_a_gradient_of_a_gradient(cell: Cell, backend: str) -> None:
    case = draw(cell, 7, 2, 3, 4)
    found = []
    for recompute in (True, False):
        output, _ = run(case, backend, recompute)
        first = torch.autograd.grad(output.square().sum(), case.wanted, create_graph=True)
        found.append([*first, *torch.autograd.grad(torch.stack([g.sin().sum() for g in first]).sum(), case.wanted)])
    assert_agree(found[0], found[1])


@pytest.mark.parametrize("cell", [cells.LSTM(), cells.Jordan(), cells.MinGRU()], ids=str)
def test_in_a_layer_that_draws_masks(cell: Cell) -> None:
    dropout = 0.0 if cell.recurrence == "none" else 0.4
    zoneout = 0.0 if cell.output_nonlinearity else 0.3
    found = []
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    for recompute in (False, True):
        torch.manual_seed(5)
        layer = Recurrent(
            cell,
            3,
            4,
            2,
            batch_first=True,
            dropout=0.5,
            bidirectional=True,
            dtype=torch.float64,
            recurrent_dropout=dropout,
            zoneout=zoneout,
            recompute=recompute,
        )
        result = layer(x, lengths=[9, 4])
        found.append([*result, *gradients(result, layer.parameters())])
    assert_agree(found[1], found[0])


class Held:
    """Watches what the engine keeps for its backward passes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.saved: list[tuple[StorageWeakRef, int]] = []
        self.steps: list[int] = []
        self.most = 0
        forward: Callable[..., Any] = forwards.forward

        def spy(prepared: Any, arguments: Any, *others: Any) -> Any:
            result = yield from forward(prepared, arguments, *others)
            saved = result[2]
            self.steps.append(arguments.inputs.shape[0])
            if saved is not None:
                tensors: list[Tensor] = [
                    *saved.others.values(),
                    *([] if saved.projected is None else [saved.projected]),
                ]
                self.saved += [(StorageWeakRef(t.untyped_storage()), t.untyped_storage().nbytes()) for t in tensors]
            self.most = max(self.most, self.now())
            return result

        monkeypatch.setattr(forwards, "forward", spy)

    def now(self) -> int:
        """Bytes."""
        return sum(size for storage, size in self.saved if not storage.expired())


def most_held(monkeypatch: pytest.MonkeyPatch, cell: Cell, steps: int, recompute: bool) -> int:
    with monkeypatch.context() as patch:
        held = Held(patch)
        case = draw(cell, steps, 2, 3, 8)
        output, _ = run(case, "native", recompute)
        if recompute:
            assert held.now() == 0
        output.sum().backward()
        assert held.now() == 0
        return held.most


@pytest.mark.skipif(not NATIVE, reason="needs the C++ extension")
@pytest.mark.parametrize("cell", [cells.LSTM(), cells.GRU(), cells.LayerNormGRU(), cells.SRU()], ids=str)
def test_memory_grows_as_the_root_of_the_length(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, four_times = (most_held(monkeypatch, cell, steps, False) for steps in (64, 256))
    assert four_times == 4 * whole
    root, twice = (most_held(monkeypatch, cell, steps, True) for steps in (64, 256))
    assert root * 8 == whole
    assert twice == 2 * root


@pytest.mark.skipif(not NATIVE, reason="needs the C++ extension")
def test_in_segments_only_for_a_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch)
    case = draw(cells.LSTM(), 9, 2, 3, 4)
    with torch.no_grad():
        run(case, "native", True)
    assert held.steps == [9]
    run(case, "native", True)[0].sum().backward()
    # Each segment twice.
    assert held.steps[1:] == [3] * 6
