"""The package's log as a person at a terminal reads it."""

import logging
import os

__all__ = ["show_messages"]


def show_messages() -> None:
    """Print the package's log: notes to standard output, warnings to standard error, one line each."""
    logger = logging.getLogger("recurra")
    warnings = logging.StreamHandler()
    warnings.setLevel(logging.WARNING)
    warnings.setFormatter(logging.Formatter("recurra: warning: %(message)s"))
    logger.handlers, logger.propagate = [warnings, _Notes()], False
    logger.setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.ERROR)


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING:
            print(record.getMessage(), flush=True)
