"""Search for good options of any estimator: `recurra.tune`, and behind `recurra tune`."""

import logging
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.errors import ParameterError, RecurraError, RunError
from recurra.files import prepare_folder, write_text
from recurra.progress import Progress
from recurra.tuning.options import TuningOptions
from recurra.tuning.space import Space, default_space, make_space, plain_space
from recurra.tuning.storage import require_optuna

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from recurra.task import Estimator
    from recurra.tuning.results import Trial, Tuned
    from recurra.tuning.trials import Search, Trials

__all__ = ["tune"]

_log = logging.getLogger("recurra.tuning")


def tune(
    estimator: "Estimator[Any, Any, Any] | type[Estimator[Any, Any, Any]]",
    data: Any,
    y: Any = None,
    *,
    validation: Any = None,
    reading: Any = None,
    start_from: str | Path | None = None,
    space: "Mapping[str, Any] | str | Path | None" = None,
    folder: str | Path = "runs/tuned",
    progress: bool | None = None,
    **tuning: Any,
) -> "Tuned":
    """Search for options with which an estimator has a low validation loss, by Optuna.

    Each trial is a training of its own. The first has the options as they are; the others are sampled by the
    tree-structured Parzen estimator (Bergstra et al. 2011). Trials that are worse than others at the same part of
    training are pruned. The best run is kept in the folder `best` of the folder, as `fit` writes it; what all trials
    were is in `tuning.html` and `trials.csv`. A search that was interrupted, or killed, continues when it is started
    again; interrupted trials continue from their last checkpoint.

    Args:
        estimator: a class, or an instance: options that it sets stay as they are, unless `space` names them.
        data: see `Estimator.fit`, as for the arguments to `start_from`.
        y: labels, for tasks that take them apart from the examples.
        validation: data by whose loss options are chosen; None: as the task splits its data.
        reading: how files are read.
        start_from: a run whose weights every trial starts from.
        space: by option: a `recurra.options.Range`, a mapping with `low`, `high` and perhaps `log` or `step`, or a list
            of choices; or the path of a YAML file of these. None: the ranges that the options state.
        folder: of the search.
        progress: show progress; None: a bar in a terminal or a notebook, and lines elsewhere.
        tuning: options of `TuningOptions`, such as `trials` and `jobs`.

    Raises:
        MissingExtraError: Optuna is not installed.
        ParameterError: an option is out of range, or there are no validation data.
        DataError: the data cannot be used.
        RunError: the folder holds a search for something else; the storage cannot be used; the first trials all failed.
        KeyboardInterrupt: on Ctrl-C, after the trials under way were saved.
    """
    require_optuna()
    options = TuningOptions(**tuning)
    started = time.time()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        expected = "one process, as each trial is trained by one"
        raise ParameterError("torchrun", expected, os.environ["WORLD_SIZE"], "Use --jobs.")
    from recurra.task import Estimator

    base = estimator if isinstance(estimator, Estimator) else estimator()
    searched = default_space(base) if space is None else make_space(space, type(base))
    path = Path(folder)
    _check_folder(path)
    search = _search(base, searched, options, path, started, data, y, validation, reading, start_from)
    prepare_folder(path / "trials")
    from recurra.tuning.trials import Trials

    trials = Trials(search)
    trials.tidy()
    try:
        with _ticking(trials, progress) as tick:
            _run(search, trials, tick)
    except BaseException:
        with suppress(RecurraError):
            _write(search, trials)
        raise
    return _write(search, trials)


def _check_folder(folder: Path) -> None:
    from recurra.training import has_run

    if has_run(folder):
        raise RunError(f"{folder}: holds a run, not a search; choose another folder (--out)")


def _search(
    base: "Estimator[Any, Any, Any]",
    space: Space,
    options: TuningOptions,
    folder: Path,
    started: float,
    data: Any,
    y: Any,
    validation: Any,
    reading: Any,
    start_from: str | Path | None,
) -> "Search":
    """The search, with the checksums of its data, which are read here for the first time."""
    from recurra.training.device import check_device
    from recurra.tuning.trials import Search

    check_device(base.device)
    if reading is None and base.Reading is not None:
        reading = base.Reading()
    training, held_out = base.examples(data, y, validation, reading)
    kind = type(base)
    facts = {
        "task": kind.task,
        "class": f"{kind.__module__}:{kind.__qualname__}",
        "options": {name: value for name, value in base.changed().items() if name != "device"},
        "space": plain_space(space),
        "reading": None if reading is None else reading.get_params(),
        "start_from": None if start_from is None else str(start_from),
        "data": training.digest(),
        "validation_data": None if held_out is None else held_out.digest(),
        "pruner": options.pruner,
        "sampler_seed": options.sampler_seed,
    }
    fit = {"data": data, "y": y, "validation": validation, "reading": reading, "start_from": start_from}
    ends = None if options.seconds is None else started + options.seconds
    _log.info("%s", base.describe(training, held_out))
    return Search(kind, base.changed(), space, options, folder.resolve(), facts, fit, ends)


def _run(search: "Search", trials: "Trials", tick: Callable[[], object]) -> None:
    """Train what is left of the trials, until it is done or the time is over."""
    from recurra.training import TrainingInterruptedError
    from recurra.tuning.trial import run_trials
    from recurra.tuning.workers import run_workers

    if search.tuning.jobs:
        run_workers(search, trials, tick)
        return
    try:
        for _ in run_trials(search, trials, search.session):
            tick()
    except TrainingInterruptedError:
        if not search.is_over:
            raise


@contextmanager
def _ticking(trials: "Trials", show: bool | None) -> Iterator[Callable[[], None]]:
    """Progress in trials; the tick looks at most every second how many have ended."""
    done, looked = _ended(trials), time.monotonic()
    with Progress(trials.total, done, task="trials", show=show) as progress:

        def tick() -> None:
            nonlocal done, looked
            if time.monotonic() - looked < 1:
                return
            looked, now = time.monotonic(), _ended(trials)
            if now > done:
                best = trials.best
                shown = {} if best is None else {"best": f"{best.user_attrs.get('validation')} (trial {best.number})"}
                progress.update(shown, now - done)
                done = now

        yield tick


def _ended(trials: "Trials") -> int:
    return sum(trial.state.is_finished() for trial in trials.all())


def _write(search: "Search", trials: "Trials") -> "Tuned":
    """Write the page and the table."""
    from recurra.tuning.page import tuning_page
    from recurra.tuning.results import Tuned

    trials.tidy()
    best, made = trials.best, [_trial(trial) for trial in trials.all()]
    is_here = best is not None and trials.is_here(best)
    run = _shown(search.folder / "best")
    tuned = Tuned(
        f"Search: {search.kind.task}",
        _shown(search.folder),
        made,
        None if best is None else made[best.number],
        is_here,
        search.kind(**search.options).next_command(run) if is_here else "",
        _importance(trials, list(search.space)),
    )
    facts = {
        "data": _source(search),
        "options as set": ", ".join(f"{name} = {value}" for name, value in search.options.items()) or "the defaults",
        "pruner": search.tuning.pruner,
        "seed of the sampler": str(search.tuning.sampler_seed),
        "seed of every training": str(search.kind(**search.options).seed),
        "training, all trials": f"{sum(trial.seconds or 0.0 for trial in made):,.0f} s",
    }
    write_text(search.folder / "tuning.html", tuning_page(tuned, search.space, facts))
    tuned.write(search.folder / "trials.csv")
    return tuned


def _source(search: "Search") -> str:
    """The path of a file, or of several for a task that reads several; else "the data"."""
    data = search.fit["data"]
    files = data if search.kind.several_sources and isinstance(data, list | tuple) else [data]
    return ", ".join(map(str, files)) if all(isinstance(one, str | Path) for one in files) else "the data"


def _shown(folder: Path) -> Path:
    """The folder as a person would type it."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def _trial(trial: "FrozenTrial") -> "Trial":
    from recurra.tuning.results import STATES, Trial

    names: dict[str, str] = dict(zip(("COMPLETE", "PRUNED", "FAIL"), STATES, strict=False))
    attrs = trial.user_attrs
    complete = trial.state.name == "COMPLETE"
    return Trial(
        trial.number,
        names.get(trial.state.name, STATES[-1]),
        {name: tuple(v) if isinstance(v, list) else v for name, v in attrs.get("options", {}).items()},
        trial.value if complete else None,
        attrs.get("validation", "") if complete else "",
        attrs.get("seconds"),
        attrs.get("steps"),
        attrs.get("reason", ""),
        attrs.get("where", ""),
        dict(trial.intermediate_values),
    )


def _importance(trials: "Trials", names: list[str]) -> dict[str, float]:
    from optuna.trial import TrialState

    complete = [t for t in trials.all() if t.state == TrialState.COMPLETE and math.isfinite(t.value or 0.0)]
    tried = [name for name in names if len({repr(t.params[name]) for t in complete if name in t.params}) > 1]
    if not tried or len(complete) < 2:
        return {}
    from optuna.importance import get_param_importances

    with warnings.catch_warnings():
        # That few trials make the figures uncertain, the page says itself.
        warnings.simplefilter("ignore")
        return get_param_importances(trials.study, params=tried)
