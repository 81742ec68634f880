"""How a server is set up, as options."""

import ipaddress
import re
from pathlib import Path
from typing import Literal

from recurra.errors import ParameterError
from recurra.options import Options, option

__all__ = ["ServerOptions", "is_loopback"]

# Characters that may stand both in an Authorization header and in the name of a WebSocket's subprotocol.
_TOKEN = re.compile(r"[A-Za-z0-9._~+-]{16,256}")
_TOKEN_WORDS = "16 to 256 letters, digits and characters of . _ ~ + -"


class ServerOptions(Options):
    """How `recurra serve` listens, whom it answers, where sessions are stored, and its limits."""

    host: str = option(default="127.0.0.1", help="address to listen at; beyond loopback a token is needed", main=True)
    port: int = option(default=8000, at_least=0, at_most=65535, help="port to listen at; 0: any free one", main=True)
    token: str | None = option(
        default=None, help="bearer token that every request but health needs; other users see it in the process list"
    )
    token_file: str | None = option(
        default=None, help="file of tokens, one a line; a session belongs to the token that made it", main=True
    )
    store: str = option(
        default="sqlite:recurra-sessions.db",
        help="where sessions are stored: sqlite:PATH, or redis:URL (as redis://host:6379/0) for several servers",
        main=True,
    )
    weights: Literal["float32", "bfloat16", "int8"] = option(
        default="float32", help="how weights of streams are stored"
    )
    look_ahead: int | None = option(
        default=None,
        at_least=0,
        help="items after its own that a result waits for, of runs that also read backward; None: those do not stream",
    )
    web_assembly: Literal["auto", "always", "never"] = option(
        default="auto",
        help="whether clients may get runs as WebAssembly, with all their weights; auto: if no token is set",
    )
    deadline_ms: float = option(
        default=2.0,
        at_least=0,
        at_most=1000,
        help="milliseconds that a step waits for steps of other sessions",
        main=True,
    )
    max_batch: int = option(default=512, at_least=1, help="steps of different sessions that are run together")
    max_waiting: int = option(default=8192, at_least=1, help="steps that wait for a model; more are refused with 503")
    max_sessions: int = option(default=10_000, at_least=1, help="sessions stored at once", main=True)
    max_message_bytes: int = option(default=1_048_576, at_least=256, help="bytes of a request's body or a message")
    max_item_steps: int = option(
        default=4096, at_least=1, help="model's steps in one item, such as characters of a text"
    )
    idle_seconds: float = option(
        default=86_400.0, above=0, help="seconds after which an unused session is deleted", main=True
    )
    rate: float = option(default=0.0, at_least=0, help="requests a second of one token; 0: no limit", main=True)
    max_connections: int = option(
        default=16_384, at_least=1, help="connections open at once, WebSockets too; more are refused with 503"
    )
    receive_seconds: float = option(
        default=20.0, above=0, help="seconds in which a request has to arrive as a whole; slower ones get 408"
    )
    keep_alive_seconds: int = option(
        default=75, at_least=1, help="seconds that a connection without a request stays open, more than a proxy's"
    )
    drain_seconds: float = option(
        default=20.0, at_least=0, help="seconds that SIGTERM gives the steps in hand before the server stops"
    )

    def check(self) -> None:
        if not re.match(r"sqlite:.|rediss?://.|redis:rediss?://.", self.store):
            raise ParameterError("store", "sqlite:PATH or redis://HOST:PORT/DATABASE", self.store)
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise ParameterError("token", _TOKEN_WORDS, "another text")
        if not is_loopback(self.host) and self.token is None and self.token_file is None:
            raise ParameterError(
                "host",
                "a loopback address such as 127.0.0.1, or a token",
                self.host,
                "Beyond loopback anyone could use the models: set --token-file FILE.",
            )

    @property
    def gives_modules(self) -> bool:
        """Whether clients may get runs as WebAssembly."""
        if self.web_assembly == "auto":
            return self.token is None and self.token_file is None
        return self.web_assembly == "always"

    def tokens(self) -> list[str]:
        """All tokens; none: whoever reaches the server may use it.

        Raises:
            ParameterError: the file cannot be read, or holds a line that cannot be a token.
        """
        tokens = [] if self.token is None else [self.token]
        if self.token_file is not None:
            try:
                lines = Path(self.token_file).read_text(encoding="utf-8").split()
            except (OSError, UnicodeDecodeError) as error:
                raise ParameterError("token_file", "a file of tokens", self.token_file, f"({error})") from error
            wrong = next((k for k, line in enumerate(lines, start=1) if not _TOKEN.fullmatch(line)), None)
            if wrong is not None or not lines:
                got = f"another text as token {wrong}" if wrong else "an empty file"
                raise ParameterError("token_file", f"tokens of {_TOKEN_WORDS}, one a line", got)
            tokens += lines
        return tokens


def is_loopback(host: str) -> bool:
    """Whether an address or a name is that of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
