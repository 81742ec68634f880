"""One trial: a training that is compared with others while it runs."""

import errno
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna

from recurra.errors import DataError, MissingExtraError, ParameterError
from recurra.training import TrainingInterruptedError, Validation, read_log
from recurra.tuning.trials import LEVELS, Claim, Search, Trials

__all__ = ["run_trial", "run_trials"]

# What no other values of the options would cure.
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE)


def run_trials(search: Search, trials: Trials, worker: str) -> Iterator[int]:
    """Train trials until there is nothing left to do; the number of each, after it has ended.

    Raises:
        TrainingInterruptedError: on SIGINT or SIGTERM, and once the time is over; the trial can be continued.
        RecurraError: what no other values of the options would cure, such as a full disk.
    """
    while (claim := trials.claim(worker)) is not None:
        try:
            run_trial(search, trials, claim)
        finally:
            claim.release()
        yield claim.trial.number


def run_trial(search: Search, trials: Trials, claim: Claim) -> None:
    """Train one trial and record how it ended: complete, pruned, or failed for a reason. Raises as `run_trials`."""
    try:
        estimator = _train(search, claim)
    except optuna.TrialPruned as pruned:
        trials.pruned(claim, {"reason": str(pruned), **_trained(claim.folder)})
    except Exception as error:
        if _stops_the_search(error, claim):
            raise
        trials.failed(claim, {"reason": _in_words(error), **_trained(claim.folder)})
    else:
        result = estimator.training_result
        if not math.isfinite(result.best_loss):
            trials.failed(claim, {"reason": "no validation loss was finite", **_trained(claim.folder)})
            return
        facts = {
            "validation": estimator.fitted.data.get("best_validation", ""),
            "seconds": round(result.seconds, 3),
            "steps": result.steps,
            "best_step": result.best_step,
            "seed": estimator.seed,
            "parameters": sum(one.numel() for one in estimator.fitted.network.parameters()),
        }
        trials.complete(claim, result.best_loss, facts)


def _train(search: Search, claim: Claim) -> Any:
    estimator = search.kind(**{**search.options, **claim.options})
    # A run that was stopped before its first checkpoint begins anew.
    resume = (claim.folder / "run.json").is_file() and any(claim.folder.glob("checkpoint-*.safetensors"))
    if not resume:
        shutil.rmtree(claim.folder, ignore_errors=True)
    arguments: dict[str, Any] = dict(search.fit)
    if resume:
        arguments.pop("start_from", None)

    def compare(validation: Validation) -> None:
        _compare(search, claim.trial, validation)

    return estimator.fit(**arguments, folder=claim.folder, resume=resume, progress=False, after_validation=compare)


def _compare(search: Search, trial: optuna.Trial, validation: Validation) -> None:
    """Report the loss at the part of training that is done, by which trials of other lengths compare."""
    level = LEVELS * validation.step // validation.max_steps
    if level and level not in trial.storage.get_trial(trial._trial_id).intermediate_values:
        trial.report(validation.loss, level)
    if validation.step < validation.max_steps:
        # The first trial, with the options as they are, is what the best one is compared with.
        if level and trial.number and trial.should_prune():
            raise optuna.TrialPruned(f"pruned after {validation.step:,} of {validation.max_steps:,} steps")
        if search.is_over:
            raise TrainingInterruptedError(validation.step)


def _stops_the_search(error: Exception, claim: Claim) -> bool:
    """Whether the machine or the data are at fault, not the options that were tried."""
    if isinstance(error, MissingExtraError):
        return True
    # The first trial has the options as they are.
    if isinstance(error, ParameterError | DataError) and claim.trial.number == 0:
        return True
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _OF_THE_MACHINE:
            return True
        if type(cause).__module__.partition(".")[0] in ("sqlalchemy", "redis", "grpc"):
            return True
        cause = cause.__cause__
    return False


def _trained(folder: Path) -> dict[str, Any]:
    """How long and how far a training came that did not end by itself."""
    rows = read_log(folder / "time.csv")
    return {"seconds": float(rows[-1]["seconds"]), "steps": int(rows[-1]["step"])} if rows else {}


def _in_words(error: Exception) -> str:
    words = str(error).strip().splitlines()
    return f"{type(error).__name__}: {words[0]}" if words else type(error).__name__
