"""Everything that lives as long as the server: models, sessions, batches, limits."""

import asyncio
import base64
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

from recurra.errors import StreamError
from recurra.server.batcher import Batcher
from recurra.server.metrics import Metrics
from recurra.server.module import Module, encode_item, make_module
from recurra.server.options import ServerOptions
from recurra.server.rate import RateLimit
from recurra.server.refusal import Refusal
from recurra.server.served_model import ServedModel
from recurra.server.session import Session, Store, StoreError, new_session_id
from recurra.server.stepping import Step, Stepping
from recurra.server.whole_sequences import predict

__all__ = ["Service", "open_store"]

_log = logging.getLogger("recurra.server")
_WAITING_CALLS = 4096  # of the store, by requests other than steps
_WAITING_PREDICTIONS = 64
_BETWEEN_CLEANINGS = 60.0

ResultT = TypeVar("ResultT")


def open_store(url: str, idle_seconds: float) -> Store:
    """The store that `ServerOptions.store` names. Raises StoreError, MissingExtraError."""
    if url.startswith("sqlite:"):
        from recurra.server.sqlite_store import SqliteStore

        return SqliteStore(url.removeprefix("sqlite:"), idle_seconds)
    from recurra.server.redis_store import RedisStore

    return RedisStore(url.removeprefix("redis:") if url.startswith("redis:redis") else url, idle_seconds)


class Closable(Protocol):
    """An open WebSocket; see `recurra.server.web_socket`."""

    idle: bool

    async def close(self) -> None:
        """Say that the server stops."""
        ...


class Service:
    """What the routes call. All methods but the constructor run in the event loop.

    Args:
        models: by name.
        store: of sessions.
        options: of the server.

    Attributes:
        draining: set once the server is to stop: new work is refused, and open WebSockets close.
        sockets: the open WebSockets.
    """

    def __init__(self, models: Mapping[str, ServedModel], store: Store, options: ServerOptions) -> None:
        self.models, self.options, self.rate = models, options, RateLimit(options.rate)
        self.draining = asyncio.Event()
        self.sockets: set[Closable] = set()
        self.metrics = Metrics(lambda: {name: one.waiting for name, one in self._batchers.items()})
        self._store, self._calls, self._predictions = store, 0, dict.fromkeys(models, 0)
        self._one_at_a_time = {name: asyncio.Lock() for name in models}
        self._batchers = {
            name: Batcher(
                Stepping(name, model.stream, store, options.max_item_steps),
                options.deadline_ms / 1000,
                options.max_batch,
                options.max_waiting,
                partial(self.metrics.batch, name),
            )
            for name, model in models.items()
            if model.stream is not None
        }
        self._modules: dict[str, Module] = {}
        self._compiling = asyncio.Lock()
        self._cleaning: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to run batches, and to delete sessions that nobody uses."""
        for batcher in self._batchers.values():
            batcher.start()
        self._cleaning = asyncio.create_task(self._clean())

    async def drain(self) -> None:
        """Refuse new work, and wait for the work in hand, as long as the options say."""
        self.draining.set()
        _log.info("draining", extra={"facts": {"waiting_steps": sum(one.waiting for one in self._batchers.values())}})
        try:
            async with asyncio.timeout(self.options.drain_seconds):
                # The others close after the answer to the step that they have in hand.
                await asyncio.gather(*(socket.close() for socket in list(self.sockets) if socket.idle))
                for batcher in self._batchers.values():
                    await batcher.drained()
                while any(self._predictions.values()) or self._calls:
                    await asyncio.sleep(0.01)
        except TimeoutError:
            _log.warning("not all work in hand ended in %g seconds", self.options.drain_seconds)

    async def stop(self) -> None:
        """End all tasks and close the store."""
        if self._cleaning is not None:
            self._cleaning.cancel()
        for batcher in self._batchers.values():
            await batcher.stop()
        await asyncio.to_thread(self._store.close)

    def model(self, name: str) -> ServedModel:
        """A model by name. Raises Refusal."""
        if name not in self.models:
            raise Refusal(404, "unknown_model", "there is no such model; GET /v1/models lists them")
        return self.models[name]

    def check_working(self) -> None:
        """Raise Refusal if the server is about to stop."""
        if self.draining.is_set():
            raise Refusal(503, "stopping", "the server is stopping; send the request again", 1)

    async def is_ready(self) -> bool:
        """Whether new work is welcome and sessions can be stored."""
        try:
            await self.sessions()
        except Refusal:
            return False
        return not self.draining.is_set()

    async def sessions(self) -> int:
        """How many sessions are stored. Raises Refusal."""
        return await self._in_thread(self._store.count)

    async def predict(self, name: str, data: Any) -> Any:
        """Predictions for whole inputs, as JSON. Raises Refusal."""
        model = self.model(name)
        self.check_working()
        if self._predictions[name] >= _WAITING_PREDICTIONS:
            raise Refusal(503, "busy", "too many predictions are waiting for this model", 1)
        began = time.perf_counter()
        self._predictions[name] += 1
        try:
            async with self._one_at_a_time[name]:
                predictions = await asyncio.to_thread(predict, model.estimator, data)
        finally:
            self._predictions[name] -= 1
        self.metrics.prediction(name, time.perf_counter() - began)
        return predictions

    def describe(self) -> list[dict[str, Any]]:
        """The models as `GET /v1/models` lists them."""
        described = [model.describe() for model in self.models.values()]
        if not self.options.gives_modules:
            for facts in described:
                if facts.get("server_only") == "":
                    facts["server_only"] = "the server hands out no weights; --web-assembly always changes that"
        return described

    async def module(self, name: str) -> Module:
        """What a client runs the steps of a model with; it is compiled at the first call. Raises Refusal."""
        model = self._movable(name)
        async with self._compiling:
            if name not in self._modules:
                assert model.stream is not None
                self._modules[name] = await self._in_thread(
                    make_module, model.estimator, model.stream, self.options.weights
                )
        return self._modules[name]

    async def inputs(self, name: str, item: Any) -> list[Any]:
        """An item as inputs for the steps of a module, as JSON. Raises Refusal."""
        model = self._movable(name)
        assert model.stream is not None
        async with self._one_at_a_time[name]:
            inputs = await self._in_thread(encode_item, model.stream, item)
        if not 0 < len(inputs) <= self.options.max_item_steps:
            message = f"item: expected 1 to {self.options.max_item_steps} steps of the model, got {len(inputs)}"
            raise Refusal(413 if inputs else 422, "item_too_long" if inputs else "invalid_item", message)
        return inputs

    def _movable(self, name: str) -> ServedModel:
        """A model whose steps clients may run. Raises Refusal."""
        model = self.model(name)
        self.check_working()
        if model.stream is None:
            raise Refusal(409, "does_not_stream", model.reason)
        if model.server_only:
            raise Refusal(409, "server_only", model.server_only)
        if not self.options.gives_modules:
            raise Refusal(403, "forbidden", "the server hands out no weights; --web-assembly always changes that")
        return model

    async def create(self, name: str, owner: str, state: str | None = None) -> Session:
        """A new session, at its beginning or from a state of a stream, in base64.

        Raises:
            Refusal: if the model does not stream, the state is not one of it, or there are too many sessions.
        """
        model = self.model(name)
        self.check_working()
        if model.stream is None:
            raise Refusal(409, "does_not_stream", model.reason)
        content = await asyncio.to_thread(_initial_state, model, state)
        session = Session(new_session_id(), name, owner, 0, content)
        if not await self._in_thread(self._store.create, session, self.options.max_sessions):
            raise Refusal(503, "too_many_sessions", f"{self.options.max_sessions} sessions are open", 60)
        return session

    async def session(self, name: str, session_id: str, owner: str) -> Session:
        """A session as it is stored. Raises Refusal."""
        self.model(name)
        session = (await self._in_thread(self._store.load, [session_id])).get(session_id)
        if session is None or session.model != name or session.owner != owner:
            raise Refusal(404, "unknown_session", "there is no such session of this model")
        return session

    async def close(self, name: str, session_id: str, owner: str) -> None:
        """Delete a session. Raises Refusal."""
        await self.session(name, session_id, owner)
        await self._in_thread(self._store.delete, session_id)

    async def step(self, name: str, step: Step) -> str:
        """The result of a step, as JSON. Raises Refusal."""
        model = self.model(name)
        self.check_working()
        if model.stream is None:
            raise Refusal(409, "does_not_stream", model.reason)
        began = time.perf_counter()
        result = await self._batchers[name].submit(step)
        self.metrics.step(name, time.perf_counter() - began)
        return result

    async def _in_thread(self, function: Callable[..., ResultT], *arguments: Any) -> ResultT:
        if self._calls >= _WAITING_CALLS:
            raise Refusal(503, "busy", "too many requests are waiting", 1)
        self._calls += 1
        try:
            return await asyncio.to_thread(function, *arguments)
        except StoreError as error:
            _log.error("%s", error)
            raise Refusal(503, "store_unavailable", "sessions cannot be stored now", 1) from None
        finally:
            self._calls -= 1

    async def _clean(self) -> None:
        while True:
            await asyncio.sleep(min(_BETWEEN_CLEANINGS, self.options.idle_seconds))
            try:
                expired = await asyncio.to_thread(self._store.expire)
            except StoreError as error:
                _log.error("%s", error)
                continue
            if expired:
                _log.info("sessions expired", extra={"facts": {"sessions": expired}})


def _initial_state(model: ServedModel, state: str | None) -> bytes:
    assert model.stream is not None
    if state is None:
        return model.stream.new_state().to_bytes()
    import numpy as np

    try:
        content = base64.b64decode(state, validate=True)
        initial = model.stream.read_state(content)
    except ValueError as error:
        message = str(error) if isinstance(error, StreamError) else "state: expected base64"
        raise Refusal(422, "invalid_state", message) from None
    if initial.rows != 1 or not np.isfinite(initial.values).all():
        raise Refusal(422, "invalid_state", "state: expected one sequence of finite numbers")
    return content
