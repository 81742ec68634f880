"""Train, evaluate and predict in a run folder: what the command line calls, each returning what to print."""

from pathlib import Path

import numpy as np

from recurra.data.text.conll import ConllColumns
from recurra.data.text.tag_schemes import entity_types
from recurra.errors import ParameterError
from recurra.tasks.tag.encoding import TagSet
from recurra.tasks.tag.files import Format, Given, read_tagged
from recurra.tasks.tag.settings import TagSettings
from recurra.tasks.tag.tables import evaluation_table, write_evaluation
from recurra.tasks.tag.tagger import Tagger
from recurra.training import processes
from recurra.training.picture import draw_training

__all__ = ["evaluate", "predict", "train"]


def train(
    data: str,
    settings: TagSettings,
    folder: Path,
    valid: str | None = None,
    columns: ConllColumns | None = None,
    kind: Format = "auto",
    vectors: str | None = None,
    resume: bool = False,
    tensorboard: bool = False,
) -> str:
    """Train a tagger into a run folder.

    Args:
        data: a file of tagged sentences.
        settings: of the tagger.
        folder: of the run.
        valid: a file to choose the best weights by.
        columns: the column map of both.
        kind: of both; by their names where "auto".
        vectors: a file of pretrained word vectors.
        resume: go on with the run in the folder.
        tensorboard: also log to TensorBoard.
    """
    tagger = Tagger.from_settings(settings)
    given = read_tagged(data, columns, kind)
    checked = None if valid is None else read_tagged(valid, columns, kind, given.layout)
    print(_describe(given, checked, settings), flush=True)
    tagger.fit(given, checked, vectors=vectors, folder=folder, resume=resume, tensorboard=tensorboard)
    result = tagger.training_result
    assert result is not None
    measure = "accuracy" if tagger.model.tag_set.scheme is None else "F1"
    if processes().is_first:
        draw_training(
            folder / "log.csv",
            folder / "training.png",
            loss="nats per word",
            training="training loss",
            validation=f"validation: 1 - {measure}",
            twin=True,
        )
    chosen = ""
    if np.isfinite(result.best_loss):
        chosen = f", validation {measure} {100 * (1 - result.best_loss):.2f} at step {result.best_step}"
    ending = " (no better for a while)" if result.stopped_early else ""
    return (
        f"trained {result.steps} steps in {result.seconds:.0f} s{ending}{chosen}\n"
        f"the run is in {folder}; next: recurra evaluate {folder} --data FILE"
    )


def evaluate(
    folder: Path,
    data: str,
    columns: ConllColumns | None = None,
    kind: Format = "auto",
    out: Path | None = None,
) -> str:
    """Evaluate a run on a file of tagged sentences, and write tables.

    Args:
        folder: of the run.
        data: the file.
        columns: its column map; that of training where None.
        kind: of the file; by its name where "auto".
        out: where tables go; `evaluation` in the run where None.
    """
    evaluation = Tagger.load(folder).evaluate(data, columns, kind)
    target = folder / "evaluation" if out is None else out
    write_evaluation(evaluation, target)
    model = evaluation.model
    lines = [
        f"{evaluation.source}: {evaluation.sentences:,} sentences, {model.words:,} words, in percent:",
        "",
        evaluation_table(evaluation),
        "",
    ]
    if evaluation.unknown_words:
        lines.append(
            f"of {evaluation.unknown_words:,} words that training did not see, "
            f"{100 * evaluation.unknown_accuracy:.2f} have the right tag"
        )
    if evaluation.unseen_tags:
        shown = ", ".join(f"{tag} ({count})" for tag, count in list(evaluation.unseen_tags.items())[:5])
        more = ", ..." if len(evaluation.unseen_tags) > 5 else ""
        lines.append(f"tags that training never saw, counted as wrong: {shown}{more}")
    lines.append(f"tables: {target}")
    return "\n".join(lines)


def predict(
    folder: Path,
    data: str,
    out: Path | None = None,
    columns: ConllColumns | None = None,
    kind: Format = "auto",
    scheme: str | None = None,
    confidence: bool = False,
) -> str:
    """Tag a file, and write it with its tags in its own format.

    Args:
        folder: of the run.
        data: the file.
        out: the file to write; the file's name in the run where None.
        columns: its column map; that of training where None.
        kind: of the file; by its name where "auto".
        scheme: to write entities in; the file's, else that of training, where None.
        confidence: also write the confidence of each tag.
    """
    target = folder / "tagged" / Path(data).name.removesuffix(".gz") if out is None else out
    if target.exists() and Path(data).exists() and target.samefile(data):
        raise ParameterError("out", "another file than the data", str(target))
    tagged = Tagger.load(folder).predict_file(data, target, columns, kind, scheme, confidence)
    words = sum(len(sentence.words) for sentence in tagged)
    certain = float(np.mean([value for sentence in tagged for value in sentence.confidence]))
    return f"{words:,} words of {len(tagged):,} sentences, mean confidence {certain:.3f}: {target}"


def _describe(given: Given, valid: Given | None, settings: TagSettings) -> str:
    tag_set = TagSet.of(given.sentences, settings.scheme, given.source)
    tags = f"{len(tag_set.tags)} tags"
    if tag_set.scheme is not None and tag_set.given is not None:
        types = entity_types([tag_set.tags.symbols])
        tags = f"entities of {len(types)} types in {tag_set.given.upper()}, learned as {tag_set.scheme.upper()}"
    checked = "" if valid is None else f"; validated on {len(valid.sentences):,} sentences"
    return f"{len(given.sentences):,} sentences of {given.words:,} words, {tags}{checked}"
