"""A server as a process: loads runs, listens, and drains on SIGTERM."""

import asyncio
import gc
import logging
import resource
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from types import FrameType

import uvicorn

from recurra.errors import ParameterError
from recurra.server.app import Application, create_app
from recurra.server.connections import protocol_of
from recurra.server.logs import log_as_json
from recurra.server.options import ServerOptions
from recurra.server.served_model import ServedModel, load_models
from recurra.server.service import open_store

__all__ = ["DrainingServer", "configuration", "run_server", "serve"]

_log = logging.getLogger("recurra.server")
_HANDSHAKE_BYTES = 65_536
# Python's threads take turns of 5 ms by default, for which the event loop would wait while a batch is decoded.
_TURN_SECONDS = 0.0005


def serve(runs: Sequence[str], options: ServerOptions) -> None:
    """Answer for runs until SIGTERM or Ctrl-C; see `recurra serve --help`.

    Args:
        runs: folders, or NAME=FOLDER; one or more.
        options: of the server.

    Raises:
        ParameterError: for a run or a token that cannot be used, or a port that is taken.
        RunError: if a folder holds no run.
        StoreError: if sessions cannot be stored.
    """
    if not runs:
        raise ParameterError("run", "one or more folders that `recurra train` wrote", "nothing")
    log_as_json()
    options.tokens()
    run_server(load_models(runs, options.weights, options.look_ahead), options)


def run_server(models: Mapping[str, ServedModel], options: ServerOptions) -> None:
    """As `serve`, for models that are loaded."""
    store = open_store(options.store, options.idle_seconds)
    _allow_many_connections()
    sys.setswitchinterval(_TURN_SECONDS)
    # What is loaded by now stays to the end: the garbage collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    config = configuration(create_app(models, store, options), options)
    try:
        DrainingServer(config).run()
    except KeyboardInterrupt:
        _log.info("stopped")
    except SystemExit as end:
        raise ParameterError("port", "one that is free to listen at", f"{options.host}:{options.port}") from end
    finally:
        gc.unfreeze()


def configuration(app: Application, options: ServerOptions) -> uvicorn.Config:
    """How uvicorn runs the application."""
    return uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        http=protocol_of(options),
        h11_max_incomplete_event_size=_HANDSHAKE_BYTES,
        timeout_keep_alive=options.keep_alive_seconds,
        ws="websockets-sansio",
        ws_max_size=options.max_message_bytes,
        ws_per_message_deflate=False,  # it takes more memory than the session itself
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )


class DrainingServer(uvicorn.Server):
    """uvicorn's server; SIGTERM lets the work in hand end first, and a second one does not."""

    _drained: "asyncio.Task[None] | None" = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        if self.started:
            at = [listener.getsockname()[:2] for server in self.servers for listener in server.sockets]
            models = sorted(self._application.service.models)
            _log.info("listening", extra={"facts": {"host": at[0][0], "port": at[0][1], "models": models}})

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; at the second signal stop at once."""
        if self._drained is not None or not self.started:
            super().handle_exit(sig, frame)
            return
        if sig == signal.SIGINT:
            self._captured_signals.append(sig)
        self._loop.call_soon_threadsafe(self._begin_drain)

    @property
    def _application(self) -> Application:
        application = self.config.app
        assert isinstance(application, Application)
        return application

    def _begin_drain(self) -> None:
        self._drained = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        await self._application.service.drain()
        self.should_exit = True


def _allow_many_connections() -> None:
    """Raise the limit of open files as far as the system lets a process do so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
