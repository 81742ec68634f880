"""What pydantic finds wrong with a body, as one refusal."""

from collections.abc import Mapping, Sequence
from typing import Any

from recurra.server.refusal import Refusal

__all__ = ["as_refusal"]


def as_refusal(errors: Sequence[Mapping[str, Any]]) -> Refusal:
    """The first fault, and where it is. What was sent is not repeated.

    Args:
        errors: of `ValidationError.errors()`, one or more.
    """
    first = errors[0]
    location = ".".join(str(part) for part in first["loc"] if part not in ("body", "path", "query"))
    message = str(first["msg"]).removeprefix("Value error, ")
    return Refusal(422, "invalid", f"{location}: {message}" if location else message)
