"""`recurra train language`."""

from collections.abc import Sequence
from pathlib import Path

from recurra.cli.parsing import make_parser, numbers, parse, show_warnings, whole_numbers
from recurra.tasks.language import LanguageSettings
from recurra.tasks.language.commands import train
from recurra.training import TrainingInterruptedError

__all__ = ["run"]

_DEFAULTS = LanguageSettings()


def run(arguments: Sequence[str], resume_command: str) -> int:
    """Run `recurra train language` with these arguments; the other is what to say after an interruption."""
    parser = make_parser(
        "recurra train language", "Train a recurrent language model on text, and keep it in a run folder."
    )
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data",
        type=str,
        required=True,
        help="text file (UTF-8, plain or .gz), of which the end is kept for validation; or a folder with train, valid "
        "and perhaps test files",
    )
    group.add_argument("--out", type=str, default="runs/language", help="folder of the run")
    group.add_argument(
        "--validation_share", type=float | None, default=None, help="of a single file; a tenth by default"
    )
    group.add_argument(
        "--test_share", type=float | None, default=None, help="of a single file, at its end; nothing by default"
    )
    group.add_argument("--resume", action="store_true", help="go on with the run in --out")
    group.add_argument("--tensorboard", action="store_true", help="also log to TensorBoard, in the run folder")
    settings = parser.add_argument_group("language model")
    settings.add_argument(
        "--cutoffs",
        type=whole_numbers,
        default=(),
        help="of an adaptive softmax, for large vocabularies, as 2000,10000: how many of the most frequent tokens are "
        "in its head, and where each tail ends; a full softmax by default",
    )
    settings.add_argument(
        "--betas",
        type=numbers,
        default=_DEFAULTS.betas,
        help="of Adam and its kin: the decay of the running mean of gradients, and of their squares",
    )
    parser.add_class_arguments(LanguageSettings, skip={"cutoffs", "betas"})
    options = parse(parser, arguments)
    show_warnings()
    values = {name: getattr(options, name) for name in LanguageSettings.__dataclass_fields__}
    try:
        print(
            train(
                options.data,
                LanguageSettings(**values),
                Path(options.out),
                options.validation_share,
                options.test_share,
                options.resume,
                options.tensorboard,
            )
        )
    except TrainingInterruptedError as interrupt:
        raise KeyboardInterrupt(f"{interrupt} and saved; go on with: {resume_command}") from interrupt
    return 0
