"""A module as a function of what it, or a module inside it, reads."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import ParameterError
from recurra.inspection.attribution import ScalarFunction
from recurra.layers import Recurrent

__all__ = ["function_of_inputs"]


def function_of_inputs(
    module: nn.Module,
    args: Sequence[Any],
    output: Callable[[Any], Tensor],
    reads: str = "",
    kwargs: Mapping[str, Any] | None = None,
) -> tuple[ScalarFunction, tuple[Tensor, ...]]:
    """What `integrated_gradients` and `forgetting` need, for any module.

    Args:
        module: copied, and run in evaluation mode.
        args: what to call it with.
        output: from what it returns to one number a sequence, (B,).
        reads: the qualified name of the module inside it whose inputs are meant, such as the recurrent layer behind an
            embedding; the module itself where empty. Its inputs are the tensors of three dimensions among its
            positional arguments; of a recurrent layer the first.
        kwargs: what else to call it with.

    Returns:
        A function of these inputs, and the inputs (B, T, I) as they are.

    Raises:
        ParameterError: where there is no such module, it does not run exactly once, or reads no such tensors.
    """
    copy = deepcopy(module).eval()
    inner = dict(copy.named_modules()).get(reads)
    if inner is None:
        raise ParameterError("reads", "the name of a module inside", reads)
    layer = isinstance(inner, Recurrent | nn.RNNBase)
    time_first = layer and not inner.batch_first
    given: list[Tensor] = []
    seen: list[tuple[Any, ...]] = []

    def read(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        seen.append(arguments)
        replaced, new = list(arguments), iter(given)
        for place in _places(arguments, layer) if given else ():
            x = next(new)
            replaced[place] = x.transpose(0, 1) if time_first else x
        return tuple(replaced)

    inner.register_forward_pre_hook(read)
    with torch.no_grad():
        copy(*args, **(kwargs or {}))
    if len(seen) != 1:
        raise ParameterError("reads", "a module that runs once", f"{reads!r}, which runs {len(seen)} times")
    found = [seen[0][place].detach() for place in _places(seen[0], layer)]
    if not found:
        expected = "a module with positional floating-point inputs of three dimensions"
        raise ParameterError("reads", expected, reads, "Name the layer behind the embedding, say.")

    def function(*inputs: Tensor) -> Tensor:
        given[:] = inputs
        return output(copy(*args, **(kwargs or {})))

    return function, tuple(x.transpose(0, 1) if time_first else x for x in found)


def _places(arguments: Sequence[Any], layer: bool) -> list[int]:
    found = [
        place
        for place, value in enumerate(arguments)
        if isinstance(value, Tensor) and value.dim() == 3 and value.is_floating_point()
    ]
    return found[:1] if layer else found
