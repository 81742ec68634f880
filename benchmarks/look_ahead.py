"""Tag accuracy of a stream by its look-ahead, on Universal Dependencies English LinES.

The default tagger, bidirectional with a CRF, is trained on `train.conllu`, the best weights chosen on `dev.conllu`. The
sentences of `test.conllu` are then streamed word by word, with a look-ahead of 0 to 8 words, beside whole sentences. A
tagger of the same size that only reads forward is trained and streamed likewise.
"""

import argparse
import os
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from benchmarks._report import Report
from recurra.data.text.conll import Sentence, read_conll
from recurra.streaming import ItemStream
from recurra.tasks.tag import Tagger

DATA = Path(os.environ.get("RECURRA_DATA", Path(__file__).parents[2] / "shared" / "data")) / "ud_lines"
LOOK_AHEADS = (0, 1, 2, 4, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of training")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    if not DATA.is_dir():
        parser.exit(2, f"{DATA}: not there; set RECURRA_DATA to the folder that holds ud_lines\n")
    torch.set_num_threads(options.threads)
    test = read_conll(DATA / "test.conllu").sentences
    table = Report(options.markdown).table(
        f"Accuracy of tags in percent, by look-ahead, seeds {', '.join(map(str, options.seeds))}",
        {"tagger": "13s", "seed": "4s", "at once": "7.2f"} | {str(n): "6.2f" for n in LOOK_AHEADS} | {"whole": "6.2f"},
    )
    for bidirectional in (True, False):
        name, rows = "bidirectional" if bidirectional else "forward only", []
        for seed in options.seeds:
            tagger = Tagger(seed=seed, bidirectional=bidirectional)
            tagger.fit(DATA / "train.conllu", validation=DATA / "dev.conllu", progress=False)
            row: list[float | None] = [None if bidirectional else accuracy(test, streamed(tagger.open_stream(), test))]
            row += [accuracy(test, streamed(tagger.open_stream(look_ahead=ahead), test)) for ahead in LOOK_AHEADS]
            whole = tagger.predict([sentence.words for sentence in test])
            rows.append([*row, accuracy(test, [list(one.tags) for one in whole])])
            table.add(name, str(seed), *rows[-1])
        means = [None if None in column else mean(column) for column in zip(*rows, strict=True)]
        table.add(name, "mean", *means)


def streamed(stream: ItemStream, sentences: tuple[Sentence, ...]) -> list[list[str]]:
    """The tags of sentences, each a stream of its own, stepped together."""
    states = [stream.new_state() for _ in sentences]
    tags: list[list[str]] = [[] for _ in sentences]
    for step in range(max(len(sentence.words) for sentence in sentences) + 1):
        last = step - 1 if stream.ends else -1
        chosen = [k for k, one in enumerate(sentences) if step < len(one.words) or len(one.words) - 1 == last]
        words = [sentences[k].words[step] if step < len(sentences[k].words) else None for k in chosen]
        for k, result in zip(chosen, stream.step(words, [states[k] for k in chosen]) if chosen else [], strict=True):
            answers: list[dict[str, Any]] = result if stream.ends else [{"index": step, **result}]
            for answer in answers:
                assert answer["index"] == len(tags[k])
                tags[k].append(answer["tag"])
    return tags


def accuracy(sentences: tuple[Sentence, ...], tags: list[list[str]]) -> float:
    """Percent of words whose tag is right."""
    right = total = 0
    for sentence, own in zip(sentences, tags, strict=True):
        assert sentence.tags is not None
        right += sum(map(str.__eq__, own, sentence.tags))
        total += len(sentence.words)
        assert len(own) == len(sentence.words)
    return 100 * right / total


if __name__ == "__main__":
    main()
