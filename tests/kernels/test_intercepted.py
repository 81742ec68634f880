import threading
from typing import Any

import pytest
import torch
from torch import Tensor

import recurra
from every_cell import MIXING
from recurra import kernels
from recurra.errors import ShapeError
from recurra.kernels import reference


def _counting(seen: list[tuple[int, bool]]) -> Any:
    def kernel(cell: Any, inputs: Tensor, state: Any, weights: Any, lengths: Any, reverse: bool, masks: Any) -> Any:
        seen.append((inputs.shape[0], reverse))
        return reference.run(cell, inputs, state, weights, lengths, reverse, masks)

    return kernel


@pytest.mark.parametrize("backend", MIXING)
def test_every_run_comes_by_whatever_the_backend(backend: str) -> None:
    layer = recurra.GRU(3, 4, num_layers=2, bidirectional=True, backend=backend)
    x = torch.randn(5, 2, 3)
    seen: list[tuple[int, bool]] = []
    with kernels.intercepted(_counting(seen)):
        output, _ = layer(x)
    assert seen == [(5, False), (5, True)] * 2
    assert torch.allclose(output, layer(x)[0], atol=1e-6)
    assert len(seen) == 4


def test_single_steps_come_by_too() -> None:
    seen: list[tuple[int, bool]] = []
    with kernels.intercepted(_counting(seen)):
        recurra.LSTMCell(3, 4)(torch.randn(2, 3))
    assert seen == [(1, False)]


def test_one_within_another_and_after_an_error() -> None:
    layer, x = recurra.GRU(3, 4), torch.randn(5, 2, 3)
    outer: list[tuple[int, bool]] = []
    inner: list[tuple[int, bool]] = []
    with kernels.intercepted(_counting(outer)):
        with pytest.raises(ShapeError), kernels.intercepted(_counting(inner)):
            layer(torch.cat([layer(x)[0], x], dim=2))
        layer(x)
    layer(x)
    assert (len(outer), len(inner)) == (1, 1)


def test_other_threads_run_as_ever() -> None:
    layer, x = recurra.GRU(3, 4), torch.randn(5, 2, 3)
    seen: list[tuple[int, bool]] = []
    with kernels.intercepted(_counting(seen)):
        other = threading.Thread(target=layer, args=(x,))
        other.start()
        other.join()
    assert seen == []
