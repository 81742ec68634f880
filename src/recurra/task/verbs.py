"""Verbs: the methods of an estimator that are commands too."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin

from recurra.options import Option, Options, Setting, make_setting

__all__ = ["Verb", "option_groups", "settings_of_verb", "verb", "verbs_of"]

# What these methods are called as commands.
_COMMANDS = {"predictions": "predict", "view": "inspect"}

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


@dataclass(frozen=True)
class Verb:
    """A method that is a command.

    Attributes:
        method: its name.
        help: one line.
    """

    method: str
    help: str

    @property
    def command(self) -> str:
        """What follows `recurra` on the command line."""
        return _COMMANDS.get(self.method, self.method)


def verb(help: str) -> Callable[[FunctionT], FunctionT]:  # noqa: A002 - the word of argparse
    """Make a method a command.

    Its parameters annotated with `Annotated[kind, Option(...)]` are checked at each call and become arguments of the
    command, and so do the fields of parameters that are `Options`. `data`, `y` and `reading` mean the same in every
    verb.

    Args:
        help: one line.
    """

    def mark(function: FunctionT) -> FunctionT:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*arguments: Any, **keywords: Any) -> Any:
            values = signature.bind(*arguments, **keywords).arguments
            for name, setting in settings_of_verb(function).items():
                if name in values:
                    setting.checked(values[name])
            return function(*arguments, **keywords)

        checked.__recurra_verb__ = Verb(function.__name__, help)  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return mark


def verbs_of(kind: type) -> dict[str, Verb]:
    """The verbs of an estimator, by command."""
    found = (getattr(getattr(kind, name), "__recurra_verb__", None) for name in dir(kind))
    return {one.command: one for one in found if isinstance(one, Verb)}


@functools.cache
def settings_of_verb(function: Callable[..., Any]) -> dict[str, Setting]:
    """The parameters of a verb that are options."""
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if get_origin(parameter.annotation) is Annotated:
            kind, facts = get_args(parameter.annotation)[:2]
            if isinstance(facts, Option):
                default = dataclasses.MISSING if parameter.default is parameter.empty else parameter.default
                found[name] = make_setting(name, kind, default, facts)
    return found


def option_groups(function: Callable[..., Any]) -> dict[str, type[Options]]:
    """The parameters of a verb that are `Options`, such as how to search."""
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        kinds = [parameter.annotation, *get_args(parameter.annotation)]
        kind = next((one for one in kinds if isinstance(one, type) and issubclass(one, Options)), None)
        if kind is not None:
            found[name] = kind
    return found
