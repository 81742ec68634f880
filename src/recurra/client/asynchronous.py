"""The client for programs with an event loop."""

import asyncio
import json
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from recurra.client.address import Address, Patience, decoded, is_worth_another_try, refused_handshake
from recurra.client.failures import ConnectionLostError, RefusedError

__all__ = ["AsyncClient", "AsyncSession"]


class AsyncClient:
    """As `Client`, with methods to be awaited.

    Args:
        url: such as "http://127.0.0.1:8000".
        token: bearer token, if the server needs one.
        timeout: seconds that a request may take.
        patience: how sessions connect again.
    """

    def __init__(
        self, url: str, token: str | None = None, *, timeout: float = 30.0, patience: Patience | None = None
    ) -> None:
        self._address, self._patience = Address(url, token, timeout), patience or Patience()

    async def models(self) -> list[dict[str, Any]]:
        """See `Client.models`."""
        return (await self._request("GET", "/v1/models"))["models"]

    async def predict(self, model: str, data: Any) -> Any:
        """See `Client.predict`."""
        answer = await self._request("POST", f"{self._address.model(model)}/predict", {"data": data})
        return answer["predictions"]

    async def open(self, model: str, state: str | None = None) -> "AsyncSession":
        """See `Client.open`."""
        body = {} if state is None else {"state": state}
        made = await self._request("POST", f"{self._address.model(model)}/sessions", body)
        return AsyncSession(self._address, self._patience, model, made["session"], made["step"])

    async def resume(self, model: str, session_id: str) -> "AsyncSession":
        """See `Client.resume`."""
        answer = await self._request("GET", self._address.session(model, session_id))
        return AsyncSession(self._address, self._patience, model, answer["session"], answer["step"])

    async def _request(self, method: str, path: str, body: Any = None) -> Any:
        return await asyncio.to_thread(self._address.request, method, path, body)


class AsyncSession:
    """As `Session`, with methods to be awaited; one step at a time.

    Attributes:
        id: with which another process can resume it.
        model: its name.
        steps: acknowledged so far.
    """

    def __init__(self, address: Address, patience: Patience, model: str, session_id: str, steps: int) -> None:
        self._address, self._patience = address, patience
        self._path = address.session(model, session_id)
        self._socket: ClientConnection | None = None
        self._one_at_a_time = asyncio.Lock()
        self.id, self.model, self.steps = session_id, model, steps

    async def step(self, item: Any) -> Any:
        """See `Session.step`."""
        async with self._one_at_a_time:
            return await self._step(item)

    async def state(self) -> str:
        """See `Session.state`."""
        answer = await asyncio.to_thread(self._address.request, "GET", f"{self._path}/state")
        return answer["state"]

    async def close(self) -> None:
        """See `Session.close`."""
        await self.disconnect()
        await asyncio.to_thread(self._address.request, "DELETE", self._path)

    async def disconnect(self) -> None:
        """See `Session.disconnect`."""
        if self._socket is not None:
            await self._socket.close()
            self._socket = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _step(self, item: Any) -> Any:
        number = self.steps + 1
        message = json.dumps({"step": number, "item": item}, ensure_ascii=False, allow_nan=False)
        for attempt in range(self._patience.tries):
            try:
                result = await self._exchange(message, number)
            except RefusedError as error:
                if not is_worth_another_try(error) or attempt + 1 == self._patience.tries:
                    raise
                await asyncio.sleep(self._patience.wait(attempt, error.facts.get("retry_after")))
            except ConnectionLostError:
                await self.disconnect()
                if attempt + 1 == self._patience.tries:
                    raise
                await asyncio.sleep(self._patience.wait(attempt))
            except BaseException:
                # A step that was cancelled may be answered later: the answer belongs to no other step.
                await self.disconnect()
                raise
            else:
                self.steps = number
                return result
        raise AssertionError("unreachable")

    async def _exchange(self, message: str, number: int) -> Any:
        try:
            if self._socket is None:
                self._socket = await connect(
                    self._address.socket(self._path),
                    additional_headers=self._address.headers,
                    open_timeout=self._address.timeout,
                    compression=None,
                    max_size=None,
                )
            await self._socket.send(message)
            return decoded(await asyncio.wait_for(self._socket.recv(), self._address.timeout), number)
        except InvalidStatus as error:
            raise refused_handshake(error) from error
        except (OSError, WebSocketException, TimeoutError) as error:
            raise ConnectionLostError(f"{self._address.url}: cannot be reached ({error})") from error
