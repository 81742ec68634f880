"""The routes of HTTP."""

import base64
import re
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from recurra.server import schemas
from recurra.server.reference_page import reference_page
from recurra.server.refusal import Refusal
from recurra.server.service import Service
from recurra.server.session import Session
from recurra.server.stepping import Step
from recurra.server.strict_json import read_json, write_json

__all__ = ["add_routes", "answer", "check_session_id"]

_WEB_ASSEMBLY, _BYTES = "application/wasm", "application/octet-stream"
_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{22}")


class _StrictRequest(Request):
    """A request whose body is JSON as the standard has it, or refused."""

    async def json(self) -> Any:
        return read_json(await self.body())


class _StrictRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if self.body_field is not None and kind != "application/json":
                raise Refusal(415, "unsupported_media_type", "expected Content-Type: application/json")
            return await handle(_StrictRequest(request.scope, request.receive))

        return strict


def add_routes(app: FastAPI, service: Service) -> None:
    """Add every route of HTTP but the page."""
    app.include_router(_health(service))
    app.include_router(_models(service))
    app.include_router(_sessions(service))

    @app.get("/metrics", response_class=PlainTextResponse, tags=["operation"], summary="Figures for Prometheus")
    async def metrics() -> Response:
        return Response(service.metrics.text(await service.sessions()), media_type=service.metrics.content_type)

    @app.get("/docs", response_class=HTMLResponse, include_in_schema=False)
    async def docs() -> str:
        return reference_page(app.openapi())


def _health(service: Service) -> APIRouter:
    router = APIRouter(tags=["operation"])

    @router.get("/healthz", summary="Whether the process answers")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", summary="Whether new work is welcome", responses=_faults(503))
    async def readyz() -> dict[str, str]:
        if not await service.is_ready():
            raise Refusal(503, "not_ready", "the server is stopping, or cannot store sessions", 1)
        return {"status": "ready"}

    return router


def _models(service: Service) -> APIRouter:
    router = APIRouter(prefix="/v1/models", tags=["models"], route_class=_StrictRoute, dependencies=_security())

    @router.get("", response_model=schemas.ModelsAnswer, responses=_faults(401), summary="All models")
    async def models() -> Response:
        return JSONResponse({"models": service.describe()})

    @router.post(
        "/{name}/predict",
        response_model=schemas.PredictAnswer,
        responses=_faults(400, 401, 404, 413, 415, 422, 429, 501, 503),
        summary="Predictions for whole inputs",
    )
    async def predict(name: str, body: schemas.PredictBody) -> Response:
        return JSONResponse({"predictions": await service.predict(name, body.data)})

    refusals = _faults(401, 403, 404, 409, 413, 415, 422, 429, 501, 503)

    @router.get(
        "/{name}/module",
        response_model=schemas.ModuleAnswer,
        responses=refusals,
        summary="What surrounds the steps of a model in WebAssembly",
    )
    async def module(name: str) -> Response:
        return JSONResponse((await service.module(name)).facts)

    @router.get(
        "/{name}/module.wasm",
        response_class=Response,
        responses={200: _file(_WEB_ASSEMBLY), **refusals},
        summary="The steps of a model as WebAssembly",
    )
    async def module_code(name: str) -> Response:
        return Response((await service.module(name)).code, media_type=_WEB_ASSEMBLY)

    @router.get(
        "/{name}/module.bin",
        response_class=Response,
        responses={200: _file(_BYTES), **refusals},
        summary="The weights that the WebAssembly takes",
    )
    async def module_weights(name: str) -> Response:
        return Response((await service.module(name)).weights, media_type=_BYTES)

    @router.post(
        "/{name}/inputs",
        response_model=schemas.InputsAnswer,
        responses={**_faults(400), **refusals},
        summary="An item as inputs for the WebAssembly",
    )
    async def inputs(name: str, body: schemas.InputsBody) -> Response:
        return JSONResponse({"inputs": await service.inputs(name, body.item)})

    return router


def _sessions(service: Service) -> APIRouter:
    prefix = "/v1/models/{name}/sessions"
    router = APIRouter(prefix=prefix, tags=["sessions"], route_class=_StrictRoute, dependencies=_security())

    @router.post(
        "",
        status_code=201,
        response_model=schemas.SessionAnswer,
        responses=_faults(400, 401, 404, 409, 413, 415, 422, 429, 503),
        summary="Begin a session",
    )
    async def create(name: str, body: schemas.CreateBody, request: Request) -> Response:
        return JSONResponse(_described(await service.create(name, request.state.owner, body.state)), 201)

    @router.get(
        "/{session}", response_model=schemas.SessionAnswer, responses=_faults(401, 404, 429, 503), summary="A session"
    )
    async def show(name: str, session: str, request: Request) -> Response:
        return JSONResponse(_described(await service.session(name, check_session_id(session), request.state.owner)))

    @router.post(
        "/{session}/step",
        response_model=schemas.StepAnswer,
        responses=_faults(400, 401, 404, 409, 413, 415, 422, 429, 503),
        summary="Take a step",
    )
    async def step(name: str, session: str, body: schemas.StepBody, request: Request) -> Response:
        step = Step(check_session_id(session), request.state.owner, body.step, body.item)
        return Response(answer(body.step, await service.step(name, step)), media_type="application/json")

    @router.get(
        "/{session}/state",
        response_model=schemas.StateAnswer,
        responses=_faults(401, 404, 429, 503),
        summary="The state of a session",
    )
    async def state(name: str, session: str, request: Request) -> Response:
        stored = await service.session(name, check_session_id(session), request.state.owner)
        content = base64.b64encode(stored.state).decode()
        return JSONResponse({"session": stored.id, "step": stored.step, "state": content})

    @router.delete("/{session}", status_code=204, responses=_faults(401, 404, 429, 503), summary="End a session")
    async def close(name: str, session: str, request: Request) -> Response:
        await service.close(name, check_session_id(session), request.state.owner)
        return Response(status_code=204)

    return router


def answer(step: int, result: str) -> str:
    """The answer to a step, whose result is JSON already."""
    return f'{{"step":{write_json(step)},"result":{result}}}'


def check_session_id(session: str) -> str:
    """The id of a session, if it has the form of one. Raises Refusal."""
    if not _SESSION_ID.fullmatch(session):
        raise Refusal(404, "unknown_session", "there is no such session of this model")
    return session


def _described(session: Session) -> dict[str, Any]:
    return {"session": session.id, "model": session.model, "step": session.step, "next_step": session.step + 1}


def _file(media_type: str) -> dict[str, Any]:
    """The answer whose body is a file. The refusals beside it are JSON."""
    return {"description": "The file", "content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}


def _faults(*statuses: int) -> dict[int | str, dict[str, Any]]:
    words = {
        400: "The body is not JSON",
        401: "There is no valid token",
        403: "The server does not hand out the model",
        404: "There is no such model or session",
        409: "The session expects another step, or the model has no sessions or no module",
        413: "The body or the item is too large",
        415: "The body is of another media type",
        422: "The body has another form, or the item cannot be read",
        429: "Too many requests; see Retry-After",
        501: "The server lacks a package",
        503: "Too much work, or the server is stopping; see Retry-After",
    }
    answers: dict[int | str, dict[str, Any]] = {
        status: {"model": schemas.ErrorAnswer, "description": words[status]} for status in statuses
    }
    return {**answers, "default": {"model": schemas.ErrorAnswer, "description": "Any other refusal"}}


def _security() -> list[Any]:
    # The gate checks tokens; this shows them in the OpenAPI document.
    return [Depends(HTTPBearer(auto_error=False))]
