"""Who may use the server: bearer tokens, or on loopback whoever is on this machine."""

import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from recurra.server.options import is_loopback
from recurra.server.refusal import Refusal

__all__ = ["BEARER_PROTOCOL", "PROTOCOL", "Access"]

PROTOCOL = "recurra.v1"
#: A browser cannot set headers of a WebSocket: it offers this subprotocol with its token, beside `PROTOCOL`.
BEARER_PROTOCOL = "bearer."


class Access:
    """Knows the tokens, and tells the owner of what a request makes.

    Args:
        tokens: any of which is accepted; none: every request from this machine is.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        self._owners = {_digest(token): hashlib.sha256(b"owner of " + token.encode()).hexdigest() for token in tokens}

    def owner(self, headers: Headers, subprotocols: Sequence[str] = ()) -> str:
        """The owner that a request speaks for; empty without tokens.

        Raises:
            Refusal: if it has no valid token or, without tokens, comes from a page of another site.
        """
        if not self._owners:
            _check_local(headers)
            return ""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            offered = (name[len(BEARER_PROTOCOL) :] for name in subprotocols if name.startswith(BEARER_PROTOCOL))
            token = next(offered, "")
        presented, known = _digest(token.strip()), ""
        # Every token is compared, in constant time.
        for digest, owner in self._owners.items():
            if hmac.compare_digest(digest, presented):
                known = owner
        if not known:
            raise Refusal(401, "unauthorized", "a bearer token is needed: Authorization: Bearer TOKEN")
        return known


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _check_local(headers: Headers) -> None:
    """Refuse what a page of another site makes a browser send: by the name it was called, and by its origin."""
    host = headers.get("host", "")
    if not is_loopback(_hostname(f"//{host}")):
        raise Refusal(403, "forbidden", "without a token the server answers to the names of this machine alone")
    origin = headers.get("origin")
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        raise Refusal(403, "forbidden", "without a token the server answers no page of another site")


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
