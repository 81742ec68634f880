"""Logs as JSON, an object a line, on standard error."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

__all__ = ["JsonFormatter", "log_as_json"]


class JsonFormatter(logging.Formatter):
    """Time, level, logger and message, the facts of `extra={"facts": ...}`, and the traceback of an error."""

    def format(self, record: logging.LogRecord) -> str:
        values = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return json.dumps(values, ensure_ascii=False, default=str)


def log_as_json(stream: TextIO | None = None) -> None:
    """Send what the package and uvicorn log to one stream, standard error by default."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    for name, level in (("recurra", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        # uvicorn tells of each WebSocket with its path, which has the id of a session: it is left out.
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
