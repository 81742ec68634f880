"""Training: the loop, optimisation by torch's names, checkpoints, the log."""

from recurra.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from recurra.training.log import TrainingLog, read_log
from recurra.training.optimization import make_optimizer, make_schedule
from recurra.training.run import has_run, read_run, write_run
from recurra.training.settings import OPTIMIZERS, SCHEDULES, TrainingSettings
from recurra.training.trainer import Batch, Trainer, TrainingInterruptedError, TrainingResult

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "Batch",
    "Checkpoint",
    "Trainer",
    "TrainingInterruptedError",
    "TrainingLog",
    "TrainingResult",
    "TrainingSettings",
    "has_run",
    "load_checkpoint",
    "make_optimizer",
    "make_schedule",
    "read_log",
    "read_run",
    "save_checkpoint",
    "write_run",
]
