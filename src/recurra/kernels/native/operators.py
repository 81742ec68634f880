"""The engine as torch operators: the way of torch.compile, of torch.func's transforms and of fake tensors.

`recurra::recurrence` runs a cell over a sequence and `recurra::recurrence_backward` gives its gradients, both on the
engine; a derivative of these gradients, and their forward-mode derivative, is the reference's. A cell travels as a
string, and the engine's arguments as the list of those that are there with the list of which are.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch._C import _after_autograd_keyset, _any_requires_grad, _AutoDispatchBelowAutograd, _len_torch_dispatch_stack
from torch._C._autograd import _get_current_graph_task_keep_graph
from torch._C._functorch import get_unwrapped, is_functorch_wrapped_tensor, maybe_current_level
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import Function
from torch.nn import Parameter

from recurra.cells import Cell
from recurra.errors import BackendError
from recurra.kernels import batching, derivatives, engine, extension
from recurra.kernels.engine import Arguments, Kept
from recurra.shapes import check_lengths

__all__ = [
    "are_needed",
    "constant",
    "forward_mode",
    "gives_masks",
    "graph_is_kept",
    "key_of",
    "make_known",
    "obstacle",
    "recorded",
    "run",
    "run_backward",
    "transformed",
]

_LIBRARY = torch.library.Library("recurra", "DEF")
_LIBRARY.define(
    "recurrence(str cell, Tensor[] tensors, bool[] present, Tensor? lengths, bool reverse, bool training)"
    " -> (Tensor, Tensor[], Tensor[])",
    tags=torch.Tag.pt2_compliant_tag,
)
_LIBRARY.define(
    "recurrence_backward(str cell, Tensor[] tensors, bool[] present, Tensor output, Tensor[] kept, Tensor? lengths,"
    " bool reverse, Tensor[] cotangents, bool[] given, bool[] needed, int members) -> Tensor[]",
    tags=torch.Tag.pt2_compliant_tag,
)
_FORWARD = torch.ops.recurra.recurrence.default
_BACKWARD = torch.ops.recurra.recurrence_backward.default

F = TypeVar("F", bound=Callable[..., Any])

_PLAIN = {Tensor, Parameter}
_CELLS: dict[str, Cell] = {}
_KEYS: dict[Cell, str] = {}


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


def graph_is_kept() -> bool:
    """Whether another backward pass may follow the one under way. torch has no public question for it; its own compiled
    functions ask this one."""
    return _get_current_graph_task_keep_graph()


@constant
def recorded() -> bool:
    """Whether what runs is written down for others to run, by torch.jit.trace or as ONNX: torch's operations only."""
    if torch.compiler.is_compiling():
        return "torch.onnx" in sys.modules and torch.onnx.is_in_onnx_export()
    return torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]


def are_needed(*tensors: Tensor) -> bool:
    """Whether torch looks on: it compiles, transforms or records what it can see of operators only."""
    if torch.compiler.is_compiling() or transformed() or _len_torch_dispatch_stack() > 0:
        return True
    return not _PLAIN.issuperset(map(type, tensors))  # fake tensors, say


def key_of(cell: Cell) -> str:
    """What stands for a cell in an operator's arguments: its module, name and fields. It is known from then on."""
    if not torch.compiler.is_compiling():
        return _registered(cell)
    if all(isinstance(value, str | bool | None) for value in vars(cell).values()):
        return _key_of_fields(type(cell), tuple(vars(cell).items()))
    # Numbers may be symbols to torch.compile.
    return _key_of_object(cell)


def make_known(cell: Cell) -> None:
    """Let graphs made elsewhere, which name the cell, find it."""
    _registered(cell)


def _registered(cell: Cell) -> str:
    key = _KEYS.get(cell)
    if key is None:
        kind = type(cell)
        shown = ", ".join(f"{name}={value!r}" for name, value in vars(cell).items())
        key = f"{kind.__module__}.{kind.__qualname__}({shown})"
        if key in _CELLS:  # of another class of the same name, as functions and notebooks define them
            key = f"{key} {len(_CELLS)}"
        _CELLS[key] = cell
        _KEYS[cell] = key
    return key


@constant
def _key_of_fields(kind: type[Cell], fields: tuple[tuple[str, Any], ...]) -> str:
    """Where torch.compile guards the values of the fields: other cells with the same need no other code."""
    cell = object.__new__(kind)
    vars(cell).update(fields)
    return _registered(cell)


@constant
def _key_of_object(cell: Cell) -> str:
    """Where torch.compile guards that it is the same object."""
    return _registered(cell)


@constant
def obstacle(key: str) -> str:
    """`extension.obstacle` of a cell by its key, as torch.compile can ask for it."""
    return extension.obstacle(_known(key))


def run(cell: Cell, arguments: Arguments, lengths: Tensor | None, reverse: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The outputs and the final state by part, as operators."""
    flat = arguments.flat()
    tensors = [tensor for tensor in flat if tensor is not None]
    present = [tensor is not None for tensor in flat]
    training = torch.is_grad_enabled() and any(_requires_grad(tensor) for tensor in tensors)
    output, final, _ = torch.ops.recurra.recurrence(key_of(cell), tensors, present, lengths, reverse, training)
    return output, tuple(final)


def gives_masks(needed: Sequence[bool], parts: int) -> bool:
    """Whether a mask is among the gradients needed of `Arguments.flat`, which the engine does not compute."""
    return any(needed[-1 - 2 * parts : -parts])


def run_backward(
    cell: Cell,
    flat: Sequence[Tensor | None],
    kept: Kept,
    lengths: Tensor | None,
    reverse: bool,
    cotangents: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """The gradients of `Arguments.flat`, as operators."""
    present = [tensor is not None for tensor in flat]
    tensors = [tensor for tensor in flat if tensor is not None]
    wanted = [needs for needs, there in zip(needed, present, strict=True) if there]
    found = iter(
        _gradients(key_of(cell), tensors, present, kept.output, _listed(kept), lengths, reverse, cotangents, wanted)
    )
    return [next(found) if there else None for there in present]


def _requires_grad(tensor: Tensor) -> bool:
    """Whether a graph is recorded of it, on whatever level of the transforms under way."""
    if tensor.requires_grad or not transformed():
        return tensor.requires_grad
    if torch.compiler.is_compiling():
        return True  # which costs memory where it is not true
    return is_functorch_wrapped_tensor(tensor) and _requires_grad(get_unwrapped(tensor))


def _known(key: str) -> Cell:
    if key not in _CELLS:
        raise BackendError(f"the cell {key} is not known to this process: make a layer of it first")
    return _CELLS[key]


def _spread(tensors: Sequence[Any], present: Sequence[bool]) -> list[Any]:
    """A None for each that is not there."""
    rest = iter(tensors)
    return [next(rest) if there else None for there in present]


def _listed(kept: Kept) -> list[Tensor]:
    return [*kept.others.values(), *(() if kept.projected is None else (kept.projected,))]


def _gradients(
    key: str,
    tensors: Sequence[Tensor],
    present: Sequence[bool],
    output: Tensor,
    kept: Sequence[Tensor],
    lengths: Tensor | None,
    reverse: bool,
    cotangents: Sequence[Tensor | None],
    needed: Sequence[bool],
    trained: bool = True,
) -> list[Tensor | None]:
    """The gradients of `tensors`, None where there is none to be had."""
    given = [cotangent is not None for cotangent in cotangents]
    if not any(given):
        return [None] * len(tensors)
    flat, flat_needed = _spread(tensors, present), [bool(needs) for needs in _spread(needed, present)]
    a = Arguments.of(flat)
    if gives_masks(flat_needed, len(a.state)) or not trained or forward_mode():
        found = derivatives.gradients(_known(key), flat, lengths, reverse, cotangents, flat_needed)
        return _spread(found, needed)
    there = [cotangent for cotangent in cotangents if cotangent is not None]
    found = torch.ops.recurra.recurrence_backward(
        key, tensors, present, output, kept, lengths, reverse, there, given, needed, 1
    )
    shared = [at is None for at, there in zip(a.rows(), present, strict=True) if there]
    shared = [is_shared for is_shared, needs in zip(shared, needed, strict=True) if needs]
    # Of the one member that there is.
    return _spread([g.squeeze(0) if is_shared else g for g, is_shared in zip(found, shared, strict=True)], needed)


class _Recurrence(Function):
    """The derivative of `recurra::recurrence`."""

    @staticmethod
    def forward(ctx: Any, keyset: Any, arguments: Sequence[Any], *tensors: Tensor) -> tuple[Tensor, ...]:
        with torch.enable_grad():  # for the levels of the transforms outside this one
            output, final, kept = _below(_FORWARD, keyset, arguments)
        ctx.key, _, ctx.present, lengths, ctx.reverse, ctx.training = arguments
        ctx.parts, ctx.count = len(final), len(tensors)
        ctx.save_for_backward(*tensors, output, lengths, *kept)
        ctx.mark_non_differentiable(*kept)
        ctx.set_materialize_grads(False)
        return output, *final, *kept

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors  # once only: recomputing refuses a second time
        tensors, (output, lengths, *kept) = saved[: ctx.count], saved[ctx.count :]
        cotangents, needed = gradients[: 1 + ctx.parts], ctx.needs_input_grad[2:]
        ran = ctx.key, tensors, ctx.present, output, kept, lengths, ctx.reverse
        return None, None, *_gradients(*ran, cotangents, needed, ctx.training)


class _RecurrenceBackward(Function):
    """The derivative of `recurra::recurrence_backward`, as a function of all but what the engine kept."""

    @staticmethod
    def forward(ctx: Any, keyset: Any, arguments: Sequence[Any], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.key, given_tensors, ctx.present, _, _, lengths, ctx.reverse, _, ctx.given, ctx.needed, ctx.members = (
            arguments
        )
        ctx.count = len(given_tensors)
        ctx.save_for_backward(lengths, *tensors)
        with torch.enable_grad():
            return tuple(_below(_BACKWARD, keyset, arguments))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        def spread(values: Sequence[Any]) -> tuple[list[Any], list[Any]]:
            return _spread(values[: ctx.count], ctx.present), _spread(values[ctx.count :], ctx.given)

        lengths, *tensors = ctx.saved_tensors
        flat, cotangents = spread(tensors)
        wanted = [bool(wants) for part in spread(ctx.needs_input_grad[2:]) for wants in part]
        needed = [bool(needs) for needs in _spread(ctx.needed, ctx.present)]
        found = derivatives.gradients_of_gradients(
            _known(ctx.key), flat, lengths, ctx.reverse, cotangents, needed, ctx.members, gradients, wanted
        )
        return None, None, *_spread(found, ctx.needs_input_grad[2:])


def _below(operator: Any, keyset: Any, arguments: Sequence[Any]) -> Any:
    with _AutoDispatchBelowAutograd():
        return operator.redispatch(keyset & _after_autograd_keyset, *arguments)


def _recorded(function: type[Function], *arguments: Any) -> Any:
    """As `function.apply`, which inside a transform refuses a function that does not serve all levels at once."""
    if not transformed():
        return function.apply(*arguments)
    with enable_single_level_autograd_function():
        return super(Function, function).apply(*arguments)  # type: ignore[misc]


def _recurrence_recorded(keyset: Any, *arguments: Any) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    tensors, present = arguments[1:3]
    if not (torch.is_grad_enabled() and _any_requires_grad(tensors)):
        return _below(_FORWARD, keyset, arguments)
    output, *rest = _recorded(_Recurrence, keyset, arguments, *tensors)
    parts = len(Arguments.of(_spread(tensors, present)).state)
    return output, rest[:parts], rest[parts:]


def _recurrence_backward_recorded(keyset: Any, *arguments: Any) -> list[Tensor]:
    tensors, cotangents = arguments[1], arguments[7]
    if not (torch.is_grad_enabled() and _any_requires_grad(tensors, cotangents)):
        return _below(_BACKWARD, keyset, arguments)
    return list(_recorded(_RecurrenceBackward, keyset, arguments, *tensors, *cotangents))


def _recurrence(
    key: str, tensors: list[Tensor], present: list[bool], lengths: Tensor | None, reverse: bool, training: bool
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    cell, a = _known(key), Arguments.of(_spread([tensor.contiguous() for tensor in tensors], present))
    steps, batch, _ = a.inputs.shape
    if lengths is not None:
        # The engine trusts them, and torch.compile saw no values.
        lengths = check_lengths(lengths, batch, steps).contiguous()
    output, final, kept = engine.forward(cell, a, lengths, reverse, training, padded=True)
    if kept is None:
        return output, list(final), []
    listed = _listed(kept)
    if lengths is not None:
        places, room = int(lengths.sum()), steps * batch
        if kept.projected is not None:
            listed[-1] = torch.nn.functional.pad(kept.projected, (0, 0, 0, room - places))
        for tensor in listed:
            tensor.view(-1)[tensor.numel() // max(1, room) * places :].zero_()
    return output, list(final), listed


def _recurrence_fake(
    key: str, tensors: list[Tensor], present: list[bool], lengths: Tensor | None, reverse: bool, training: bool
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    cell, a = _known(key), Arguments.of(_spread(tensors, present))
    steps, batch, _ = a.inputs.shape
    new, shapes = a.inputs.new_empty, []
    if training:
        shapes += engine.kept_shapes(cell, a, steps * batch).values()
        if not extension.best(cell).mixes_units and a.weight_ih is not None:
            shapes.append((steps * batch, a.weight_ih.shape[0]))
    output, final = new(steps, batch, a.state[0].shape[1]), [new(part.shape) for part in a.state]
    return output, final, [new(shape) for shape in shapes]


def _recurrence_backward(
    key: str,
    tensors: list[Tensor],
    present: list[bool],
    output: Tensor,
    kept: list[Tensor],
    lengths: Tensor | None,
    reverse: bool,
    cotangents: list[Tensor],
    given: list[bool],
    needed: list[bool],
    members: int,
) -> list[Tensor]:
    cell, flat = _known(key), _spread([tensor.contiguous() for tensor in tensors], present)
    lengths = None if lengths is None else lengths.long().contiguous()
    a, d_results = Arguments.of(flat), _spread(cotangents, given)
    names, listed = engine.kept_shapes(cell, a, 0), [tensor.contiguous() for tensor in kept]
    projected = listed[len(names)] if len(listed) > len(names) else None
    run = Kept(output.contiguous(), projected, dict(zip(names, listed, strict=False)))
    flat_needed = [bool(needs) for needs in _spread(needed, present)]
    at = [dimension for dimension, needs in zip(a.rows(), flat_needed, strict=True) if needs]
    groups = members if None in at else 1  # only of the weights each member has gradients of its own
    launches = groups if groups > 1 and engine.sums_over_rows(cell, a) else 1
    found: list[list[Tensor]] = []
    for k in range(launches):
        part_a, part_run, part_lengths, part_results = a, run, lengths, d_results
        if launches > 1:
            size = a.inputs.shape[1] // launches
            rows = slice(k * size, (k + 1) * size)
            part_a = Arguments.of(batching.of_rows(flat, a.rows(), rows))
            part_run = batching.kept_of_rows(run, lengths, rows)
            part_lengths = None if lengths is None else lengths[rows]
            part_results = batching.of_rows(d_results, [1, *(0 for _ in a.state)], rows)
        d_output, *d_final = part_results
        of_flat = engine.backward(
            cell, part_a, part_run, part_lengths, reverse, d_output, d_final, flat_needed, groups // launches
        )
        found.append([g for g, needs in zip(of_flat, flat_needed, strict=True) if needs and g is not None])
    if launches < groups:  # of all members already
        return [gradient.contiguous() for gradient in found[0]]
    return [_joined(parts, dimension) for dimension, *parts in zip(at, *found, strict=True)]


def _joined(parts: list[Tensor], dimension: int | None) -> Tensor:
    """The gradients of all members in one, in a new dimension for what all rows share."""
    if dimension is None:
        return torch.stack(parts)  # a copy also of one: the engine may give one tensor as the gradient of both biases
    return parts[0].contiguous() if len(parts) == 1 else torch.cat(parts, dimension)


def _recurrence_backward_fake(
    key: str,
    tensors: list[Tensor],
    present: list[bool],
    output: Tensor,
    kept: list[Tensor],
    lengths: Tensor | None,
    reverse: bool,
    cotangents: list[Tensor],
    given: list[bool],
    needed: list[bool],
    members: int,
) -> list[Tensor]:
    rows = Arguments.of(_spread(tensors, present)).rows()
    at = [dimension for dimension, there in zip(rows, present, strict=True) if there]
    shapes = [
        (members, *tensor.shape) if dimension is None else tensor.shape
        for tensor, dimension, needs in zip(tensors, at, needed, strict=True)
        if needs
    ]
    return [output.new_empty(shape) for shape in shapes]


torch.library.register_fake("recurra::recurrence", _recurrence_fake, lib=_LIBRARY)
torch.library.register_fake("recurra::recurrence_backward", _recurrence_backward_fake, lib=_LIBRARY)
_LIBRARY.impl("recurrence", _recurrence, "CPU")
_LIBRARY.impl("recurrence_backward", _recurrence_backward, "CPU")
_LIBRARY.impl("recurrence", _recurrence_recorded, "Autograd", with_keyset=True)
_LIBRARY.impl("recurrence_backward", _recurrence_backward_recorded, "Autograd", with_keyset=True)
torch.library.register_vmap("recurra::recurrence", batching.forward_rule, lib=_LIBRARY)
torch.library.register_vmap("recurra::recurrence_backward", batching.backward_rule, lib=_LIBRARY)
