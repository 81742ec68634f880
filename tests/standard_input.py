"""Standard input for tests of commands."""

import io

__all__ = ["StandardInput"]


class StandardInput(io.TextIOWrapper):
    """Bytes as `sys.stdin` has them.

    Args:
        data: what is piped or typed.
        terminal: whether a person types it.
    """

    def __init__(self, data: bytes, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal
