"""A session over one WebSocket: a message a step, an answer each."""

import asyncio
from typing import Any

from fastapi import FastAPI, WebSocket
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect, WebSocketState

from recurra.server.access import PROTOCOL
from recurra.server.refusal import Refusal
from recurra.server.routes import answer, check_session_id
from recurra.server.schemas import StepBody
from recurra.server.service import Service
from recurra.server.stepping import Step
from recurra.server.strict_json import read_json, write_json
from recurra.server.validation import as_refusal

__all__ = ["add_socket"]

_RESTARTING = 1012  # the close code of a service that restarts


def add_socket(app: FastAPI, service: Service) -> None:
    """Add the WebSocket of sessions."""

    @app.websocket("/v1/models/{name}/sessions/{session}/socket")
    async def socket(name: str, session: str, socket: WebSocket) -> None:
        owner = socket.state.owner
        service.check_working()
        await service.session(name, check_session_id(session), owner)
        await socket.accept(PROTOCOL if PROTOCOL in socket.scope["subprotocols"] else None)
        service.metrics.socket(1)
        draining = asyncio.create_task(service.draining.wait())
        try:
            while not draining.done():
                text = await _next_message(socket, draining)
                if text is not None:
                    await socket.send_text(await _answered(service, name, session, owner, text))
            await socket.close(_RESTARTING, "the server is stopping; connect again")
        except (WebSocketDisconnect, RuntimeError):
            # Whoever asked is gone; starlette raises the latter where it notices while it sends.
            if socket.client_state is WebSocketState.CONNECTED and socket.application_state is WebSocketState.CONNECTED:
                raise
        finally:
            draining.cancel()
            service.metrics.socket(-1)


async def _next_message(socket: WebSocket, draining: "asyncio.Task[Any]") -> str | bytes | None:
    """The next message; None once the server is draining."""
    receiving = asyncio.ensure_future(socket.receive())
    await asyncio.wait((receiving, draining), return_when=asyncio.FIRST_COMPLETED)
    if not receiving.done():
        receiving.cancel()
        return None
    message = receiving.result()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    return message["text"] if message.get("text") is not None else message["bytes"]


async def _answered(service: Service, name: str, session: str, owner: str, message: str | bytes) -> str:
    number: Any = None
    try:
        service.rate.spend(owner)
        values = read_json(message)
        if isinstance(values, dict) and isinstance(values.get("step"), int):
            number = values["step"]
        try:
            body = StepBody.model_validate(values)
        except ValidationError as error:
            raise as_refusal(error.errors()) from None
        return answer(body.step, await service.step(name, Step(session, owner, body.step, body.item)))
    except Refusal as refusal:
        service.metrics.refusal(refusal.code)
        return write_json({"step": number, **refusal.to_json()})
