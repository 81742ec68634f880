"""From modules to the operations of one step: one function for each class of modules."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from torch import nn

from recurra.errors import StreamError
from recurra.program.builder import Builder
from recurra.program.operations import Value

__all__ = ["Lowered", "NoValue", "add_module", "has_lowering", "lowers", "only_value"]

#: A vector of a step, or a structure of such, as the module's `forward` returns it.
Lowered: TypeAlias = Any
_Function: TypeAlias = Callable[[Any, Builder, Value, str], Lowered]
_F = TypeVar("_F", bound=_Function)
_FUNCTIONS: dict[type[nn.Module], _Function] = {}


class NoValue:
    """In the place of a vector that a stream does not have; whoever reads it gets the reason as a StreamError."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def __getitem__(self, index: Any) -> Any:
        raise StreamError(self._reason)


def lowers(*kinds: type[nn.Module]) -> Callable[[_F], _F]:
    """Register a function that adds the operations of a module of these classes.

    It takes the module, the builder, the value that the module reads, and the module's name for messages; it returns
    what the module's `forward` returns, with a `Value` in the place of each tensor.
    """

    def register(function: _F) -> _F:
        _FUNCTIONS.update(dict.fromkeys(kinds, function))
        return function

    return register


def has_lowering(module: nn.Module) -> bool:
    """Whether there is a function for exactly this class of modules."""
    return type(module) in _FUNCTIONS


def add_module(module: nn.Module, builder: Builder, value: Value, name: str) -> Lowered:
    """Add the operations of a module that reads `value`.

    Raises:
        StreamError: if the module cannot run one step at a time.
    """
    if not has_lowering(module):
        raise StreamError(f"{name or 'the model'}: one step of a {type(module).__name__} is not known")
    return _FUNCTIONS[type(module)](module, builder, value, name)


def only_value(lowered: Lowered, name: str) -> Value:
    """The output of a module that returns one vector, or one and a state.

    Raises:
        StreamError: if it returns something else.
    """
    while isinstance(lowered, tuple) and not isinstance(lowered, Value) and lowered:
        lowered = lowered[0]
    if not isinstance(lowered, Value):
        raise StreamError(f"{name or 'the model'}: expected a vector at each step, got {type(lowered).__name__}")
    return lowered
