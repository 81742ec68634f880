"""Why a request is refused, in one form of JSON for HTTP and WebSocket."""

from typing import Any

from starlette.exceptions import HTTPException

__all__ = ["Refusal"]


class Refusal(HTTPException):
    """A request that is not served.

    Args:
        status: of HTTP, 400 or more.
        code: what programs compare, such as "wrong_step".
        message: what people read. It names no file, no other session and no part of the program.
        retry_after: seconds after which the request may be sent again; None: it would be refused again.
        facts: what else the answer says, such as `expected_step`.
    """

    def __init__(self, status: int, code: str, message: str, retry_after: int | None = None, **facts: Any) -> None:
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        super().__init__(status, message, headers)
        self.code, self.message, self.retry_after, self.facts = code, message, retry_after, facts

    def to_json(self) -> dict[str, Any]:
        """The answer."""
        waiting = {} if self.retry_after is None else {"retry_after": self.retry_after}
        return {
            "error": {
                "status": self.status_code,
                "code": self.code,
                "message": self.message,
                **waiting,
                **self.facts,
            }
        }
