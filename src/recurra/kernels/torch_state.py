"""Questions about the state of torch: what it compiles, transforms, differentiates or traces at the moment."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch._C import _len_torch_dispatch_stack
from torch._C._autograd import _get_current_graph_task_keep_graph
from torch._C._functorch import (
    get_unwrapped,
    is_functorch_wrapped_tensor,
    is_legacy_batchedtensor,
    maybe_current_level,
)
from torch.nn import Parameter

__all__ = [
    "autocasts",
    "autocasts_beyond_one_dnn",
    "constant",
    "forward_mode",
    "grads_are_batched",
    "graph_is_retained",
    "operators_are_needed",
    "requires_grad",
    "traced",
    "transformed",
]

F = TypeVar("F", bound=Callable[..., Any])
_PLAIN = {Tensor, Parameter}


def constant(function: F) -> F:
    """What torch.compile calls and does not trace: torch.compiler.assume_constant_result, but for its slow import."""
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


@constant
def transformed() -> bool:
    """Whether a transform of torch.func is under way. torch has no public question for it; this holds since 2.0."""
    return maybe_current_level() is not None


@constant
def forward_mode() -> bool:
    """Whether forward-mode derivatives are under way. torch has no public question for it; this holds since 2.0."""
    return torch.autograd.forward_ad._current_level >= 0


def grads_are_batched(gradients: Sequence[Tensor | None]) -> bool:
    """Whether gradients are those of torch.autograd.grad(is_grads_batched=True), whose vmap `transformed` overlooks."""
    return any(gradient is not None and is_legacy_batchedtensor(gradient) for gradient in gradients)


def graph_is_retained() -> bool:
    """Whether another backward pass may follow the one under way. torch has no public question for it; its own compiled
    functions ask this one."""
    return _get_current_graph_task_keep_graph()


@constant
def traced() -> bool:
    """Whether torch.jit.trace or an export to ONNX traces what runs: they take torch's operations only."""
    if torch.compiler.is_compiling():
        return "torch.onnx" in sys.modules and torch.onnx.is_in_onnx_export()
    return torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]


def operators_are_needed(*tensors: Tensor) -> bool:
    """Whether torch is tracing or under a transform, and so can see only what runs as an operator."""
    if torch.compiler.is_compiling() or transformed() or _len_torch_dispatch_stack() > 0:
        return True
    return not _PLAIN.issuperset(map(type, tensors))  # for example fake tensors


def autocasts() -> bool:
    """Whether torch.autocast chooses the precision of operations on a CPU."""
    return torch.is_autocast_enabled("cpu")


def autocasts_beyond_one_dnn() -> bool:
    """Whether torch.autocast asks for a precision that oneDNN does not have on this processor."""
    return autocasts() and not _one_dnn_has(torch.get_autocast_dtype("cpu") == torch.bfloat16)


@constant
def _one_dnn_has(bfloat16: bool) -> bool:
    """Whether oneDNN has bfloat16, or else float16."""
    of_one_dnn = torch.ops.mkldnn
    return bool(of_one_dnn._is_mkldnn_bf16_supported() if bfloat16 else of_one_dnn._is_mkldnn_fp16_supported())


def requires_grad(tensor: Tensor) -> bool:
    """Whether autograd tracks the tensor, on any level of the transforms under way."""
    if tensor.requires_grad or not transformed():
        return tensor.requires_grad
    if torch.compiler.is_compiling():
        return True  # otherwise this costs memory only
    return is_functorch_wrapped_tensor(tensor) and requires_grad(get_unwrapped(tensor))
