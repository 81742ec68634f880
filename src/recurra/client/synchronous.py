"""The client for programs without an event loop."""

import json
import time
from contextlib import ExitStack
from typing import Any, Self

from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from recurra.client.address import Address, Patience, decoded, is_worth_another_try, refused_handshake
from recurra.client.failures import ConnectionLostError, RefusedError

__all__ = ["Client", "Session"]


class Client:
    """A server of `recurra serve`.

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

    def models(self) -> list[dict[str, Any]]:
        """The models that are served: name, task, and, of those that stream, what an item is and an example.

        Raises:
            RefusedError: if the server refuses.
            ConnectionLostError: if it cannot be reached. Every method may raise both.
        """
        return self._address.request("GET", "/v1/models")["models"]

    def predict(self, model: str, data: Any) -> Any:
        """Predictions for whole inputs, as JSON; see `POST /v1/models/{name}/predict`."""
        return self._address.request("POST", f"{self._address.model(model)}/predict", {"data": data})["predictions"]

    def open(self, model: str, state: str | None = None) -> "Session":
        """A new session, which ends when it is left as a context.

        Args:
            model: its name.
            state: where it begins, as `Session.state` returned it; None: at the beginning.
        """
        body = {} if state is None else {"state": state}
        made = self._address.request("POST", f"{self._address.model(model)}/sessions", body)
        return Session(self._address, self._patience, model, made["session"], made["step"])

    def resume(self, model: str, session_id: str) -> "Session":
        """A session that exists, perhaps made by another process."""
        answer = self._address.request("GET", self._address.session(model, session_id))
        return Session(self._address, self._patience, model, answer["session"], answer["step"])


class Session:
    """A session of a model. `Client.open` and `Client.resume` make it; it serves one thread.

    Attributes:
        id: with which another process can resume it.
        model: its name.
        steps: acknowledged so far.
    """

    def __init__(self, address: Address, patience: Patience, model: str, session_id: str, steps: int) -> None:
        self._address, self._patience = address, patience
        self._path = address.session(model, session_id)
        self._socket: ClientConnection | None = None
        self._open = ExitStack()
        self.id, self.model, self.steps = session_id, model, steps

    def step(self, item: Any) -> Any:
        """The result of the next item.

        If the connection breaks, the session connects again and sends the same step, which the server takes once.

        Raises:
            RefusedError: if the server refuses the item; the session is unchanged.
            ConnectionLostError: if the server cannot be reached for as long as the patience lasts. Call it again with
                the same item to resume.
        """
        number = self.steps + 1
        message = json.dumps({"step": number, "item": item}, ensure_ascii=False, allow_nan=False)
        for attempt in range(self._patience.tries):
            try:
                result = self._exchange(message, number)
            except RefusedError as error:
                if not is_worth_another_try(error) or attempt + 1 == self._patience.tries:
                    raise
                time.sleep(self._patience.wait(attempt, error.facts.get("retry_after")))
            except ConnectionLostError:
                self.disconnect()
                if attempt + 1 == self._patience.tries:
                    raise
                time.sleep(self._patience.wait(attempt))
            else:
                self.steps = number
                return result
        raise AssertionError("unreachable")

    def state(self) -> str:
        """The state in base64, from which `Client.open` begins another session."""
        return self._address.request("GET", f"{self._path}/state")["state"]

    def close(self) -> None:
        """End the session: the server deletes it."""
        self.disconnect()
        self._address.request("DELETE", self._path)

    def disconnect(self) -> None:
        """Close the connection; the session stays, and the next step connects again."""
        self._socket = None
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _exchange(self, message: str, number: int) -> Any:
        try:
            if self._socket is None:
                connection = connect(
                    self._address.socket(self._path),
                    additional_headers=self._address.headers,
                    open_timeout=self._address.timeout,
                    compression=None,
                    max_size=None,
                )
                self._socket = self._open.enter_context(connection)
            self._socket.send(message)
            return decoded(self._socket.recv(self._address.timeout), number)
        except InvalidStatus as error:
            raise refused_handshake(error) from error
        except (OSError, WebSocketException) as error:
            raise ConnectionLostError(f"{self._address.url}: cannot be reached ({error})") from error
