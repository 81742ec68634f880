"""The trials of a search: which one a process takes next, and how each ends. Several processes share them."""

import json
import logging
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from recurra.errors import RunError
from recurra.files import write_text
from recurra.tuning.options import TuningOptions
from recurra.tuning.space import Space, distributions, rounded, value_from
from recurra.tuning.storage import locked, open_storage, storage_errors, try_lock

if TYPE_CHECKING:
    from recurra.task import Estimator

__all__ = ["BEST", "LEVELS", "Claim", "Search", "Trials"]

_log = logging.getLogger("recurra.tuning")

BEST = "best"
LEVELS = 9
"""Parts of training at whose ends trials are compared; Hyperband's first bracket compares after 1, 3 and 9 of them."""

_TRIES = 20  # to sample options that no trial has
_HOPELESS = 5
_NAME = "tuning.json"


@dataclass(frozen=True)
class Search:
    """What every process of a search knows.

    Attributes:
        kind: the estimator.
        options: that differ from their defaults, by name.
        space: see `recurra.tuning.space`.
        tuning: how to search.
        folder: of the search.
        facts: what a search that is started again has to agree on, as JSON values.
        fit: the arguments of `Estimator.fit`, except the folder.
        ends: the time, in seconds of `time.time`, from which no trial begins; None: there is none.
        session: tells the trials of this start of the search from those of others.
    """

    kind: "type[Estimator[Any, Any, Any]]"
    options: Mapping[str, Any]
    space: Space
    tuning: TuningOptions
    folder: Path
    facts: Mapping[str, Any]
    fit: Mapping[str, Any]
    ends: float | None = None
    session: str = field(default_factory=lambda: uuid4().hex)

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return self.ends is not None and time.time() >= self.ends


@dataclass(frozen=True)
class Claim:
    """A trial that this process trains.

    Attributes:
        trial: of Optuna.
        options: of the estimator, by name.
        folder: of its run.
        lock: an open file; the trial belongs to this process until it is closed.
    """

    trial: optuna.Trial
    options: dict[str, Any]
    folder: Path
    lock: int

    def release(self) -> None:
        """Leave the trial, if it has not ended, to whoever continues it."""
        os.close(self.lock)


class Trials:
    """The trials of a search, in its storage and its folder.

    Raises:
        RunError: the storage cannot be used; or it, or the folder, holds a search for something else.
    """

    def __init__(self, search: Search) -> None:
        self._search = search
        self._distributions = distributions(search.space, search.kind)
        self.where = f"{socket.gethostname()}:{search.folder.resolve()}"
        with locked(search.folder / "tuning.lock"):
            identity = self._identity()
            storage = open_storage(search.tuning.storage, search.folder)
            # After the storage was reached: a mistyped URL can be corrected.
            write_text(search.folder / _NAME, json.dumps(identity, indent=1) + "\n")
            self._id: str = identity["id"]
            with self._errors():
                self.study = optuna.create_study(
                    storage=storage,
                    sampler=optuna.samplers.RandomSampler(seed=0),  # never asked, see `_sampled`
                    pruner=_pruner(search.tuning.pruner),
                    study_name=search.tuning.study or search.folder.resolve().name,
                    load_if_exists=True,
                )
                self._agree()

    @property
    def total(self) -> int:
        """How many trials the search has in the end, if no time is over before."""
        return max(self._search.tuning.trials, len(self.all()))

    def all(self) -> list[FrozenTrial]:
        """The trials by number, of every folder and machine."""
        with self._errors():
            return self.study.get_trials(deepcopy=False)

    @property
    def best(self) -> FrozenTrial | None:
        """The trial with the least validation loss; None if none is complete."""
        complete = [trial for trial in self.all() if trial.state == TrialState.COMPLETE]
        return min(complete, key=lambda trial: (trial.value or 0.0, trial.number), default=None)

    def is_here(self, trial: FrozenTrial) -> bool:
        """Whether a trial's run is in this folder."""
        return trial.user_attrs.get("folder") == self._id

    def claim(self, worker: str) -> Claim | None:
        """A trial to train: one that was interrupted, or a new one; None if there is nothing left to do.

        Raises:
            RunError: the first trials all failed.
        """
        with self._exclusively():
            if self._search.is_over:
                return None
            self._check_hope()
            claim = self._interrupted() or self._new()
            if claim is not None:
                claim.trial.set_user_attr("session", self._search.session)
                claim.trial.set_user_attr("worker", worker)
            return claim

    def complete(self, claim: Claim, loss: float, facts: Mapping[str, Any]) -> None:
        """Record the validation loss of a trial, and what else is known of it; the best run is kept."""
        self._tell(claim, TrialState.COMPLETE, facts, loss)

    def pruned(self, claim: Claim, facts: Mapping[str, Any]) -> None:
        """Record that a trial was not worth finishing."""
        self._tell(claim, TrialState.PRUNED, facts)

    def failed(self, claim: Claim, facts: Mapping[str, Any]) -> None:
        """Record that a trial failed; `facts` have the reason."""
        self._tell(claim, TrialState.FAIL, facts)

    def died(self, worker: str, reason: str) -> int | None:
        """Record why a worker died as the reason of its trial's failure; the number of the trial. None: it had none."""
        with self._exclusively():
            for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                if self.is_here(trial) and trial.user_attrs.get("worker") == worker:
                    optuna.Trial(self.study, trial._trial_id).set_user_attr("reason", reason)
                    self.study.tell(trial.number, state=TrialState.FAIL)
                    self._tidy()
                    return trial.number
        return None

    def tidy(self) -> None:
        """Keep the best run in the folder `best`, and no weights of other finished trials."""
        with self._exclusively():
            self._tidy()

    def _tell(self, claim: Claim, state: TrialState, facts: Mapping[str, Any], loss: float | None = None) -> None:
        with self._exclusively():
            for name, value in facts.items():
                claim.trial.set_user_attr(name, value)
            self.study.tell(claim.trial, loss, state)
            self._tidy()

    def _tidy(self) -> None:
        finished = [t for t in self.study.get_trials(deepcopy=False) if t.state.is_finished() and self.is_here(t)]
        complete = [trial for trial in finished if trial.state == TrialState.COMPLETE]
        if complete:
            best = min(complete, key=lambda trial: (trial.value or 0.0, trial.number))
            self._keep(best)
        for trial in finished:
            folder = self._folder(trial.number)
            for weights in folder.glob("*.safetensors"):
                weights.unlink()
            _lock_of(folder).unlink(missing_ok=True)

    def _keep(self, trial: FrozenTrial) -> None:
        """Replace the best run by that of a trial: it is copied aside and renamed."""
        best, source = self._search.folder / BEST, self._folder(trial.number)
        aside, before = best.with_name(f".{BEST}.new"), best.with_name(f".{BEST}.old")
        if _read(best / _NAME).get("trial") == trial.number:
            shutil.rmtree(before, ignore_errors=True)
            return
        try:
            shutil.rmtree(aside, ignore_errors=True)
            shutil.copytree(source, aside)
            facts = {"trial": trial.number, "options": trial.user_attrs["options"], "validation_loss": trial.value}
            write_text(aside / _NAME, json.dumps(facts, indent=1) + "\n")
            shutil.rmtree(before, ignore_errors=True)
            if best.exists():
                best.rename(before)
            aside.rename(best)
            shutil.rmtree(before, ignore_errors=True)
        except (OSError, shutil.Error) as error:
            # copytree collects an error for each file: (from, to, reason).
            reason = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror or error
            raise RunError(f"{best}: cannot be written ({reason}); the run is still in {source}") from error

    def _check_hope(self) -> None:
        trials = self.study.get_trials(deepcopy=False)
        failed = [
            trial
            for trial in trials
            if trial.state == TrialState.FAIL and trial.user_attrs.get("session") == self._search.session
        ]
        if len(failed) >= _HOPELESS and not any(t.state in (TrialState.COMPLETE, TrialState.PRUNED) for t in trials):
            raise RunError(
                f"the first {len(failed)} trials all failed; the last: {failed[-1].user_attrs.get('reason')}"
            )

    def _interrupted(self) -> Claim | None:
        """A trial that no process trains any more; the parent itself records those of this session's dead workers."""
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not self.is_here(trial) or trial.user_attrs.get("session") == self._search.session:
                continue
            lock = try_lock(_lock_of(self._folder(trial.number)))
            if lock is not None:
                return self._claimed(trial, lock)
        return None

    def _new(self) -> Claim | None:
        trials = self.study.get_trials(deepcopy=False)
        if len(trials) >= self._search.tuning.trials:
            return None
        made = self._as_they_are() if not trials else self._sampled(trials)
        if made is None:
            _log.info("no other values are left to try")
            return None
        params, options = made
        token = uuid4().hex
        attrs = {"token": token, "folder": self._id, "where": self.where, "options": options}
        # One record holds everything, so that a trial is either whole or not there.
        self.study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=params,
                distributions={name: self._distributions[name] for name in params},
                user_attrs=attrs,
            )
        )
        trial = next(t for t in self.study.get_trials(deepcopy=False) if t.user_attrs.get("token") == token)
        folder = self._folder(trial.number)
        folder.mkdir(parents=True, exist_ok=True)
        lock = try_lock(_lock_of(folder))
        assert lock is not None
        return self._claimed(trial, lock)

    def _claimed(self, trial: FrozenTrial, lock: int) -> Claim:
        options = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in trial.user_attrs["options"].items()
        }
        return Claim(optuna.Trial(self.study, trial._trial_id), options, self._folder(trial.number), lock)

    def _as_they_are(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The first trial has the options as they are; the sampler learns from those within their ranges."""
        estimator = self._search.kind(**self._search.options)
        options = {name: getattr(estimator, name) for name in self._search.space}
        params = {}
        for name, value in options.items():
            distribution = self._distributions[name]
            written = ",".join(map(str, value)) if isinstance(value, tuple) else value
            if written is not None and _holds(distribution, written):
                params[name] = written
        return params, options

    def _sampled(self, trials: list[FrozenTrial]) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Values by the tree-structured Parzen estimator, a function of the seed and the trials so far alone.

        They are sampled in memory: a process that is killed while it samples leaves nothing behind.
        """
        before = [trial.params for trial in trials]
        for attempt in range(_TRIES):
            seed = _seed(self._search.tuning.sampler_seed, len(trials), attempt)
            memory = optuna.create_study(
                sampler=optuna.samplers.TPESampler(seed=seed),
                pruner=self.study.pruner,
                study_name=self.study.study_name,
            )
            memory.add_trials(trials)
            sampled = memory.ask(self._distributions).params
            params = {name: rounded(value, self._search.space[name]) for name, value in sampled.items()}
            if params not in before:
                settings = self._search.kind.settings()
                return params, {name: value_from(settings[name], value) for name, value in params.items()}
        return None

    def _folder(self, number: int) -> Path:
        return self._search.folder / "trials" / f"{number:04d}"

    def _identity(self) -> dict[str, Any]:
        """What this folder is called in the storage, which several folders may share. Raises RunError."""
        tuning = self._search.tuning
        now = {"storage": tuning.storage, "study": tuning.study or self._search.folder.resolve().name}
        saved = _read(self._search.folder / _NAME) or {"id": uuid4().hex, **now}
        if different := [name for name, value in now.items() if saved.get(name) != value]:
            raise RunError(
                f"{self._search.folder}: cannot continue with another {' and '.join(different)}; use the same, or "
                "search into another folder"
            )
        return saved

    def _agree(self) -> None:
        """See that the study is for the same options, space and data. Raises RunError."""
        facts = json.loads(json.dumps(self._search.facts))
        saved = self.study.user_attrs.get("search")
        if saved is None:
            if self.study.get_trials(deepcopy=False):
                raise RunError(f"study: {self.study.study_name!r} has trials of another program; choose another name")
            self.study.set_user_attr("search", facts)
        elif different := [name.replace("_", " ") for name in facts if saved.get(name) != facts[name]]:
            raise RunError(
                f"{self._search.folder}: cannot continue with other {', '.join(different)}; use the same, or search "
                "into another folder"
            )

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        with locked(self._search.folder / "tuning.lock"), self._errors():
            yield

    def _errors(self) -> Any:
        return storage_errors(self._search.tuning.storage or str(self._search.folder))


def _lock_of(folder: Path) -> Path:
    return folder.with_suffix(".lock")


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except (ValueError, TypeError):
        return False


def _pruner(name: str) -> optuna.pruners.BasePruner:
    makers: dict[str, Callable[[], optuna.pruners.BasePruner]] = {
        "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=_HOPELESS),
        "hyperband": lambda: optuna.pruners.HyperbandPruner(max_resource=LEVELS),
        "none": optuna.pruners.NopPruner,
    }
    return makers[name]()


def _seed(seed: int, number: int, attempt: int) -> int:
    import numpy as np

    return int(np.random.SeedSequence([seed, number, attempt]).generate_state(1)[0])


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: damaged ({error}); search into another folder") from error
