"""`recurra train translate`."""

from collections.abc import Sequence
from pathlib import Path

from recurra.cli.parsing import make_parser, numbers, parse, show_warnings
from recurra.errors import ParameterError
from recurra.tasks.translate import TranslationSettings
from recurra.tasks.translate.commands import train
from recurra.training import TrainingInterruptedError

__all__ = ["run"]


def run(arguments: Sequence[str], resume_command: str) -> int:
    """Run `recurra train translate` with these arguments; the other is what to say after an interruption."""
    parser = make_parser(
        "recurra train translate",
        "Train a recurrent encoder-decoder with attention on sentence pairs, and keep it in a run folder.",
    )
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data",
        type=str,
        nargs="+",
        required=True,
        help="two text files, source and target line by line, or one table of two columns (TSV); plain or .gz",
    )
    group.add_argument(
        "--valid",
        type=str,
        nargs="+",
        default=None,
        help="files in the same form to choose the best weights by; a twentieth of the data by default",
    )
    group.add_argument("--out", type=str, default="runs/translate", help="folder of the run")
    group.add_argument("--resume", action="store_true", help="go on with the run in --out")
    group.add_argument("--tensorboard", action="store_true", help="also log to TensorBoard, in the run folder")
    settings = parser.add_argument_group("translator")
    settings.add_argument(
        "--betas",
        type=numbers,
        default=TranslationSettings().betas,
        help="of Adam and its kin: the decay of the running mean of gradients, and of their squares",
    )
    parser.add_class_arguments(TranslationSettings, skip={"betas"})
    options = parse(parser, arguments)
    show_warnings()
    for name in ("data", "valid"):
        files = getattr(options, name)
        if files is not None and len(files) > 2:
            raise ParameterError(name, "two files, or one table of two columns", " ".join(files))
    values = {name: getattr(options, name) for name in TranslationSettings.__dataclass_fields__}
    try:
        print(
            train(
                options.data,
                TranslationSettings(**values),
                Path(options.out),
                options.valid,
                options.resume,
                options.tensorboard,
            )
        )
    except TrainingInterruptedError as interrupt:
        raise KeyboardInterrupt(f"{interrupt} and saved; go on with: {resume_command}") from interrupt
    return 0
