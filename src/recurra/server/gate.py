"""What every request passes first: its token, its rate, its size; and what is logged and counted of it."""

import logging
import time
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recurra.server.access import Access
from recurra.server.refusal import Refusal
from recurra.server.service import Service
from recurra.server.strict_json import write_json

__all__ = ["Gate"]

_log = logging.getLogger("recurra.server")
_HEALTH = ("/healthz", "/readyz")
_VERSIONS = ("1.0", "1.1", "2")


class Gate:
    """The outermost layer of the application.

    Args:
        app: the application within.
        service: whose limits hold, and whose figures count.
        access: the tokens.
        open_paths: that need no token, beside health: the page's own files, which are the same for everybody.
    """

    def __init__(self, app: ASGIApp, service: Service, access: Access, open_paths: frozenset[str]) -> None:
        self._app, self._service, self._access = app, service, access
        self._open = {*_HEALTH, *open_paths}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        began, answered = time.perf_counter(), _Answered(send)
        try:
            self._enter(scope)
            await self._app(scope, _limited(receive, self._service.options.max_message_bytes), answered)
        except Refusal as refusal:
            await self._refuse(scope, answered, refusal)
        except Exception:
            _log.exception("a request failed")
            await self._refuse(scope, answered, Refusal(500, "internal", "the request failed"))
        if scope["type"] == "http":
            self._record(scope, answered.status, time.perf_counter() - began)

    def _enter(self, scope: Scope) -> None:
        """Check a request, and note whom it is from. Raises Refusal."""
        if scope["http_version"] not in _VERSIONS:
            raise Refusal(400, "http_version", f"HTTP {scope['http_version']} is not served; use HTTP 1.1")
        headers = Headers(scope=scope)
        state: dict[str, Any] = scope.setdefault("state", {})
        if scope["path"] in self._open and scope["type"] == "http":
            state["owner"] = ""
            return
        state["owner"] = self._access.owner(headers, scope.get("subprotocols", ()))
        self._service.rate.spend(state["owner"])
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._service.options.max_message_bytes:
            raise _too_large(self._service.options.max_message_bytes)

    async def _refuse(self, scope: Scope, answered: "_Answered", refusal: Refusal) -> None:
        self._service.metrics.refusal(refusal.code)
        if answered.status:
            return
        kind = "http.response" if scope["type"] == "http" else "websocket.http.response"
        content = write_json(refusal.to_json()).encode()
        headers = {"content-type": "application/json", "content-length": str(len(content)), **(refusal.headers or {})}
        named = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await answered({"type": f"{kind}.start", "status": refusal.status_code, "headers": named})
        await answered({"type": f"{kind}.body", "body": content})

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        # The path of a route, not that of the request: ids of sessions are secrets.
        route = getattr(scope.get("route"), "path", "") or "other"
        self._service.metrics.request(route, status)
        level = logging.DEBUG if status < 400 and (route in _HEALTH or route.endswith("/step")) else logging.INFO
        if _log.isEnabledFor(level):
            facts = {"method": scope["method"], "route": route, "status": status, "ms": round(1000 * seconds, 2)}
            _log.log(level, "request", extra={"facts": facts})


class _Answered:
    """Sends, and remembers the status of the answer; 0: nothing was sent."""

    def __init__(self, send: Send) -> None:
        self._send, self.status = send, 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "websocket.accept":
            self.status = 101
        self.status = message.get("status", self.status)
        await self._send(message)


def _limited(receive: Receive, most: int) -> Receive:
    """Receives a body of at most so many bytes."""
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > most:
                raise _too_large(most)
        return message

    return limited


def _too_large(most: int) -> Refusal:
    return Refusal(413, "too_large", f"the body has more than {most} bytes")
