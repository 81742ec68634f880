"""Requests of HTTP by the standard library, and what both clients share."""

import http.client
import json
import random
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from recurra.client.failures import ConnectionLostError, RefusedError
from recurra.errors import MissingExtraError, ParameterError

try:
    from websockets.exceptions import InvalidStatus
except ModuleNotFoundError as error:
    raise MissingExtraError("websockets", "client", "a client of `recurra serve`") from error

__all__ = ["Address", "Patience", "decoded", "is_worth_another_try", "refused_handshake"]


@dataclass(frozen=True)
class Address:
    """Where a server is.

    Attributes:
        url: such as "http://127.0.0.1:8000".
        token: bearer token; None: the server needs none.
        timeout: seconds that a request may take.
    """

    url: str
    token: str | None = None
    timeout: float = 30.0

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            raise ParameterError("url", "such as http://127.0.0.1:8000", self.url)

    @property
    def headers(self) -> dict[str, str]:
        """Of every request."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def socket(self, path: str) -> str:
        """The URL of a session's WebSocket."""
        return f"ws{self.url.rstrip('/').removeprefix('http')}{path}/socket"

    def model(self, name: str) -> str:
        """The path of a model."""
        return f"/v1/models/{quote(name, safe='')}"

    def session(self, model: str, session_id: str) -> str:
        """The path of a session."""
        return f"{self.model(model)}/sessions/{quote(session_id, safe='')}"

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON that the server answers; None: nothing.

        Raises:
            RefusedError: if the server refuses.
            ConnectionLostError: if it cannot be reached.
        """
        parts = urlsplit(self.url)
        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        headers = {**self.headers, **({} if content is None else {"Content-Type": "application/json"})}
        connection = _connection(parts.scheme, str(parts.hostname), parts.port, self.timeout)
        try:
            connection.request(method, parts.path.rstrip("/") + path, content, headers)
            answer = connection.getresponse()
            received, status = answer.read(), answer.status
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionLostError(f"{self.url}: cannot be reached ({error})") from error
        finally:
            connection.close()
        if status >= 400:
            raise RefusedError.of(_error_of(status, received))
        return json.loads(received) if received else None


@dataclass(frozen=True)
class Patience:
    """How often a session tries to reach its server again, and how long it waits between two tries.

    Attributes:
        tries: in all.
        first: seconds before the second try; each further wait is twice as long, up to `longest`.
        longest: seconds.
    """

    tries: int = 12
    first: float = 0.05
    longest: float = 5.0

    def wait(self, attempt: int, retry_after: float | None = None) -> float:
        """Seconds before the try after this one, from 0; scattered, lest all clients come back at once."""
        usual = min(self.longest, self.first * 2**attempt)
        return (retry_after or 0.0) + usual * random.uniform(0.5, 1.0)


def decoded(message: str | bytes, number: int) -> Any:
    """The result that a WebSocket's message holds.

    Raises:
        RefusedError: if the server refuses the step.
        ConnectionLostError: if it is the answer to another step.
    """
    answer = json.loads(message)
    if "error" in answer:
        raise RefusedError.of(answer["error"])
    if answer["step"] != number:
        raise ConnectionLostError(f"expected the answer to step {number}, got that to step {answer['step']}")
    return answer["result"]


def refused_handshake(error: InvalidStatus) -> RefusedError:
    """Why the server refused a WebSocket."""
    return RefusedError.of(_error_of(error.response.status_code, bytes(error.response.body or b"")))


def is_worth_another_try(error: RefusedError) -> bool:
    """Whether the server may take the same step later."""
    return error.status in (429, 503)


def _connection(scheme: str, host: str, port: int | None, timeout: float) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=timeout)


def _error_of(status: int, content: bytes) -> dict[str, Any]:
    try:
        return json.loads(content)["error"]
    except (ValueError, KeyError, TypeError):
        return {"status": status, "code": "unknown", "message": "the answer is not that of recurra serve"}
