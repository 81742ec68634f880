"""A server in a thread, and plain requests to it."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from recurra.server.app import create_app
from recurra.server.options import ServerOptions
from recurra.server.run import DrainingServer, configuration
from recurra.server.served_model import ServedModel
from recurra.server.service import open_store


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def code(self) -> str:
        """Of a refusal."""
        error = self.json["error"]
        assert error["status"] == self.status
        return error["code"]


class Serving:
    """A server on a free port of loopback, as a context."""

    def __init__(self, models: Mapping[str, ServedModel], options: ServerOptions) -> None:
        self.app = create_app(models, open_store(options.store, options.idle_seconds), options)
        self.server = DrainingServer(configuration(self.app, options))
        self._thread = threading.Thread(target=self.server.run, daemon=True)
        self.port = 0

    def __enter__(self) -> "Serving":
        self._thread.start()
        end = time.monotonic() + 20
        while not self.server.started:
            assert self._thread.is_alive()
            assert time.monotonic() < end
            time.sleep(0.005)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(self, method: str, path: str, body: Any = None, *, token: str = "", **headers: str) -> Answer:
        """One request; a body that is not bytes is sent as JSON."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            named["Authorization"] = f"Bearer {token}"
        if body is not None:
            named.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, named)
            found = connection.getresponse()
            return Answer(found.status, dict(found.getheaders()), found.read())
        finally:
            connection.close()

    def get(self, path: str, **more: str) -> Answer:
        return self.request("GET", path, **more)

    def post(self, path: str, body: Any, **more: str) -> Answer:
        return self.request("POST", path, body, **more)

    def session(self, token: str = "", model: str = "book") -> str:
        """The path of a new session."""
        found = self.post(f"/v1/models/{model}/sessions", {}, token=token)
        assert found.status == 201, found
        return f"/v1/models/{model}/sessions/{found.json['session']}"

    def step(self, session: str, number: int, item: Any, token: str = "") -> Answer:
        return self.post(f"{session}/step", {"step": number, "item": item}, token=token)


Serve = Callable[..., Serving]
