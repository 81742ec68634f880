"""Search spaces: which values of which options a search tries."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.errors import ParameterError, RecurraError
from recurra.option_text import value_of
from recurra.options import Range, Setting, closest
from recurra.yaml_file import read_yaml

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from recurra.task import Estimator

__all__ = ["Space", "default_space", "distributions", "make_space", "plain_space", "rounded", "value_from"]

Space = dict[str, Range | tuple[Any, ...]]
"""A range or choices for each option that is searched."""

_EXAMPLE = "learning-rate: {low: 0.0003, high: 0.03, log: true}"
_KEYS = ("low", "high", "log", "step")
_DIGITS = 4


def default_space(estimator: "Estimator[Any, Any, Any]") -> Space:
    """The ranges that the options of a task state.

    Options that are set to another value than their default are not among them, nor those that others make useless.

    Raises:
        ParameterError: no option is left.
    """
    settled = {*estimator.changed(), *estimator.unused()}
    space = {name: values for name, values in estimator.searched().items() if name not in settled}
    if not space:
        expected = "options to search, as all that state a range are set"
        raise ParameterError("space", expected, None, "Name some (--space FILE), or set fewer.")
    return space


def make_space(values: "Mapping[str, Any] | str | Path", kind: "type[Estimator[Any, Any, Any]]") -> Space:
    """A space from a dictionary or a YAML file.

    Args:
        values: by option: a `Range`, a mapping with `low` and `high`, perhaps `log` or `step`, or a list of choices;
            or the path of a YAML file of these.
        kind: the estimator whose options they are.

    Raises:
        ParameterError: an option is unknown, or a value is not allowed.
        RecurraError: the file cannot be read; the message names the line.
    """
    if isinstance(values, Mapping):
        space = {_name(name, kind): _searched(kind.settings()[_name(name, kind)], one) for name, one in values.items()}
    else:
        space = {}
        read, lines = read_yaml(values, "space", _EXAMPLE)
        for written, one in read.items():
            try:
                name = _name(written, kind)
                space[name] = _searched(kind.settings()[name], one)
            except ParameterError as error:
                raise RecurraError(f"space: {values}, line {lines.get(written, 1)}: {error}") from None
    if not space:
        raise ParameterError("space", "at least one option", values, f"As in: {_EXAMPLE}")
    return space


def plain_space(space: Space) -> dict[str, Any]:
    """The space as JSON values."""
    return {
        name: {key: getattr(values, key) for key in _KEYS} if isinstance(values, Range) else list(map(_plain, values))
        for name, values in space.items()
    }


def distributions(space: Space, kind: "type[Estimator[Any, Any, Any]]") -> "dict[str, BaseDistribution]":
    """Optuna's distribution of each option. A choice that is a tuple is text there."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    made: dict[str, BaseDistribution] = {}
    for name, values in space.items():
        if not isinstance(values, Range):
            made[name] = CategoricalDistribution([_text(value) for value in values])
        elif kind.settings()[name].kind is int:
            made[name] = IntDistribution(int(values.low), int(values.high), values.log, int(values.step or 1))
        else:
            made[name] = FloatDistribution(float(values.low), float(values.high), values.log, values.step)
    return made


def value_from(setting: Setting, value: Any) -> Any:
    """The value of an option from that of its distribution."""
    return setting.checked(value_of(setting, value)) if setting.is_tuple else value


def rounded(value: Any, values: Range | tuple[Any, ...]) -> Any:
    """A number with four significant digits, which can be typed again, within its range; another value as it is."""
    if not isinstance(value, float) or not isinstance(values, Range):
        return value
    return min(max(float(f"{value:.{_DIGITS}g}"), float(values.low)), float(values.high))


def _name(written: Any, kind: "type[Estimator[Any, Any, Any]]") -> str:
    name = str(written).replace("-", "_")
    if name not in kind.settings():
        hint = closest(name, kind.settings())
        raise ParameterError("space", f"options of {kind.__name__}", str(written), hint)
    return name


def _searched(setting: Setting, values: Any) -> Range | tuple[Any, ...]:
    if isinstance(values, Range | Mapping):
        return _range(setting, values)
    if not isinstance(values, list | tuple) or not values:
        expected = "a mapping with low and high, or a list of choices"
        raise ParameterError(setting.name, expected, values, f"As in: {_EXAMPLE}")
    choices = tuple(setting.checked(value_of(setting, one)) for one in values)
    if len(set(map(repr, choices))) < len(choices):
        raise ParameterError(setting.name, "each choice once", values)
    return choices


def _range(setting: Setting, values: "Range | Mapping[str, Any]") -> Range:
    if isinstance(values, Mapping):
        if unknown := [key for key in values if key not in _KEYS]:
            raise ParameterError(setting.name, f"a range of {', '.join(_KEYS)}", unknown[0])
        if missing := [key for key in ("low", "high") if key not in values]:
            raise ParameterError(setting.name, f"a range with {missing[0]}", dict(values), f"As in: {_EXAMPLE}")
        log = values.get("log", False)
        low, high, step = (_number(setting, values.get(key)) for key in ("low", "high", "step"))
        if not isinstance(log, bool):
            raise ParameterError(setting.name, "true or false as log", log)
    else:
        low, high, log, step = values.low, values.high, values.log, values.step
    if setting.kind not in (int, float):
        raise ParameterError(setting.name, f"a list of choices, each {setting.expected}", values)
    low, high = setting.checked(low), setting.checked(high)
    if low >= high:
        raise ParameterError(setting.name, f"high above low = {low:g}", high)
    if log and (low <= 0 or step is not None):
        raise ParameterError(setting.name, "low above 0 and no step with a logarithmic scale", values)
    if step is not None and not (step > 0 and math.isfinite(step) and (setting.kind is float or step == int(step))):
        raise ParameterError(setting.name, "a step above 0, whole of a whole option", step)
    if step is not None and abs((high - low) / step - round((high - low) / step)) > 1e-9:
        raise ParameterError(setting.name, f"a step that divides the range from {low:g} to {high:g}", step)
    return Range(low, high, log, step)


def _number(setting: Setting, value: Any) -> Any:
    """A number; YAML reads 1e-4, without a point, as text."""
    return value_of(setting, value) if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _text(value: Any) -> Any:
    return ",".join(map(str, value)) if isinstance(value, tuple) else value
