"""`recurra train classify`."""

from collections.abc import Sequence
from pathlib import Path

from recurra.cli.classify_options import add_reading, reading_of
from recurra.cli.parsing import make_parser, names, numbers, parse, show_warnings
from recurra.tasks.classify import ClassifySettings
from recurra.tasks.classify.commands import train
from recurra.training import TrainingInterruptedError

__all__ = ["run"]


def run(arguments: Sequence[str], resume_command: str) -> int:
    """Run `recurra train classify` with these arguments; the other is what to say after an interruption."""
    parser = make_parser(
        "recurra train classify",
        "Train a recurrent classifier of texts or of series on labelled ones, and keep it in a run folder.",
    )
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data",
        type=str,
        required=True,
        help="texts: .csv, .tsv or .jsonl with text and label; series: .ts, .arff, .npz, or .csv with a row a step",
    )
    group.add_argument(
        "--valid", type=str | None, default=None, help="file in the same form, to choose the best weights by"
    )
    group.add_argument("--out", type=str, default="runs/classify", help="folder of the run")
    group.add_argument("--vectors", type=str | None, default=None, help="pretrained word vectors, of word2vec or GloVe")
    group.add_argument("--resume", action="store_true", help="go on with the run in --out")
    group.add_argument("--tensorboard", action="store_true", help="also log to TensorBoard, in the run folder")
    add_reading(parser, as_in_training=False)
    settings = parser.add_argument_group("classifier")
    settings.add_argument(
        "--betas",
        type=numbers,
        default=ClassifySettings().betas,
        help="of Adam and its kin: the decay of the running mean of gradients, and of their squares",
    )
    settings.add_argument(
        "--pooling",
        type=names,
        default=ClassifySettings().pooling,
        help="how all steps become one vector: one or more of last, mean, max, attention, side by side",
    )
    parser.add_class_arguments(ClassifySettings, skip={"betas", "pooling"})
    options = parse(parser, arguments)
    show_warnings()
    values = {name: getattr(options, name) for name in ClassifySettings.__dataclass_fields__}
    try:
        print(
            train(
                options.data,
                ClassifySettings(**values),
                Path(options.out),
                options.valid,
                reading_of(options, None),
                options.vectors,
                options.resume,
                options.tensorboard,
            )
        )
    except TrainingInterruptedError as interrupt:
        raise KeyboardInterrupt(f"{interrupt} and saved; go on with: {resume_command}") from interrupt
    return 0
