"""Tiny Shakespeare by characters, an LSTM and stacks of blocks at equal training time on one core.

The first 90 % are to train, the last 10 % to validate (`--inner`: both are parts of the first 90 %, for choosing
settings). A few steps of each network and a validation are timed first; it is then trained for as many steps as fit
into `--minutes`, so that the schedule of the learning rate ends with the time. The figure is of all of the validation
text, read as one stream.
"""

import argparse
import os
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from benchmarks._report import Report
from benchmarks.language_tinyshakespeare import DATA, SETTINGS, VALIDATIONS
from recurra.tasks.language import LanguageModel

FEW_STEPS, MORE_STEPS = 3, 20  # that are timed
# Of 1.1 to 1.3 million parameters each.
NETWORKS: dict[str, dict[str, Any]] = {
    "lstm": {name: value for name, value in SETTINGS.items() if name != "max_steps"},
    "griffin": {"architecture": ("griffin",), "hidden_size": 160},
    "hawk": {"architecture": ("hawk",), "hidden_size": 144, "num_layers": 3},
    "xlstm": {"architecture": ("xlstm",), "hidden_size": 192},
    "min_gru_block": {"architecture": ("min_gru_block",), "hidden_size": 192, "num_layers": 3},
    "lstm_attention": {"architecture": ("lstm_attention:64",), "hidden_size": 320},
}
OF_STACKS = {"dropout": 0.2, "embedding_size": 64, "learning_rate": 2e-3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, validation included")
    parser.add_argument("--out", type=Path, default=Path("runs/hybrids"), help="a run folder for each training in it")
    parser.add_argument("--inner", action="store_true", help="train and validate inside the first 90 %%")
    parser.add_argument("--characters", type=int, default=None, help="of the text to read; all by default")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    path = DATA / "input.txt"
    if not path.is_file():
        parser.exit(2, f"{path}: not there; set RECURRA_DATA to the folder that holds tinyshakespeare\n")
    torch.set_num_threads(1)
    text = path.read_text(encoding="utf-8")[: options.characters]
    text = text[: int(0.9 * len(text))] if options.inner else text
    end = int(0.9 * len(text))
    texts = {"train": text[:end], "validation": text[end:]}
    columns = {"network": "16s", "parameters": "10,.0f", "steps": "7,.0f", "minutes": "7.1f", "nats/character": "18s"}
    rows = []
    for name in options.networks:
        rows.append(train(name, texts, options))
        print(f"{name}: {rows[-1][-1]} nats a character, load {os.getloadavg()[0]:.1f}", flush=True)
    table = Report(options.markdown).table(f"Tiny Shakespeare, {options.minutes:g} minutes on one core", columns)
    for row in rows:
        table.add(*row)


def train(name: str, texts: dict[str, str], options: argparse.Namespace) -> tuple[str, int, float, float, str]:
    """A row of the table: one network with every seed."""
    settings = NETWORKS[name] if name == "lstm" else {**OF_STACKS, **NETWORKS[name]}
    nats, steps, minutes, parameters = [], [], [], 0
    for seed in options.seeds:
        count = _steps_within(settings, texts, seed, 60 * options.minutes)
        whole = {"max_steps": count, "validate_every": -(-count // VALIDATIONS), "seed": seed}
        model = LanguageModel(**settings, **whole).fit(texts, folder=options.out / f"{name}-{seed}", progress=False)
        result = model.training_result
        assert result is not None
        nats.append(model.evaluate().scores["nats/character"])
        steps.append(result.steps)
        minutes.append(result.seconds / 60)
        parameters = sum(parameter.numel() for parameter in model.fitted.network.parameters())
    spread = f" +- {stdev(nats):.4f}" if len(nats) > 1 else ""
    return name, parameters, mean(steps), mean(minutes), f"{mean(nats):.4f}{spread}"


def _steps_within(settings: dict[str, Any], texts: dict[str, str], seed: int, seconds: float) -> int:
    """How many steps and `VALIDATIONS` validations a training takes in a time, from two short trainings."""
    few, more = (_seconds(settings, texts, seed, steps) for steps in (FEW_STEPS, FEW_STEPS + MORE_STEPS))
    a_step = max(more - few, 1e-3) / MORE_STEPS
    validation = max(few - FEW_STEPS * a_step, 0.0)
    print(f"{1000 * a_step:.0f} ms a step, {validation:.1f} s a validation")
    return max(1, int((seconds - VALIDATIONS * validation) / a_step))


def _seconds(settings: dict[str, Any], texts: dict[str, str], seed: int, steps: int) -> float:
    """Of a training with one validation."""
    model = LanguageModel(**settings, max_steps=steps, validate_every=steps, seed=seed).fit(texts, progress=False)
    result = model.training_result
    assert result is not None
    return result.seconds


if __name__ == "__main__":
    main()
