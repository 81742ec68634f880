"""The files of a training: its last checkpoints, and its best weights."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from recurra.errors import RunError
from recurra.files import hold_folder, remove_leftovers
from recurra.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

__all__ = ["RunFiles", "load_last"]

_log = logging.getLogger("recurra.training")
_NAME = re.compile(r"checkpoint-(\d+)\.safetensors")


class RunFiles:
    """The checkpoints in a folder, `checkpoint-STEP.safetensors`, and the weights in `best.safetensors`.

    Args:
        folder: of the run.
        keep: how many checkpoints stay; older ones are removed once a newer is whole.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder = folder
        self._keep = keep

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training in the folder, which must be there.

        Raises:
            RunError: if another does.
        """
        with hold_folder(self.folder, "trains in it"):
            yield

    def check_new(self) -> None:
        """See that no run is there that a new one would overwrite.

        Raises:
            RunError: if there is one.
        """
        steps = _steps(self.folder)
        if steps and steps[0] > 0:
            raise RunError(
                f"{self.folder}: holds a run of {steps[0]} steps; resume it (resume=True), choose another folder, "
                "or delete it first"
            )

    def save(self, step: int, checkpoint: Checkpoint) -> None:
        """Write the checkpoint of a step, then remove those too old to keep.

        Raises:
            RunError: if it cannot be written; those before it are untouched.
        """
        save_checkpoint(checkpoint, self.folder / f"checkpoint-{step}.safetensors")
        for old in _steps(self.folder)[self._keep :]:
            (self.folder / f"checkpoint-{old}.safetensors").unlink(missing_ok=True)

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Write the best weights; raises as `save`."""
        save_checkpoint(checkpoint, self.folder / "best.safetensors")

    def load_best(self) -> Checkpoint:
        """Read the best weights; raises as `load_checkpoint`."""
        return load_checkpoint(self.folder / "best.safetensors")

    def remove_leftovers(self) -> None:
        """Remove what a killed process was writing; nobody else writes here."""
        remove_leftovers(self.folder)

    def remove_after(self, step: int) -> None:
        """Remove the checkpoints of later steps, which are damaged, as `load_last` has seen."""
        for later in _steps(self.folder):
            if later > step:
                (self.folder / f"checkpoint-{later}.safetensors").unlink()


def load_last(folder: Path, check: Callable[[Checkpoint], None] = lambda checkpoint: None) -> Checkpoint:
    """The newest checkpoint in a folder that is whole; each damaged one before it is named in the log.

    Args:
        folder: of the run.
        check: raises where the checkpoint is whole but not to be used.

    Raises:
        RunError: if there is none, or all are damaged.
    """
    damaged: list[str] = []
    for step in _steps(folder):
        try:
            checkpoint = load_checkpoint(folder / f"checkpoint-{step}.safetensors")
        except RunError as error:
            damaged.append(str(error))
            continue
        check(checkpoint)
        for fault in damaged:
            _log.warning("%s; continuing from the one before, of step %d", fault, step)
        return checkpoint
    if damaged:
        raise RunError("; ".join(damaged) + "; no whole checkpoint is left, train into another folder")
    raise RunError(f"{folder}: no checkpoint there; the run was not trained, or the path is not a run")


def _steps(folder: Path) -> list[int]:
    """The steps of the checkpoints in a folder, the latest first."""
    matches = (_NAME.fullmatch(path.name) for path in folder.glob("checkpoint-*.safetensors"))
    return sorted((int(match[1]) for match in matches if match), reverse=True)
