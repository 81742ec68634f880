"""JSON as its standard has it: no NaN, no infinity, nothing that cannot be written again."""

import json
import math
from typing import Any, NoReturn

from recurra.server.refusal import Refusal

__all__ = ["read_json", "write_json"]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


# Made once: json.loads and json.dumps make one at each call that has options.
_decode = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite).decode
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def read_json(content: bytes | str) -> Any:
    """The value that a text of JSON holds.

    Raises:
        Refusal: if it is not JSON, holds a number that is not finite, or half of a surrogate pair, or is nested too
            deeply to be read.
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        value = _decode(text)
        # Half of a surrogate pair can be escaped in JSON, but is not text.
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise Refusal(400, "invalid_json", "the body is not text in UTF-8") from None
    except RecursionError:
        raise Refusal(400, "invalid_json", "the JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise Refusal(400, "invalid_json", message) from None
    except ValueError:
        # Python refuses integers of thousands of digits.
        raise Refusal(400, "invalid_json", "the JSON holds a number that is not finite or too long") from None
    return value


def write_json(value: Any) -> str:
    """A value as a line of JSON. Raises ValueError for numbers that are not finite."""
    return _encode(value)
