"""A session: what is stored of a stream between two steps, and the stores that keep it."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from recurra.errors import RecurraError

__all__ = ["Session", "Store", "StoreError", "new_session_id"]


class StoreError(RecurraError, RuntimeError):
    """The store of sessions cannot be read or written."""


@dataclass(frozen=True)
class Session:
    """A stream of one model as it is after its last acknowledged step.

    Attributes:
        id: 128 random bits as text.
        model: the name of the served model.
        owner: of the token that made it; empty on a server without tokens.
        step: steps acknowledged so far.
        state: of the stream, as `StreamState.to_bytes` writes it.
        digest: of the last step's item.
        result: of the last step, as JSON.
    """

    id: str
    model: str
    owner: str
    step: int
    state: bytes
    digest: bytes = b""
    result: str = ""


class Store(Protocol):
    """Where sessions are stored. Its methods block, and may be called from several threads.

    A session that was not used for as long as the store was told is as if it were deleted. Every method raises
    `StoreError` if the store cannot be reached.
    """

    def create(self, session: Session, most: int) -> bool:
        """Store a new session, unless `most` are stored already. Returns whether it is stored."""
        ...

    def load(self, ids: Sequence[str]) -> dict[str, Session]:
        """The sessions of these ids that exist."""
        ...

    def commit(self, sessions: Sequence[Session]) -> list[bool]:
        """Replace sessions, each only if the stored one is a step behind; when this returns they are on disk.

        Returns:
            For each whether it was replaced.
        """
        ...

    def delete(self, session_id: str) -> None:
        """Delete a session, if it exists."""
        ...

    def count(self) -> int:
        """How many sessions are stored."""
        ...

    def expire(self) -> int:
        """Delete the sessions that were not used for too long. Returns how many there were."""
        ...

    def close(self) -> None:
        """Close files and connections."""
        ...


def new_session_id() -> str:
    """128 random bits as 22 characters."""
    return secrets.token_urlsafe(16)
