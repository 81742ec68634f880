"""The runs that a server answers for."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recurra.errors import BackendError, ParameterError, StreamError
from recurra.server.even_rows import EvenChunks, EvenRows
from recurra.server.module import reason_for_server
from recurra.streaming import ChunkStepper, ItemStream
from recurra.task import Estimator
from recurra.tasks import load

__all__ = ["ServedModel", "load_models"]

_log = logging.getLogger("recurra.server")


@dataclass(frozen=True)
class ServedModel:
    """A trained run under a name.

    Attributes:
        name: in the URL.
        estimator: fitted.
        stream: of items; None: the model reads whole inputs only.
        reason: why there is no stream.
        server_only: why clients cannot run its steps themselves; empty: they can, see `recurra.server.module`.
    """

    name: str
    estimator: Estimator[Any, Any, Any]
    stream: ItemStream | None
    reason: str = ""
    server_only: str = ""

    def describe(self) -> dict[str, Any]:
        """The model as `GET /v1/models` lists it."""
        facts: dict[str, Any] = {"name": self.name, "task": self.estimator.task, "streams": self.stream is not None}
        if sound := self.estimator.sound_format:
            facts["sound"] = sound
        if drawing := self.estimator.drawing_format:
            facts["drawing"] = drawing
        if self.stream is None:
            return {**facts, "reason": self.reason}
        stream = self.stream
        shown = {"item": stream.item, "example": stream.example, "ends": stream.ends}
        return {**facts, **shown, "network_size": stream.network_size, "server_only": self.server_only}


def load_models(runs: Sequence[str], weights: str = "float32", look_ahead: int | None = None) -> dict[str, ServedModel]:
    """Read runs, and open the stream of each that has one.

    Args:
        runs: folders, or NAME=FOLDER; without a name it is the folder's.
        weights: how those of streams are stored; see `recurra.streaming.Stepper`.
        look_ahead: items after its own that a result waits for, of runs that cannot stream without; None: none.

    Raises:
        ParameterError: two runs have the same name, or a name does not fit into a URL.
        RunError: a folder holds no run, or it is damaged.
    """
    models: dict[str, ServedModel] = {}
    for run in runs:
        before, equals, after = run.partition("=")
        name, folder = (before, after) if equals and before and "/" not in before else ("", run)
        name = name or Path(folder).resolve().name
        if name in models:
            raise ParameterError("run", "another name for each run", name, "Name one of them: NAME=FOLDER.")
        if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or not name.isascii():
            raise ParameterError("run", "a name of letters, digits and . _ -", name, "Name it: NAME=FOLDER.")
        estimator = load(folder)
        try:
            stream = _open_stream(estimator, weights, look_ahead)
            server_only = reason_for_server(estimator, stream)
            if weights == "float32":  # the other formats compute each row by itself
                even = EvenChunks if isinstance(stream.stepper, ChunkStepper) else EvenRows
                stream = replace(stream, stepper=even(stream.stepper))
            models[name] = ServedModel(name, estimator, stream, server_only=server_only)
        except (StreamError, BackendError) as error:
            _log.info("%s does not stream: %s", name, error)
            models[name] = ServedModel(name, estimator, None, str(error))
    return models


def _open_stream(estimator: Estimator[Any, Any, Any], weights: str, look_ahead: int | None) -> ItemStream:
    try:
        return estimator.open_stream(weights)
    except StreamError:
        if look_ahead is None:
            raise
        return estimator.open_stream(weights, look_ahead)
