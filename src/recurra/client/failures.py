"""What a client raises."""

from typing import Any

from recurra.errors import RecurraError

__all__ = ["ConnectionLostError", "RefusedError"]


class RefusedError(RecurraError, RuntimeError):
    """The server refused a request.

    Attributes:
        status: of HTTP.
        code: such as "wrong_step".
        facts: all that the server says, such as `expected_step` and `retry_after`.
    """

    status: int
    code: str
    facts: dict[str, Any]

    @classmethod
    def of(cls, error: dict[str, Any]) -> "RefusedError":
        """From the server's answer."""
        made = cls(f"{error['message']} ({error['status']} {error['code']})")
        made.status, made.code, made.facts = error["status"], error["code"], error
        return made


class ConnectionLostError(RecurraError, ConnectionError):
    """The server cannot be reached. Whether the last step was taken shows once it is sent again."""
