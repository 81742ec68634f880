"""How tests compare two computations of the same thing: outputs, final states and every gradient."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

# Absolute and relative, the same in CI as anywhere.
TOLERANCES = {torch.float64: 1e-10, torch.float32: 2e-5}


def tensors(value: Any) -> list[Tensor]:
    """The floating-point tensors in a nest of tuples, lists and packed sequences, in order."""
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() else []
    if value is None:
        return []
    return [tensor for part in value for tensor in tensors(part)]


def assert_agree(actual: Any, expected: Any) -> None:
    """Fail unless the two have the same structure, shapes, dtypes and, within the tolerance, values."""
    if isinstance(expected, Tensor):
        assert isinstance(actual, Tensor)
        tolerance = TOLERANCES.get(expected.dtype, 0)
        torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)
    elif expected is None:
        assert actual is None
    else:
        assert isinstance(actual, PackedSequence) == isinstance(expected, PackedSequence)
        assert len(actual) == len(expected)
        for a, b in zip(actual, expected, strict=True):
            assert_agree(a, b)


def gradients(result: Any, wanted: Iterable[Tensor], cotangents: Sequence[Tensor] | None = None) -> list[Tensor]:
    """The gradient of a random weighting of all results with respect to each wanted tensor.

    The weighting is the same for results of the same shapes, unless `cotangents` gives another.
    """
    results = tensors(result)
    if cotangents is None:
        generator = torch.Generator().manual_seed(7)
        cotangents = [torch.randn(r.shape, generator=generator, dtype=r.dtype) for r in results]
    pairs = [(r, c) for r, c in zip(results, cotangents, strict=True) if r.requires_grad]
    wanted = list(wanted)
    if not pairs:
        return [torch.zeros_like(tensor) for tensor in wanted]
    outputs, weights = zip(*pairs, strict=True)
    found = torch.autograd.grad(outputs, wanted, weights, retain_graph=True, allow_unused=True, materialize_grads=True)
    return list(found)
