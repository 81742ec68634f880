"""Block-sparse weights: speed beside dense ones, and accuracy beside dense networks of equal size and of equal speed.

Speed is of a single step (a `Stepper`, B = 1) and of inference at B = 32, of an LSTM with as many inputs as units.
Accuracy is of a character model of Tiny Shakespeare and of the default tagger of UD English LinES; the small dense
network has the largest number of units whose step takes no longer than that of the sparse one.
"""

import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

import recurra
from benchmarks._agreement import check_equal
from benchmarks._command import run_alone
from benchmarks._report import FASTER, Report
from benchmarks._timing import time_in_turn
from recurra.streaming import Stepper
from recurra.tasks.language import LanguageModel
from recurra.tasks.tag import Tagger
from recurra.training import BlockPruning, TrainingSettings

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data"))
BATCH, STEPS, CHUNK = 32, 50, 20
LANGUAGE = {"embedding_size": 64, "dropout": 0.4}


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--hidden", type=int, default=512, help="units of the LSTM whose speed is measured")
    parser.add_argument("--sparsity", type=float, nargs="+", default=[0.5, 0.75, 0.9, 0.95])
    parser.add_argument(
        "--processor-time", action="store_true", help="where other work shares the machine; with one thread"
    )
    parser.add_argument("--train", type=float, default=0.9, help="sparsity of the trained networks; 0: none is trained")
    parser.add_argument("--max-steps", type=int, default=1700, help="of each training")
    parser.add_argument("--trained-hidden", type=int, nargs=2, default=[512, 200], help="of the model and the tagger")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])


def measure(options: Namespace, report: Report) -> None:
    table = report.table(
        f"LSTM, H = I = {options.hidden}, {torch.get_num_threads()} threads: microseconds of a step of a chunk, "
        f"milliseconds of {STEPS} steps at B = {BATCH}; ratios are the dense time over the sparse",
        {
            "sparsity": "8.2f",
            "step: dense": "8.1f",
            "step: sparse": "8.1f",
            "step: ratio": "6.2f",
            "batch: dense": "8.1f",
            "batch: sparse": "8.1f",
            "batch: ratio": "6.2f",
        },
    )
    clock = time.process_time if options.processor_time else time.perf_counter
    for sparsity in options.sparsity:
        dense, sparse = recurra.LSTM(options.hidden, options.hidden), sparse_layer(options.hidden, sparsity)
        step = [1e6 / CHUNK * one for one in time_in_turn(options.seconds, chunk(dense), chunk(sparse), clock=clock)]
        batch = [1e3 * one for one in time_in_turn(options.seconds, inference(dense), inference(sparse), clock=clock)]
        table.add(sparsity, *step, step[0] / step[1], *batch, batch[0] / batch[1])
        name = f"LSTM {options.hidden}, {sparsity:.0%} zero"
        report.figure("block_sparse", FASTER, name, "step", step[0] / step[1], 3.0 if sparsity == 0.9 else None)
        report.figure("block_sparse", FASTER, name, "batch", batch[0] / batch[1], 2.0 if sparsity == 0.9 else None)
    if options.train:
        learn(options, report, clock)


def sparse_layer(hidden: int, sparsity: float) -> recurra.LSTM:
    """A layer pruned at once, checked against the reference."""
    layer = recurra.LSTM(hidden, hidden)
    settings = TrainingSettings(max_steps=1, sparsity=sparsity, pruning_begin=0.0, pruning_end=1.0)
    BlockPruning(layer, settings).prune(1)
    x = torch.randn(4, BATCH, hidden)
    with torch.inference_mode():
        outputs = [layer(x)[0]]
        layer.backend = "reference"
        expected = [layer(x)[0]]
        layer.backend = "auto"
    check_equal("sparse weights and the reference", expected, outputs)
    streamed, _ = Stepper(layer)(x.numpy())
    check_equal("sparse steps and the reference", expected, [torch.from_numpy(streamed)])
    return layer


def chunk(layer: recurra.LSTM) -> Callable[[], object]:
    stepper = Stepper(layer)
    state, x = stepper.new_state(), np.random.default_rng(0).standard_normal((CHUNK, 1, layer.input_size), np.float32)
    out = np.empty((CHUNK, 1, layer.hidden_size), np.float32)
    return lambda: stepper(x, state, out)


def inference(layer: recurra.LSTM) -> Callable[[], object]:
    x = torch.randn(STEPS, BATCH, layer.input_size)

    def run() -> object:
        with torch.inference_mode():
            return layer(x)

    return run


def as_fast(hidden: int, sparsity: float, seconds: float, clock: Callable[[], float]) -> int:
    """The units, a multiple of 16, of the largest dense layer whose step takes no longer than the sparse one's."""
    target = chunk(sparse_layer(hidden, sparsity))
    small = 16
    while small + 16 < hidden:
        larger = recurra.LSTM(small + 16, small + 16)
        own, limit = time_in_turn(seconds / 4, chunk(larger), target, clock=clock)
        if own > limit:
            break
        small += 16
    return small


def learn(options: Namespace, report: Report, clock: Callable[[], float]) -> None:
    seeds = len(options.seeds)
    table = report.table(
        f"Trained for {options.max_steps} steps, mean of {seeds} seed{'s' if seeds > 1 else ''}; nats a character of "
        "Tiny Shakespeare (less is better), accuracy of UD English LinES in per cent",
        {"network": "24s", "H": "4.0f", "nats": "7.4f", "H of the tagger": "4.0f", "accuracy": "6.2f"},
    )
    language, tagger = options.trained_hidden
    networks: list[tuple[str, list[int], float]] = [
        ("dense", [language, tagger], 0.0),
        (f"sparse, {options.train:.0%} zero", [language, tagger], options.train),
        (
            "dense, as fast",
            [as_fast(size, options.train, options.seconds, clock) for size in options.trained_hidden],
            0.0,
        ),
    ]
    for name, (language, tagger), sparsity in networks:
        shared = {"max_steps": options.max_steps, "sparsity": sparsity}
        scores = [
            (nats(hidden_size=language, seed=seed, **shared), accuracy(hidden_size=tagger, seed=seed, **shared))
            for seed in options.seeds
        ]
        table.add(name, language, mean(one for one, _ in scores), tagger, mean(one for _, one in scores))


def nats(**settings: Any) -> float:
    """On the last tenth of the text, on which the weights were chosen."""
    text = (DATA / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8")
    end = int(0.9 * len(text))
    every = -(-settings["max_steps"] // 10)
    model = LanguageModel(**LANGUAGE, **settings, validate_every=every)
    model.fit({"train": text[:end], "validation": text[end:]}, progress=False)
    return model.evaluate().scores["nats/character"]


def accuracy(**settings: Any) -> float:
    """On the test file, in per cent."""
    folder = DATA / "ud_lines"
    tagger = Tagger(**settings).fit(folder / "train.conllu", validation=folder / "dev.conllu", progress=False)
    return 100 * tagger.evaluate(folder / "test.conllu").score


if __name__ == "__main__":
    run_alone(__doc__, add_options, measure)
