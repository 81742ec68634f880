"""What kernels say to the user, each thing once."""

import logging

__all__ = ["log_once"]

_log = logging.getLogger("recurra.kernels")
_logged: set[str] = set()


def log_once(message: str) -> None:
    """Log a warning, unless it has been logged before in this process."""
    if message not in _logged:
        _logged.add(message)
        _log.warning(message)
