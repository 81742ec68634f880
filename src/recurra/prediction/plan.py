"""The plan of a prediction: what is predicted, and the pieces that it is cut into. It is stored beside the results."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recurra.errors import RunError
from recurra.files import write_text
from recurra.prediction.rows import Piece
from recurra.prediction.sources import TableFile

__all__ = ["Plan", "Request", "digest_of_run", "read_plan", "write_plan"]

_PLAN = "plan.json"
_VERSION = 1


@dataclass(frozen=True)
class Request:
    """What is predicted. Pieces that are finished are those of an equal request alone.

    Attributes:
        run: a checksum of the run's weights and of what it learned.
        files: the tables.
        options: whatever else changes the results, as JSON values.
    """

    run: str
    files: tuple[TableFile, ...]
    options: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"run": self.run, "files": [asdict(file) for file in self.files], "options": dict(self.options)}


@dataclass(frozen=True)
class Plan:
    """A request, cut into pieces.

    Attributes:
        request: what is predicted.
        columns: of the tables that are read.
        pieces: of texts, in order; those of series are partitions, of which `rows` alone is used.
        bad: rows that were left out when series were brought together.
    """

    request: Request
    columns: tuple[str, ...]
    pieces: tuple[Piece, ...]
    bad: int = 0

    @property
    def rows(self) -> int:
        """How many rows there are, with those left out."""
        return sum(piece.rows for piece in self.pieces) + self.bad

    def name(self, piece: int, ending: str) -> str:
        """The name of a file of a piece: names sort like pieces."""
        return f"part-{piece:0{max(5, len(str(len(self.pieces) - 1)))}d}{ending}"


def digest_of_run(folder: Path) -> str:
    """A checksum of all that predictions depend on in the folder of a run.

    Raises:
        RunError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name in ("run.json", "learned.json", "learned.safetensors", "best.safetensors"):
            try:
                digest.update(hashlib.sha256(path.read_bytes()).digest())
            except OSError as error:
                raise RunError(f"{path}: cannot be read ({error.strerror})") from None
    return digest.hexdigest()


def write_plan(plan: Plan, folder: Path) -> None:
    """Write a plan into the folder of the results. Raises RunError."""
    values = {
        "version": _VERSION,
        **plan.request.to_json(),
        "columns": plan.columns,
        "bad": plan.bad,
        "pieces": [[*asdict(piece).values()] for piece in plan.pieces],
    }
    write_text(folder / _PLAN, json.dumps(values, ensure_ascii=True) + "\n")


def read_plan(request: Request, folder: Path) -> Plan | None:
    """The plan in a folder, if a prediction of the same request has begun there.

    Returns:
        The plan; None: there is none.

    Raises:
        RunError: the plan is of another request, or damaged; or there are results without a plan.
    """
    path = folder / _PLAN
    way_out = "Choose another folder (--out), or remove this one."
    if not path.exists():
        if any(folder.glob("part-*")):
            raise RunError(f"{folder}: has files named part-* and no {_PLAN}. {way_out}")
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        there = {name: values[name] for name in ("run", "files", "options")}
        plan = Plan(
            request, tuple(values["columns"]), tuple(Piece(*one) for one in values["pieces"]), int(values["bad"])
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: damaged, or written by another version of Recurra ({error}). {way_out}") from None
    now = json.loads(json.dumps(request.to_json()))
    if difference := _difference(there, now):
        raise RunError(f"{folder}: was begun with {difference}. {way_out}")
    return plan


def _difference(there: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs between two requests, in words; empty: nothing."""
    if there["run"] != now["run"]:
        return "another run, or this run before it was trained further"
    if [file["path"] for file in there["files"]] != [file["path"] for file in now["files"]]:
        return "other files"
    changed = next((b["path"] for a, b in zip(there["files"], now["files"], strict=True) if a != b), None)
    if changed is not None:
        return f"another {changed}, which has changed since"
    names = [name for name in now["options"] if there["options"].get(name) != now["options"][name]]
    shown = [f"{name} = {there['options'].get(name)!r}" for name in names]
    return "other options: " + ", ".join(shown) if shown else ""
