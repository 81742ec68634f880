"""Options as data: a field states its default, its range and its help once.

The check of a value, its command-line argument, its line in the documentation and `get_params` all come from the field.
"""

import dataclasses
import inspect
import math
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar, Literal, Self, Union, dataclass_transform, get_args, get_origin, get_type_hints

from recurra.errors import ParameterError

__all__ = ["Option", "Options", "Range", "Setting", "closest", "option", "settings_of"]

_METADATA = "recurra.option"


@dataclass(frozen=True)
class Range:
    """Numbers that a search tries.

    Attributes:
        low: the smallest.
        high: the largest.
        log: whether they are spread evenly on a logarithmic scale, for which `low` is above 0.
        step: between neighbours, counted from `low`; None: every number, or every whole number of a whole option.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None


@dataclass(frozen=True)
class Option:
    """The facts of an option beside its name, its type and its default. They also annotate parameters of verbs.

    Attributes:
        help: one line.
        at_least: smallest number allowed; of a tuple, of each of its values.
        at_most: largest number allowed.
        above: numbers must be larger than this.
        below: numbers must be smaller than this.
        check: refuses other values by raising ParameterError; called with the name and the value.
        group: heading in the command line's help.
        main: whether the short help shows it.
        words: whether the command line takes the values of a tuple as separate words, not separated by commas.
        search: the values that `recurra tune` tries unless told otherwise: a range, or choices. None: it leaves the
            option as it is.
    """

    help: str = ""
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    check: Callable[[str, Any], None] | None = None
    group: str = ""
    main: bool = False
    words: bool = False
    search: Range | tuple[Any, ...] | None = None


def option(
    *,
    default: Any = dataclasses.MISSING,
    help: str = "",  # noqa: A002 - the word of argparse
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    check: Callable[[str, Any], None] | None = None,
    group: str = "",
    main: bool = False,
    search: Range | tuple[Any, ...] | None = None,
) -> Any:
    """A field of an `Options` class; arguments are the attributes of `Option`.

    The default is passed by its name, as type checkers expect it.

    A field that a derived class declares again, with another default, inherits the facts that it does not state.
    """
    facts = Option(help, at_least, at_most, above, below, check, group, main, search=search)
    return dataclasses.field(default=default, metadata={_METADATA: facts})


@dataclass(frozen=True)
class Setting:
    """An option with its name, its type and its default.

    Attributes:
        name: in Python, with underscores.
        kind: the annotation without None: a type, a Literal, or a tuple of types.
        optional: whether None is allowed.
        default: `dataclasses.MISSING` if a value has to be passed.
        option: the other facts.
    """

    name: str
    kind: Any
    optional: bool
    default: Any
    option: Option

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values of a Literal; empty for other kinds."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @property
    def item_kinds(self) -> tuple[Any, ...]:
        """The types of a tuple's values; empty for other kinds."""
        return tuple(kind for kind in get_args(self.kind) if kind is not ...) if self.is_tuple else ()

    @property
    def is_tuple(self) -> bool:
        """Whether values are tuples."""
        return get_origin(self.kind) is tuple

    @property
    def expected(self) -> str:
        """What values are allowed, in words."""
        if self.choices:
            words = f"one of {', '.join(map(str, self.choices))}"
        elif self.is_tuple:
            words = self._tuple_words()
        else:
            words = self._number_words(self.kind)
        return f"{words}, or None" if self.optional else words

    def checked(self, value: Any) -> Any:
        """The value as it is stored; a list, or a single text if texts are expected, becomes a tuple.

        Raises:
            ParameterError: if the value is of another type, or out of range.
        """
        if value is None and self.optional:
            return None
        if self.is_tuple and isinstance(value, list):
            value = tuple(value)
        if isinstance(value, str) and get_args(self.kind) == (str, ...):
            value = (value,)
        if not self._allows(value):
            raise ParameterError(self.name, self.expected, value)
        if self.option.check is not None:
            self.option.check(self.name, value)
        return value

    def _allows(self, value: Any) -> bool:
        if self.choices:
            return any(value == choice and type(value) is type(choice) for choice in self.choices)
        if not self.is_tuple:
            return self._allows_one(self.kind, value)
        kinds = get_args(self.kind)
        if not isinstance(value, tuple):
            return False
        if kinds[-1] is not ... and len(value) != len(kinds):
            return False
        each = kinds[:1] * len(value) if kinds[-1] is ... else kinds
        return all(self._allows_one(kind, one) for kind, one in zip(each, value, strict=True))

    def _allows_one(self, kind: Any, value: Any) -> bool:
        if kind is Any:
            return True
        if kind is bool:
            return isinstance(value, bool)
        if kind not in (int, float):
            return isinstance(value, kind)
        if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
            return False
        facts = self.option
        return (
            math.isfinite(value)
            and (facts.at_least is None or value >= facts.at_least)
            and (facts.at_most is None or value <= facts.at_most)
            and (facts.above is None or value > facts.above)
            and (facts.below is None or value < facts.below)
        )

    def _tuple_words(self) -> str:
        kinds = get_args(self.kind)
        if kinds[-1] is not ...:
            return f"{len(kinds)} values, each {self._number_words(kinds[0])}"
        return f"a tuple of values, each {self._number_words(kinds[0])}"

    def _number_words(self, kind: Any) -> str:
        if kind is bool:
            return "True or False"
        if kind not in (int, float):
            return "text" if kind is str else getattr(kind, "__name__", str(kind))
        facts, noun = self.option, "a whole number" if kind is int else "a number"
        if facts.at_least is not None and facts.at_most is not None:
            return f"{noun} from {facts.at_least:g} to {facts.at_most:g}"
        bounds = [
            words.format(f"{bound:g}")
            for words, bound in (
                ("of at least {}", facts.at_least),
                ("above {}", facts.above),
                ("of at most {}", facts.at_most),
                ("below {}", facts.below),
            )
            if bound is not None
        ]
        return " ".join([noun, " and ".join(bounds)]) if bounds else noun


def settings_of(options: "type[Options]") -> dict[str, Setting]:
    """The options of a class by name, those of its bases first."""
    hints = get_type_hints(options)
    return {
        field.name: make_setting(field.name, hints[field.name], field.default, field.metadata[_METADATA])
        for field in dataclasses.fields(options)
    }


def make_setting(name: str, annotation: Any, default: Any, facts: Option) -> Setting:
    """A setting from a field's, or a parameter's, annotation."""
    arguments = get_args(annotation)
    if get_origin(annotation) in (Union, types.UnionType) and type(None) in arguments:
        rest = tuple(argument for argument in arguments if argument is not type(None))
        kind = rest[0] if len(rest) == 1 else Union[rest]  # noqa: UP007
        return Setting(name, kind, True, default, facts)
    return Setting(name, annotation, False, default, facts)


def closest(name: str, names: Mapping[str, Any] | Iterator[str] | list[str]) -> str:
    """A hint that names the nearest of some names; empty if none is near."""
    near = get_close_matches(name, list(names), n=1)
    return f"Did you mean {near[0]!r}?" if near else ""


@dataclass_transform(kw_only_default=True, field_specifiers=(option,))
class Options:
    """Base of classes whose fields are options; a derived class is a dataclass whose arguments are keyword-only.

    Values are checked when an instance is made: each by itself, then, by each class's own `check`, together. `check`
    states the rules between fields and raises ParameterError; it never calls that of a base.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    _settings: ClassVar[dict[str, Setting] | None] = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name in inspect.get_annotations(cls):
            declared = cls.__dict__.get(name)
            if not isinstance(declared, dataclasses.Field):
                continue
            before = next((base.__dataclass_fields__[name] for base in cls.__mro__[1:] if name in _fields(base)), None)
            if before is not None:
                declared.metadata = types.MappingProxyType(
                    {_METADATA: _joined(declared.metadata[_METADATA], before.metadata[_METADATA])}
                )
        dataclass(kw_only=True, repr=False, eq=False)(cls)
        made = cls.__init__

        def __init__(self: Any, *arguments: Any, **values: Any) -> None:  # noqa: N807
            unknown = next((name for name in values if name not in cls.settings()), None)
            if unknown is not None and not arguments:
                hint = closest(unknown, cls.settings()) or f"help({cls.__name__}) lists all options."
                raise ParameterError(unknown, f"an option of {cls.__name__}", values[unknown], hint)
            made(self, *arguments, **values)

        __init__.__wrapped__ = made  # type: ignore[attr-defined]  # inspect.signature shows every option
        __init__.__doc__ = None
        cls.__init__ = __init__  # type: ignore[method-assign]
        cls._settings = None

    def __post_init__(self) -> None:
        self.check_options()

    def check_options(self) -> None:
        """Check every value by itself, then the rules between them.

        Raises:
            ParameterError: naming the option, what was expected and what it is.
        """
        for name, setting in type(self).settings().items():
            value = getattr(self, name)
            checked = setting.checked(value)
            if checked is not value:
                object.__setattr__(self, name, checked)
        for kind in reversed(type(self).__mro__):
            check = kind.__dict__.get("check")
            if check is not None:
                check(self)

    def unused(self) -> frozenset[str]:
        """The names of options that the values of others leave without a use: a search leaves them as they are."""
        return frozenset()

    def searched(self) -> dict[str, Range | tuple[Any, ...]]:
        """By option, the values that a search tries unless told otherwise; they may depend on other options."""
        settings = type(self).settings()
        return {name: setting.option.search for name, setting in settings.items() if setting.option.search}

    @classmethod
    def settings(cls) -> dict[str, Setting]:
        """The options by name."""
        if cls._settings is None:
            cls._settings = settings_of(cls)
        return cls._settings

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The options by name, in scikit-learn's form; `deep` has no effect."""
        return {name: getattr(self, name) for name in type(self).settings()}

    def set_params(self, **values: Any) -> Self:
        """Change options.

        Raises:
            ParameterError: for an unknown option or a value out of range; then nothing is changed.
        """
        type(self)(**{**self.get_params(), **values})
        for name, value in values.items():
            object.__setattr__(self, name, type(self).settings()[name].checked(value))
        return self

    def replaced(self, **values: Any) -> Self:
        """New options: these with other values for some."""
        return type(self)(**{**self.get_params(), **values})

    def changed(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
        return {
            name: getattr(self, name)
            for name, setting in type(self).settings().items()
            if setting.default is dataclasses.MISSING or getattr(self, name) != setting.default
        }

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.get_params() == other.get_params()  # type: ignore[attr-defined]

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.changed().items())})"


def _fields(kind: type) -> Mapping[str, Any]:
    return getattr(kind, "__dataclass_fields__", {})


def _joined(facts: Option, before: Option) -> Option:
    """Facts, with those of the field before for all that are left at their defaults."""
    empty = Option()
    own = {f.name: getattr(facts, f.name) for f in dataclasses.fields(Option)}
    return dataclasses.replace(before, **{n: v for n, v in own.items() if v != getattr(empty, n)})
