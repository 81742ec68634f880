"""The application: routes, the WebSocket and the page, behind the gate."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

import recurra
from recurra.server.access import Access
from recurra.server.gate import Gate
from recurra.server.options import ServerOptions
from recurra.server.refusal import Refusal
from recurra.server.routes import add_routes
from recurra.server.served_model import ServedModel
from recurra.server.service import Service
from recurra.server.session import Store
from recurra.server.validation import as_refusal
from recurra.server.web_socket import add_socket

__all__ = ["Application", "create_app"]

PAGE = Path(__file__).parent / "page"
_PAGE_HEADERS = {
    # No inline script or style, nothing from elsewhere, and no frame of another site around it. Scripts may
    # compile WebAssembly, which they get from this server.
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
# Of which a browser insists on some; what the system says of an ending may differ.
_PAGE_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FAULTS_OF_HTTP = {
    404: ("not_found", "there is nothing at this path"),
    405: ("method_not_allowed", "this path has other methods"),
}
_DESCRIPTION = """Trained recurrent networks: predictions for whole inputs, and sessions that keep a stream's state.

A session takes numbered steps, by `POST .../step` or over the WebSocket `.../socket`, which takes the same JSON: a
message `{"step": 1, "item": ...}`, and for each an answer `{"step": 1, "result": ...}` or `{"step": 1, "error": ...}`.
A step that is answered is stored. The last one sent again is answered again and not taken twice, which makes it safe
to send a step again whenever its answer was lost."""


class Application:
    """An ASGI application.

    Attributes:
        service: what it serves with.
        routes: of FastAPI, behind the gate.
    """

    def __init__(self, service: Service, access: Access) -> None:
        self.service = service
        self.routes = _with_routes(service)
        self._gate = Gate(self.routes, service, access, frozenset(_page_files()))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._gate(scope, receive, send)


def create_app(models: Mapping[str, ServedModel], store: Store, options: ServerOptions | None = None) -> Application:
    """The server as an ASGI application, for `recurra serve` or any other server of ASGI.

    Args:
        models: by name; see `recurra.server.served_model.load_models`.
        store: of sessions; the application closes it.
        options: limits and tokens.
    """
    options = options or ServerOptions()
    return Application(Service(models, store, options), Access(options.tokens()))


def _with_routes(service: Service) -> FastAPI:
    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.stop()

    app = FastAPI(
        title="Recurra",
        version=recurra.__version__,
        description=_DESCRIPTION,
        lifespan=living,
        docs_url=None,
        redoc_url=None,
    )
    answer: Any = _Refusing(service)  # of HTTP and of WebSockets, which starlette types apart
    for kind in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, answer)
    add_routes(app, service)
    add_socket(app, service)
    for path, file in _page_files().items():
        app.add_api_route(path, _serving(file), methods=["GET"], include_in_schema=False)
    return app


def _page_files() -> dict[str, Path]:
    """The files of the page by path."""
    files = {f"/page/{file.name}": file for file in sorted(PAGE.iterdir()) if file.suffix in _PAGE_TYPES}
    return {"/": files.pop("/page/index.html"), **files}


def _serving(file: Path) -> Any:
    async def serve_file() -> FileResponse:
        return FileResponse(file, headers=_PAGE_HEADERS, media_type=_PAGE_TYPES[file.suffix])

    return serve_file


class _Refusing:
    """Answers exceptions with refusals, all in one form."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, connection: HTTPConnection, error: Exception) -> Response | None:
        refusal = _refusal_of(error)
        self._service.metrics.refusal(refusal.code)
        answer = JSONResponse(refusal.to_json(), refusal.status_code, refusal.headers)
        if isinstance(connection, WebSocket):
            await connection.send_denial_response(answer)
            return None
        return answer


def _refusal_of(error: Exception) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, RequestValidationError):
        return as_refusal(error.errors())
    if isinstance(error, HTTPException):
        code, message = _FAULTS_OF_HTTP.get(error.status_code, ("invalid", "the request cannot be read"))
        refusal = Refusal(error.status_code, code, message)
        refusal.headers = {**(error.headers or {})}
        return refusal
    return Refusal(500, "internal", "the request failed")  # the gate logs it
