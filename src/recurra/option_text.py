"""Values of options from text, as it stands on a command line or in a file."""

import sys
from typing import Any

from recurra.errors import ParameterError
from recurra.options import Setting

__all__ = ["value_of"]

_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


def value_of(setting: Setting, text: Any) -> Any:
    """A value from text; values from YAML pass unchanged."""
    if setting.is_tuple:
        kind = setting.item_kinds[0]
        parts = text.split(",") if isinstance(text, str) else text if isinstance(text, list | tuple) else [text]
        return tuple(_one(setting, kind, part) for part in parts if str(part).strip())
    if setting.optional and (text is None or text == "none"):
        return None
    if setting.choices:
        return text
    return _one(setting, setting.kind, text)


def _one(setting: Setting, kind: Any, text: Any) -> Any:
    if not isinstance(text, str):
        return float(text) if kind is float and isinstance(text, int) and not isinstance(text, bool) else text
    if kind is bool:
        word = text.strip().lower()
        if word not in (*_TRUE, *_FALSE):
            raise ParameterError(setting.name, "true or false", text)
        return word in _TRUE
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise ParameterError(setting.name, setting.expected, text) from None
    return text.strip() if setting.is_tuple else text.encode(*_surrogates()).decode("utf-8", "replace")


def _surrogates() -> tuple[str, str]:
    """The encoding and the error handler with which Python decoded an argument."""
    return sys.getfilesystemencoding(), "surrogateescape"
