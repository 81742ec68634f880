"""Train, evaluate and generate in a run folder: what the command line calls."""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from recurra.data.files.text_file import read_text
from recurra.errors import ParameterError
from recurra.files import prepare_folder, write_text
from recurra.tasks.language.corpus import Corpus, read_corpus
from recurra.tasks.language.evaluation import Evaluation
from recurra.tasks.language.language_model import LanguageModel
from recurra.tasks.language.settings import LanguageSettings
from recurra.tasks.language.surprise import (
    ScoredToken,
    color_scale,
    colored,
    html_page,
    legend,
    mean_surprise,
    whole_characters,
)
from recurra.tasks.language.tables import evaluation_table
from recurra.training import processes
from recurra.training.picture import draw_training

__all__ = ["evaluate", "generate", "predict", "train"]

_NAMES = {"train": "training text", "valid": "validation text", "test": "test text"}


def train(
    data: str,
    settings: LanguageSettings,
    folder: Path,
    validation_share: float | None = None,
    test_share: float | None = None,
    resume: bool = False,
    tensorboard: bool = False,
) -> str:
    """Train a language model into a run folder; what to print.

    Args:
        data: a text file, or a folder of them.
        settings: of the language model.
        folder: of the run.
        validation_share: as of `LanguageModel.fit`.
        test_share: as of `LanguageModel.fit`.
        resume: go on with the run in the folder.
        tensorboard: also log to TensorBoard.
    """
    corpus = read_corpus(data, validation_share, test_share)
    print(_describe(corpus, settings), flush=True)
    model = LanguageModel.from_settings(settings).fit(corpus, folder=folder, resume=resume, tensorboard=tensorboard)
    unit = model.tokens.unit
    if processes().is_first:
        draw_training(folder / "log.csv", folder / "training.png", loss=f"nats per {unit}")
    result = model.training_result
    assert result is not None
    ending = " (no better loss for a while)" if result.stopped_early else ""
    return (
        f"trained {result.steps} steps in {result.seconds:.0f} s{ending}, validation loss {result.best_loss:.4f} nats "
        f"a {unit} at step {result.best_step}\nthe run is in {folder}; next: recurra evaluate {folder}, "
        f"recurra generate {folder}"
    )


def evaluate(folder: Path, data: str | None = None, out: Path | None = None) -> str:
    """How well texts are predicted; what to print.

    Args:
        folder: of the run.
        data: a text file; the run's validation text, and its test text where there is one, where None.
        out: where `evaluation.json` goes; `evaluation` in the run where None.
    """
    model = LanguageModel.load(folder)
    if data is not None:
        found = [model.evaluate(read_text(data), str(data))]
    else:
        found = [model.evaluate_part(part) for part in ("valid", "test") if part in model.parts]
    target = folder / "evaluation" if out is None else out
    prepare_folder(target)
    path = target / "evaluation.json"
    write_text(path, json.dumps([evaluation.to_json() for evaluation in found], indent=1) + "\n")
    sections = [f"{_title(evaluation)}\n\n{evaluation_table(evaluation)}" for evaluation in found]
    return "\n\n".join([*sections, f"all figures: {path}"])


def predict(folder: Path, prompt: str = "", top: int = 10) -> str:
    """The tokens likeliest to come next, a line each with its probability; what to print.

    Args:
        folder: of the run.
        prompt: what the text begins with.
        top: how many.
    """
    found = LanguageModel.load(folder).predict(prompt, top)
    # A byte of an unfinished character has no text of its own.
    names = [repr(token.text) if token.text else f"byte {token.code}" for token in found]
    width = max(map(len, names))
    return "\n".join(f"{n.ljust(width)}  {100 * np.exp(-t.surprise):5.1f} %" for n, t in zip(names, found, strict=True))


def generate(
    folder: Path,
    write: Callable[[str], object],
    prompt: str = "",
    length: int = 500,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    color: bool = False,
    page: Path | None = None,
) -> str:
    """Go on from a prompt, token by token; what to print in the end.

    Args:
        folder: of the run.
        write: takes the text as it comes.
        prompt: what the text begins with.
        length: as of `LanguageModel.stream`, and so on to `seed`.
        color: show surprise in the colours of a terminal.
        page: an HTML file for the text and its surprise.
    """
    if page is not None and page.suffix not in (".html", ".htm"):
        raise ParameterError("html", "a file ending in .html", str(page))
    model = LanguageModel.load(folder)
    stream = model.stream(prompt, length, temperature, top_k, top_p, seed, include_prompt=True)
    given = list(islice(stream, len(model.tokens.encode(prompt).codes)))
    generated: list[ScoredToken] = []

    def kept() -> Iterator[ScoredToken]:
        for token in stream:
            generated.append(token)
            yield token

    unit = model.tokens.unit
    scale = color_scale(unit)
    if color:
        for token in whole_characters(given):
            write(colored(token, scale, bold=True))
    else:
        write(prompt)
    for token in whole_characters(kept()):
        write(colored(token, scale) if color else token.text)
    write("\n")
    said = [f"{legend(scale)}; {mean_surprise(given, generated, unit)}"] if color else []
    if page is not None:
        prepare_folder(page.parent)
        title = f"{' '.join(prompt.split())[:60] or 'Generated text'} ({folder.name})"
        write_text(page, html_page(title, given, generated, unit))
        said.append(f"page: {page}")
    return "\n".join(said)


def _describe(corpus: Corpus, settings: LanguageSettings) -> str:
    sizes = ", ".join(f"{part} {len(text):,}" for part, text in corpus.texts.items())
    return f"{corpus.source}: {sizes} characters ({corpus.split}), as {settings.tokens}"


def _title(evaluation: Evaluation) -> str:
    name = _NAMES.get(evaluation.name, evaluation.name)
    by_it = " (it chose the weights, which flatters a little)" if evaluation.name == "valid" else ""
    return f"{name}: {evaluation.tokens:,} {evaluation.unit}s, {evaluation.bytes:,} bytes{by_it}"
