"""Verbs: the methods of an estimator that are commands too."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_origin

from recurra.errors import ParameterError
from recurra.options import Option, Options, Setting, make_setting

__all__ = [
    "Verb",
    "check_required",
    "command_settings",
    "option_groups",
    "settings_of_verb",
    "train_settings",
    "verb",
    "verbs_of",
]

if TYPE_CHECKING:
    from recurra.task.estimator import Estimator

# What these methods are called as commands.
_COMMANDS = {"predictions": "predict", "view": "inspect", "generation": "generate"}

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


@dataclass(frozen=True)
class Verb:
    """A method that is a command.

    Attributes:
        method: its name.
        help: one line.
        endings: of the files that its result is written to, in lower case; empty: any.
    """

    method: str
    help: str
    endings: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """What follows `recurra` on the command line."""
        return _COMMANDS.get(self.method, self.method)

    def check_out(self, path: Path) -> None:
        """Refuse a path that the result cannot be written to. Raises ParameterError."""
        if self.endings and path.suffix.lower() not in self.endings:
            *others, last = (ending for ending in self.endings if ending)
            expected = f"a file ending in {', '.join(others)} or {last}" if others else f"a file ending in {last}"
            raise ParameterError("out", expected, str(path))


def verb(help: str, endings: tuple[str, ...] = ()) -> Callable[[FunctionT], FunctionT]:  # noqa: A002 - of argparse
    """Make a method a command.

    Its parameters annotated with `Annotated[kind, Option(...)]` are checked at each call and become arguments of the
    command, and so do the fields of parameters that are `Options`. `data`, `y` and `reading` mean the same in every
    verb.

    Args:
        help: one line.
        endings: of the files that its result is written to, in lower case; empty: any. The command refuses others
            before it begins.
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

        checked.__recurra_verb__ = Verb(function.__name__, help, endings)  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return mark


def verbs_of(kind: type) -> dict[str, Verb]:
    """The verbs of an estimator, by command."""
    marks = (getattr(getattr(kind, name), "__recurra_verb__", None) for name in dir(kind))
    return {one.command: one for one in marks if isinstance(one, Verb)}


@functools.cache
def settings_of_verb(function: Callable[..., Any]) -> dict[str, Setting]:
    """The parameters of a verb that are options."""
    settings = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if get_origin(parameter.annotation) is Annotated:
            kind, facts = get_args(parameter.annotation)[:2]
            if isinstance(facts, Option):
                default = MISSING if parameter.default is parameter.empty else parameter.default
                settings[name] = make_setting(name, kind, default, facts)
    return settings


def option_groups(function: Callable[..., Any]) -> dict[str, type[Options]]:
    """The parameters of a verb that are `Options`, such as how to search."""
    groups = {}
    for name, parameter in inspect.signature(function).parameters.items():
        kinds = [parameter.annotation, *get_args(parameter.annotation)]
        kind = next((one for one in kinds if isinstance(one, type) and issubclass(one, Options)), None)
        if kind is not None:
            groups[name] = kind
    return groups


def command_settings(kind: "type[Estimator[Any, Any, Any]]", method: Callable[..., Any]) -> dict[str, Setting]:
    """All that a verb's command takes: its data, the fields of its option groups, its options, and where to write."""
    settings: dict[str, Setting] = {}
    data = inspect.signature(method).parameters.get("data")
    if data is not None:
        default = MISSING if data.default is data.empty else None
        setting = Setting("data", str, default is None, default, Option("file to read", group="data"))
        several = kind.several_sources and method.__name__ != "predictions"
        settings["data"] = _several(setting) if several else setting
    for name, options in option_groups(method).items():
        group = "data" if name == "reading" else name
        for field, setting in options.settings().items():
            settings[field] = replace(setting, option=replace(setting.option, group=setting.option.group or group))
    settings |= settings_of_verb(inspect.unwrap(method))
    for name, annotation, default, words in (
        ("out", str | None, None, "where the result is written"),
        ("color", Literal["auto", "always", "never"], "auto", "colours: auto means in a terminal"),
    ):
        settings[name] = make_setting(name, annotation, default, Option(words, group="output"))
    return settings


def train_settings(kind: "type[Estimator[Any, Any, Any]]") -> dict[str, Setting]:
    """All that training on the command line takes, in the order of its help."""
    files = "files" if kind.several_sources else "file"
    data: list[Setting] = [
        make_setting(name, str | None, None, Option(f"{files} to {purpose}", group="data", main=True))
        for name, purpose in (("data", "train on"), ("validation", "choose the best weights by"))
    ]
    reading = [] if kind.Reading is None else list(kind.Reading.settings().values())
    run = (
        ("out", str, f"runs/{kind.task}", "folder of the run", True),
        ("resume", bool, False, "resume the run in --out, with its options and its data", True),
        ("from", str | None, None, "run whose weights training starts from", False),
        ("tensorboard", bool, False, "also log to TensorBoard", False),
    )
    ordered = [
        *(_several(setting) if kind.several_sources else setting for setting in data),
        *(replace(one, option=replace(one.option, group=one.option.group or "data")) for one in reading),
        *sorted(kind.settings().values(), key=lambda setting: setting.option.group == "training"),
        *(
            make_setting(name, note, default, Option(words, group="run", main=main))
            for name, note, default, words, main in run
        ),
    ]
    return {setting.name: setting for setting in ordered}


def _several(setting: Setting) -> Setting:
    """A setting that takes several words."""
    return replace(setting, kind=tuple[str, ...], option=replace(setting.option, words=True))


def check_required(settings: dict[str, Setting], values: dict[str, Any]) -> None:
    """Refuse values without one that has no default. Raises ParameterError."""
    for name, setting in settings.items():
        if setting.default is MISSING and name not in values:
            expected, value = ("a file", "FILE") if name == "data" else (setting.expected, "VALUE")
            raise ParameterError(name, expected, "nothing", f"As in: --{name.replace('_', '-')} {value}")
