"""Generated text, likely tokens and evaluations as results."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recurra.data.text.tokens import EncodedText
from recurra.errors import DataError, ParameterError
from recurra.files import prepare_folder, write_text
from recurra.models.baselines.ngram import ORDER, ngram_surprise
from recurra.task import Evaluation, Predictions, Result
from recurra.tasks.language.ngram import BASELINE
from recurra.tasks.language.reader import AnyFitted, Reader
from recurra.tasks.language.sampling import Sampling
from recurra.tasks.language.surprise import (
    ScoredToken,
    color_scale,
    colored,
    html_page,
    legend,
    mean_surprise,
    whole_characters,
)

__all__ = ["Generated", "NextTokens", "evaluate", "next_tokens", "score_tokens"]

_MOST_COUNTED = 5_000_000  # tokens: counting takes at most a minute and a gigabyte
_TOKENS_AT_ONCE = 5_000_000


class Generated(Result):
    """Text that continues a prompt, generated while it is read.

    Args:
        fitted: the model.
        prompt: what the text begins with.
        ids: the prompt as tokens (N,).
        length: tokens to generate.
        sampling: how they are sampled.
        seed: of the random generator.
    """

    streams = True

    def __init__(self, fitted: AnyFitted, prompt: str, ids: Tensor, length: int, sampling: Sampling, seed: int) -> None:
        self._fitted, self._prompt, self._length, self._sampling = fitted, prompt, length, sampling
        self._reader = Reader(fitted)
        self.prompt_tokens = score_tokens(fitted, self._reader, ids)
        self._random = np.random.default_rng(seed)
        self._generated: list[ScoredToken] = []
        self._fresh = self._generate()

    def tokens(self) -> Iterator[ScoredToken]:
        """The generated tokens, each as it is sampled, with its surprise."""
        yield from self._generated
        for token in self._fresh:
            self._generated.append(token)
            yield token

    def text(self, color: bool = False) -> Iterator[str]:
        scale = color_scale(self._unit)
        if color:
            yield from (colored(token, scale, bold=True) for token in whole_characters(self.prompt_tokens))
        else:
            yield self._prompt
        for token in whole_characters(self.tokens()):
            yield colored(token, scale) if color else token.text
        yield "\n"

    def remarks(self, color: bool = False) -> Iterator[str]:
        if color:
            yield f"{legend(color_scale(self._unit))}; {mean_surprise(self.prompt_tokens, self._generated, self._unit)}"

    def write(self, path: str | Path) -> list[Path]:
        """Write the text or, if the name ends in .html, a page with the surprise of each token; see `Result.write`."""
        target = Path(path)
        prepare_folder(target.parent)
        if target.suffix in (".html", ".htm"):
            title = " ".join(self._prompt.split())[:60] or "Generated text"
            write_text(target, html_page(title, self.prompt_tokens, list(self.tokens()), self._unit))
        elif target.suffix in (".txt", ""):
            write_text(target, "".join(self.text()))
        else:
            raise ParameterError("out", "a file ending in .txt or .html", str(path))
        return [target]

    @property
    def _unit(self) -> str:
        return self._fitted.learned.tokens.unit

    def _generate(self) -> Iterator[ScoredToken]:
        tokens = self._fitted.learned.tokens
        spell = tokens.speller(self.prompt_tokens[-1].id if self.prompt_tokens else None)
        for index in range(self._length):
            expected = self._reader.log_probabilities()
            allowed = expected.copy()
            if tokens.unknown is not None:
                allowed[tokens.unknown] = -np.inf
            token_id = self._sampling.draw(allowed, self._random)
            yield ScoredToken(token_id, spell(token_id), -float(expected[token_id]))
            if index + 1 < self._length:
                self._reader.read(token_id)


class NextTokens(Predictions[list[ScoredToken]]):
    """The tokens that are likeliest to come next, likeliest first."""

    streams = True

    def __init__(self, values: list[ScoredToken]) -> None:
        self._values = values

    @property
    def values(self) -> list[ScoredToken]:
        return self._values

    def text(self, color: bool = False) -> Iterator[str]:
        # A byte of an unfinished character has no text of its own.
        names = [repr(token.text) if token.text else f"byte {token.id}" for token in self._values]
        width = max(map(len, names))
        for name, token in zip(names, self._values, strict=True):
            yield f"{name.ljust(width)}  {100 * math.exp(-token.surprise):5.1f} %\n"

    def write(self, path: str | Path) -> list[Path]:
        target = Path(path)
        prepare_folder(target.parent)
        write_text(target, "".join(self.text()))
        return [target]


def next_tokens(fitted: AnyFitted, ids: Tensor, top: int) -> NextTokens:
    """The likeliest tokens after those of a prompt (N,)."""
    reader = Reader(fitted)
    read = score_tokens(fitted, reader, ids)
    expected = reader.log_probabilities()
    likeliest = np.argsort(-expected, kind="stable")[:top].tolist()
    spell = fitted.learned.tokens.speller
    previous = read[-1].id if read else None
    return NextTokens([ScoredToken(one, spell(previous)(one), -float(expected[one])) for one in likeliest])


def score_tokens(fitted: AnyFitted, reader: Reader, ids: Tensor) -> list[ScoredToken]:
    """Read the tokens of a text (N,) that begins a line; the surprise of each, given all before it."""
    tokens, surprise = ids.tolist(), reader.score(ids).tolist()
    pieces = fitted.learned.tokens.pieces(tokens)
    return [ScoredToken(*token) for token in zip(tokens, pieces, surprise, strict=True)]


def evaluate(fitted: AnyFitted, text: EncodedText, name: str) -> Evaluation:
    """Predict each token of a text from all before it; the state is carried through the whole text.

    Args:
        fitted: the model. The n-gram counts the last 5 million tokens of its training text at most.
        text: to predict.
        name: of the text: a part of the run, or a file.

    Raises:
        DataError: the text has no tokens.
    """
    if not len(text.ids):
        raise DataError(f"{name}: no tokens to predict")
    tokens, reader = fitted.learned.tokens, Reader(fitted)
    nats = {
        "model": sum(float(reader.score(piece).sum()) for piece in text.ids.split(_TOKENS_AT_ONCE)),
        BASELINE: _baseline_nats(fitted, text.ids),
    }
    methods = {method: _measures(value, text, tokens.unit) for method, value in nats.items()}
    notes = [f"Only bits/byte compares models with different tokens; perplexity/{tokens.unit} depends on the tokens."]
    if text.unknown:
        notes.append(
            f"{text.unknown:,} of {len(text.ids):,} {tokens.unit}s are not in the vocabulary: bits/byte counts each "
            "of them with 8 bits a byte; the other measures count each as one symbol."
        )
    title = f"{name} text" if name in fitted.learned.sizes else name
    chosen = " (it chose the weights, which flatters a little)" if name == "validation" else ""
    return Evaluation(
        f"{title}: {len(text.ids):,} {tokens.unit}s, {text.bytes:,} bytes{chosen}",
        methods,
        "bits/byte",
        formats={one: ",.2f" if one.startswith("perplexity") else ".4f" for one in methods["model"]},
        losses=frozenset(methods["model"]),
        notes=notes,
        facts={"name": name, "unit": tokens.unit, "tokens": len(text.ids), "nats": nats, **text.counts},
    )


def _baseline_nats(fitted: AnyFitted, ids: Tensor) -> float:
    """The surprise of a text (N,) by n-grams of the training text, which are counted anew for each piece of it."""
    learned, nats = fitted.learned, 0.0
    counted = learned.text("train").ids[-_MOST_COUNTED:]
    for start in range(0, len(ids), _TOKENS_AT_ONCE):
        # A piece begins with what its first n-gram ends.
        before = ids[max(start - ORDER + 1, 0) : start] if start else torch.tensor([learned.tokens.line_end])
        read = torch.cat([before.long(), ids[start : start + _TOKENS_AT_ONCE].long()])
        nats += float(ngram_surprise(counted, read, len(learned.tokens))[len(before) - 1 :].sum())
    return nats


def _measures(nats: float, text: EncodedText, unit: str) -> dict[str, float]:
    """Nats, bits and perplexity per token, perplexity per word for subwords, and bits per byte.

    Bits per byte are the length of the compressed text, with 8 bits for each byte of an unknown token and for its end.
    """
    mean = nats / len(text.ids)
    measures = {f"nats/{unit}": mean, f"bits/{unit}": mean / math.log(2)}
    measures[f"perplexity/{unit}"] = math.exp(min(mean, 700))
    if unit == "subword":
        measures["perplexity/word"] = math.exp(min(nats / max(text.words, 1), 700))
    spelled = 8 * (text.unknown_bytes + text.unknown)
    measures["bits/byte"] = (nats / math.log(2) + spelled) / text.bytes
    return measures
