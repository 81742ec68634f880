"""What the learning benchmarks share: one training after another, each kept as it ends, and a table of them all."""

import argparse
import json
import statistics
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks._report import Report
from recurra.errors import RunError
from recurra.files import prepare_folder
from recurra.training import Batch, Trainer, TrainingSettings

# Of data that is drawn: training takes the seeds below.
VALIDATION_SEED, TEST_SEED = 2**40, 2**40 + 1


@dataclass(frozen=True)
class Fitted:
    """How a training went.

    Attributes:
        steps: taken.
        seconds: validation included.
        ended: "budget" where all steps were taken, "patience" where validation got no better, or why it broke off.
        curve: step and validation loss at each validation.
    """

    steps: int
    seconds: float
    ended: str
    curve: list[tuple[int, float]]


@dataclass(frozen=True)
class Outcome:
    """One training and its test, a line of the results file.

    Attributes:
        setting: what was learned, such as "T=200".
        cell: a name of the benchmark's cells.
        seed: of the weights and of the order of the data.
        parameters: how many numbers were trained.
        fitted: how the training went.
        test: measures on the held-out split by name.
    """

    setting: str
    cell: str
    seed: int
    parameters: int
    fitted: Fitted
    test: dict[str, float]


def make_parser(description: str | None, settings: Iterable[str], cells: Iterable[str]) -> ArgumentParser:
    """A parser with the options that all learning benchmarks have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--settings", nargs="+", choices=list(settings), default=list(settings), help="what to learn")
    parser.add_argument("--cells", nargs="+", choices=list(cells), default=list(cells), help="which to train")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of weights and data")
    parser.add_argument("--out", type=Path, default=Path("runs/learning"), help="folder for the results")
    parser.add_argument("--resume", action="store_true", help="keep the trainings that the folder has already")
    parser.add_argument("--budget", type=float, default=1.0, help="times the usual steps of each training")
    parser.add_argument("--threads", type=int, default=1, help="of torch and recurra")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    return parser


def run_all(name: str, options: Namespace, train: Callable[[str, str, int, float], Outcome]) -> list[Outcome]:
    """Every training that the options ask for.

    Args:
        name: of the results file in the folder, `NAME.jsonl`.
        options: of `make_parser`.
        train: called with setting, cell, seed and the share of the steps to take.

    Returns:
        The outcomes asked for, in the order of the options.
    """
    torch.set_num_threads(options.threads)
    prepare_folder(options.out)
    path = options.out / f"{name}.jsonl"
    if not options.resume:
        path.unlink(missing_ok=True)
    done = {(outcome.setting, outcome.cell, outcome.seed): outcome for outcome in read_outcomes(path)}
    wanted = list(product(options.settings, options.cells, options.seeds))
    missing = [key for key in wanted if key not in done]
    started = time.monotonic()
    for count, key in enumerate(missing, 1):
        try:
            done[key] = outcome = train(*key, options.budget)
        except KeyboardInterrupt:
            sys.exit(f"stopped; what has ended is in {path}: go on with --resume")
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")
        left = (time.monotonic() - started) / count * (len(missing) - count)
        figures = ", ".join(f"{measure} {value:.3g}" for measure, value in outcome.test.items())
        print(
            f"[{count}/{len(missing)}, about {left / 60:.0f} min to go] {', '.join(map(str, key))}: {figures}; "
            f"{outcome.fitted.steps} steps, {outcome.fitted.seconds:.0f} s, ended by {outcome.fitted.ended}",
            flush=True,
        )
    return [done[key] for key in wanted]


def read_outcomes(path: Path) -> list[Outcome]:
    """The trainings that a results file holds."""
    if not path.is_file():
        return []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Outcome(**{**line, "fitted": Fitted(**line["fitted"])}) for line in lines]


def fit(
    module: nn.Module,
    loss: Callable[[Any, Any], Tensor],
    batches: Callable[[int], Batch],
    settings: TrainingSettings,
    validation: Batch,
) -> Fitted:
    """Train; the module is left with the weights that were best on the validation batch."""
    curve: list[tuple[int, float]] = []

    def validate(evaluated: nn.Module) -> float:
        value = measure(evaluated, loss, validation)
        curve.append((min(settings.validate_every * (len(curve) + 1), settings.max_steps), value))
        return value

    started = time.monotonic()
    try:
        result = Trainer(module, loss, batches, settings, validate=validate).fit()
    except RunError as error:
        module.eval()
        return Fitted(curve[-1][0] if curve else 0, time.monotonic() - started, str(error), curve)
    return Fitted(result.steps, result.seconds, "patience" if result.stopped_early else "budget", curve)


@torch.no_grad()
def measure(module: nn.Module, loss: Callable[[Any, Any], Tensor], batch: Batch) -> float:
    """The loss of a batch, of a module in evaluation mode."""
    return loss(module(batch.inputs)[0], batch.target).item()


def step_seed(seed: int, step: int) -> int:
    """The seed of the data that a training of a seed draws at a step."""
    return seed * 1_000_000 + step


def count_parameters(module: nn.Module) -> int:
    """Numbers that are trained."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def show(title: str, outcomes: Sequence[Outcome], measures: Mapping[str, str], markdown: bool) -> None:
    """Print a table: a row for each setting and cell, with mean and standard deviation over the seeds.

    Args:
        title: above it.
        outcomes: to be shown.
        measures: the format of each measure by name.
        markdown: whether it is a table in Markdown.
    """
    columns = {"setting": "10s", "cell": "18s", "parameters": "10,.0f", **dict.fromkeys(measures, "19s")}
    table = Report(markdown).table(title, {**columns, "steps": "16s", "seconds": "7.0f"})
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.setting, outcome.cell), []).append(outcome)
    for (setting, cell), group in groups.items():
        figures = [_spread([outcome.test[name] for outcome in group], spec) for name, spec in measures.items()]
        steps = ", ".join(str(outcome.fitted.steps) for outcome in group)
        seconds = statistics.mean(outcome.fitted.seconds for outcome in group)
        table.add(setting, cell, group[0].parameters, *figures, steps, seconds)


def _spread(values: Sequence[float], spec: str) -> str:
    mean = format(statistics.mean(values), spec)
    return mean if len(values) == 1 else f"{mean} ± {format(statistics.stdev(values), spec)}"
