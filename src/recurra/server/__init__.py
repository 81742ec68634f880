"""Trained runs behind HTTP and WebSocket: whole sequences, and sessions that keep the state of a stream.

`recurra serve RUN` starts it. Names load on first use: the command line's help needs none of the extra `serve`.
"""

from typing import TYPE_CHECKING, Any

from recurra.errors import MissingExtraError
from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.server.app import create_app
    from recurra.server.options import ServerOptions
    from recurra.server.run import serve

__all__ = ["ServerOptions", "create_app", "serve"]

_get, __dir__ = lazy_names(
    __name__,
    {
        "recurra.server.app": ("create_app",),
        "recurra.server.options": ("ServerOptions",),
        "recurra.server.run": ("serve",),
    },
)


def __getattr__(name: str) -> Any:
    try:
        return _get(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "fastapi", "serve", "`recurra serve`") from error
