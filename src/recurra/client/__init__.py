"""A client of `recurra serve`: sessions that connect again and resume where they were.

It needs the package websockets alone (`pip install 'recurra[client]'`): steps travel over one WebSocket a session, and
the few other requests are made with the standard library.

Example:
    >>> from recurra.client import Client
    >>> client = Client("http://127.0.0.1:8000")
    >>> with client.open("book") as session:
    ...     for word in ("It ", "was "):
    ...         print(session.step(word)["next"])
"""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.client.address import Patience
    from recurra.client.asynchronous import AsyncClient, AsyncSession
    from recurra.client.failures import ConnectionLostError, RefusedError
    from recurra.client.synchronous import Client, Session

__all__ = ["AsyncClient", "AsyncSession", "Client", "ConnectionLostError", "Patience", "RefusedError", "Session"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.client.address": ("Patience",),
        "recurra.client.asynchronous": ("AsyncClient", "AsyncSession"),
        "recurra.client.failures": ("ConnectionLostError", "RefusedError"),
        "recurra.client.synchronous": ("Client", "Session"),
    },
)
