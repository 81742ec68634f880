"""A session over one WebSocket: a message a step, an answer each."""

from contextlib import suppress
from typing import Any

from fastapi import FastAPI, WebSocket
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect, WebSocketState
from uvicorn.protocols.utils import ClientDisconnected

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
        conversation = _Conversation(socket)
        service.sockets.add(conversation)
        service.metrics.socket(1)
        try:
            while not service.draining.is_set():
                message = await conversation.next_message()
                await socket.send_text(await _answered(service, name, session, owner, message))
                conversation.idle = True
            await conversation.close()
        except (WebSocketDisconnect, ClientDisconnected):
            return
        finally:
            service.sockets.discard(conversation)
            service.metrics.socket(-1)


class _Conversation:
    """An open WebSocket.

    Attributes:
        idle: whether no step is in hand.
    """

    def __init__(self, socket: WebSocket) -> None:
        self._socket, self.idle = socket, True

    async def next_message(self) -> str | bytes:
        """The next message, after which the conversation is not idle. Raises WebSocketDisconnect."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        self.idle = False
        return message["text"] if message.get("text") is not None else message["bytes"]

    async def close(self) -> None:
        """Say that the server stops."""
        if self._socket.application_state is WebSocketState.CONNECTED:
            with suppress(WebSocketDisconnect, ClientDisconnected):
                await self._socket.close(_RESTARTING, "the server is stopping; connect again")


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
