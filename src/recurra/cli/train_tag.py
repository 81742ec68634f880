"""`recurra train tag`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from recurra.cli.parsing import make_parser, names, numbers, parse, show_warnings
from recurra.data.text.conll import ConllColumns
from recurra.tasks.tag import TagSettings
from recurra.tasks.tag.commands import train
from recurra.training import TrainingInterruptedError

__all__ = ["run"]


def run(arguments: Sequence[str], resume_command: str) -> int:
    """Run `recurra train tag` with these arguments; the other is what to say after an interruption."""
    parser = make_parser(
        "recurra train tag",
        "Train a recurrent tagger (parts of speech, named entities) on tagged sentences, and keep it in a run folder.",
    )
    group = parser.add_argument_group("data")
    group.add_argument("--data", type=str, required=True, help="CoNLL-U (.conllu) or CoNLL columns, plain or .gz")
    group.add_argument(
        "--valid", type=str | None, default=None, help="file in the same form, to choose the best weights by"
    )
    group.add_argument("--out", type=str, default="runs/tag", help="folder of the run")
    group.add_argument(
        "--format", type=Literal["auto", "conllu", "columns"], default="auto", help="of the files; by their names"
    )
    group.add_argument("--columns", type=names, default=(), help="names of the columns in order, as word,pos,ner")
    group.add_argument(
        "--word_column",
        type=str | None,
        default=None,
        help="name or number of the words' column; form in CoNLL-U, else 1, the first",
    )
    group.add_argument(
        "--tag_column",
        type=str | None,
        default=None,
        help="name or number of the tags' column; upos in CoNLL-U, else -1, the last",
    )
    group.add_argument("--vectors", type=str | None, default=None, help="pretrained word vectors, of word2vec or GloVe")
    group.add_argument("--resume", action="store_true", help="go on with the run in --out")
    group.add_argument("--tensorboard", action="store_true", help="also log to TensorBoard, in the run folder")
    settings = parser.add_argument_group("tagger")
    settings.add_argument(
        "--betas",
        type=numbers,
        default=TagSettings().betas,
        help="of Adam and its kin: the decay of the running mean of gradients, and of their squares",
    )
    parser.add_class_arguments(TagSettings, skip={"betas"})
    options = parse(parser, arguments)
    show_warnings()
    values = {name: getattr(options, name) for name in TagSettings.__dataclass_fields__}
    try:
        print(
            train(
                options.data,
                TagSettings(**values),
                Path(options.out),
                options.valid,
                ConllColumns(options.columns, options.word_column, options.tag_column),
                options.format,
                options.vectors,
                options.resume,
                options.tensorboard,
            )
        )
    except TrainingInterruptedError as interrupt:
        raise KeyboardInterrupt(f"{interrupt} and saved; go on with: {resume_command}") from interrupt
    return 0
