"""Values of options from text: as on the command line, and as YAML has read them already."""

from typing import Any, Literal

import pytest

from recurra.errors import ParameterError
from recurra.option_text import value_of
from recurra.options import Options, option


class Sample(Options):
    count: int = option(default=1, help="a number")
    rate: float = option(default=0.5, help="a rate")
    quiet: bool = option(default=False, help="a switch")
    name: str = option(default="", help="a name")
    limit: int | None = option(default=None, help="a number or none")
    kind: Literal["a", "b"] = option(default="a", help="one of two")
    sizes: tuple[int, ...] = option(default=(), help="several numbers")
    columns: tuple[str, ...] = option(default=(), help="several names")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("count", "12", 12),
        ("count", 12, 12),
        ("rate", "1e-3", 0.001),
        ("rate", 2, 2.0),
        ("quiet", "Yes", True),
        ("quiet", " false ", False),
        ("quiet", True, True),
        ("name", "Zürich", "Zürich"),
        ("limit", "none", None),
        ("limit", None, None),
        ("limit", "3", 3),
        ("kind", "b", "b"),
        ("sizes", "1, 2,,3", (1, 2, 3)),
        ("sizes", [1, 2], (1, 2)),
        ("sizes", 7, (7,)),
        ("columns", " a ,b", ("a", "b")),
    ],
)
def test_a_value(name: str, text: Any, expected: Any) -> None:
    value = value_of(Sample.settings()[name], text)
    assert value == expected
    assert type(value) is type(expected)


def test_bytes_that_are_not_text_are_replaced() -> None:
    argument = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert value_of(Sample.settings()["name"], argument) == "caf\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(("name", "text"), [("count", "1.5"), ("rate", "fast"), ("quiet", "maybe"), ("sizes", "1,x")])
def test_another_kind_of_text_is_refused(name: str, text: str) -> None:
    with pytest.raises(ParameterError, match=name):
        value_of(Sample.settings()[name], text)
