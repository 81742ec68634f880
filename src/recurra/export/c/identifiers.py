"""Names that C and C++ accept."""

import re
from collections.abc import Iterable

from recurra.errors import ParameterError

__all__ = ["check_name", "identifiers"]

# Keywords of C and C++: the header is for both.
_KEYWORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl concept const const_cast
consteval constexpr constinit continue co_await co_return co_yield decltype default delete do double dynamic_cast
else enum explicit export extern false float for friend goto if inline int long mutable namespace new noexcept not
not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires restrict return short
signed sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef
typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq
"""


def check_name(name: object) -> None:
    """Refuse what cannot be the prefix of a model's functions and the name of its files.

    Raises:
        ParameterError: naming the parameter.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name) or name in _KEYWORDS.split():
        raise ParameterError("name", "a name in C of small letters, digits and underscores", name)


def identifiers(names: Iterable[str]) -> list[str]:
    """A different name in C for each name, such as "recurrent_h_l0" for "recurrent.h_l0"."""
    chosen: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "part"
        if plain[0].isdigit():
            plain = f"module_{plain}"
        if plain in _KEYWORDS.split():
            plain += "_"
        count = 1
        unique = plain
        while unique in chosen:
            count += 1
            unique = f"{plain}_{count}"
        chosen.append(unique)
    return chosen
