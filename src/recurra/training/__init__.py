"""Training: the loop, optimisation by torch's names, checkpoints, the log."""

from recurra.data.batches.batch import WHOLE, Batch, Share
from recurra.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from recurra.training.estimator import Estimator, Model, Run
from recurra.training.evaluation import Mean, evaluate
from recurra.training.log import TrainingLog, read_log
from recurra.training.losses import sequence_loss, true_steps
from recurra.training.optimization import make_optimizer, make_schedule
from recurra.training.penalties import ActivationPenalties
from recurra.training.process_group import Processes, goes_on, joined, processes
from recurra.training.run import has_run, read_run, write_run
from recurra.training.run_files import load_last
from recurra.training.settings import CLIPPINGS, OPTIMIZERS, PRECISIONS, SCHEDULES, TrainingSettings
from recurra.training.trainer import Trainer, TrainingInterruptedError, TrainingResult
from recurra.training.truncation import Truncation

__all__ = [
    "CLIPPINGS",
    "OPTIMIZERS",
    "PRECISIONS",
    "SCHEDULES",
    "WHOLE",
    "ActivationPenalties",
    "Batch",
    "Checkpoint",
    "Estimator",
    "Mean",
    "Model",
    "Processes",
    "Run",
    "Share",
    "Trainer",
    "TrainingInterruptedError",
    "TrainingLog",
    "TrainingResult",
    "TrainingSettings",
    "Truncation",
    "evaluate",
    "goes_on",
    "has_run",
    "joined",
    "load_checkpoint",
    "load_last",
    "make_optimizer",
    "make_schedule",
    "processes",
    "read_log",
    "read_run",
    "save_checkpoint",
    "sequence_loss",
    "true_steps",
    "write_run",
]
