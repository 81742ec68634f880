"""Training: the loop, optimisation by torch's names, checkpoints, the log. Names load on first use."""

from typing import TYPE_CHECKING

from recurra.lazy_names import lazy_names

if TYPE_CHECKING:
    from recurra.data.batches.batch import WHOLE, Batch, Partition
    from recurra.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
    from recurra.training.evaluation import Mean, evaluate
    from recurra.training.log import TrainingLog, read_log
    from recurra.training.losses import sequence_loss, true_steps
    from recurra.training.optimization import make_optimizer, make_schedule
    from recurra.training.penalties import ActivationPenalties
    from recurra.training.process_group import Processes, joined, processes, resumes
    from recurra.training.pruning import BlockPruning, block_sparsity, scheduled_sparsity
    from recurra.training.run import has_run, read_run, write_run
    from recurra.training.run_files import load_last
    from recurra.training.settings import CLIPPINGS, OPTIMIZERS, PRECISIONS, SCHEDULES, TrainingSettings
    from recurra.training.trainer import Trainer, TrainingInterruptedError, TrainingResult, Validation
    from recurra.training.truncation import Truncation

__all__ = [
    "CLIPPINGS",
    "OPTIMIZERS",
    "PRECISIONS",
    "SCHEDULES",
    "WHOLE",
    "ActivationPenalties",
    "Batch",
    "BlockPruning",
    "Checkpoint",
    "Mean",
    "Partition",
    "Processes",
    "Trainer",
    "TrainingInterruptedError",
    "TrainingLog",
    "TrainingResult",
    "TrainingSettings",
    "Truncation",
    "Validation",
    "block_sparsity",
    "evaluate",
    "has_run",
    "joined",
    "load_checkpoint",
    "load_last",
    "make_optimizer",
    "make_schedule",
    "processes",
    "read_log",
    "read_run",
    "resumes",
    "save_checkpoint",
    "scheduled_sparsity",
    "sequence_loss",
    "true_steps",
    "write_run",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "recurra.data.batches.batch": (
            "WHOLE",
            "Batch",
            "Partition",
        ),
        "recurra.training.checkpoint": (
            "Checkpoint",
            "load_checkpoint",
            "save_checkpoint",
        ),
        "recurra.training.evaluation": (
            "Mean",
            "evaluate",
        ),
        "recurra.training.log": (
            "TrainingLog",
            "read_log",
        ),
        "recurra.training.losses": (
            "sequence_loss",
            "true_steps",
        ),
        "recurra.training.optimization": (
            "make_optimizer",
            "make_schedule",
        ),
        "recurra.training.penalties": ("ActivationPenalties",),
        "recurra.training.process_group": (
            "Processes",
            "resumes",
            "joined",
            "processes",
        ),
        "recurra.training.pruning": (
            "BlockPruning",
            "block_sparsity",
            "scheduled_sparsity",
        ),
        "recurra.training.run": (
            "has_run",
            "read_run",
            "write_run",
        ),
        "recurra.training.run_files": ("load_last",),
        "recurra.training.settings": (
            "CLIPPINGS",
            "OPTIMIZERS",
            "PRECISIONS",
            "SCHEDULES",
            "TrainingSettings",
        ),
        "recurra.training.trainer": (
            "Trainer",
            "TrainingInterruptedError",
            "TrainingResult",
            "Validation",
        ),
        "recurra.training.truncation": ("Truncation",),
    },
)
