"""The commands on tasks and runs, derived from the tasks' options and the signatures of their verbs."""

import inspect
import os
import shlex
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from recurra.cli.arguments import Parser
from recurra.cli.table_files import print_predicted_files, table_settings, take_table_options
from recurra.errors import ParameterError, RunError
from recurra.messages import show_messages
from recurra.options import Option, make_setting
from recurra.server import ServerOptions
from recurra.task import Estimator, Result, find_task, task_names, task_of_run
from recurra.task.verbs import check_required, command_settings, option_groups, train_settings, verbs_of
from recurra.tasks import TASKS
from recurra.tuning.settings import tune_settings

__all__ = [
    "parser_of",
    "run_verb",
    "runs",
    "runs_parser",
    "serve",
    "server_parser",
    "tasks_with",
    "train",
    "tune",
    "verb_helps",
]

AnyEstimator = Estimator[Any, Any, Any]

_FIT_NAMES = {"out": "folder", "from": "start_from"}


def train(arguments: Sequence[str]) -> int:
    """Run `recurra train TASK`.

    Raises:
        RecurraError: there is a mistake in the input; the message is one line.
    """
    kind = task_named("train", arguments)
    if kind is None:
        return 0
    rest = list(arguments[1:])
    values = parser_of("train", kind).parse(rest)
    if values is None:
        return 0
    from recurra.training.process_group import speaking_first

    torchrun = "" if int(os.environ.get("WORLD_SIZE", "1")) == 1 else "torchrun ... -m "
    command = torchrun + shlex.join(["recurra", "train", *arguments])
    with speaking_first():
        return _train(kind, values, command if "--resume" in rest else f"{command} --resume")


def tune(arguments: Sequence[str]) -> int:
    """Run `recurra tune TASK`. Raises RecurraError, as `train`."""
    kind = task_named("tune", arguments)
    if kind is None:
        return 0
    values = parser_of("tune", kind).parse(arguments[1:])
    if values is None:
        return 0
    if values.get("data") is None:
        raise ParameterError("data", "a file to train on", "nothing", "As in: --data FILE")
    from recurra.tuning import tune as search

    show_messages()
    options = {name: values.pop(name) for name in kind.settings() if name in values}
    check_required(kind.settings(), options)
    reading = _reading_of(kind, values)
    arguments_of_search = {_FIT_NAMES.get(name, name): value for name, value in values.items()}
    try:
        tuned = search(kind(**options), reading=reading, **arguments_of_search)
    except KeyboardInterrupt:
        command = shlex.join(["recurra", "tune", *arguments])
        raise KeyboardInterrupt(f"stopped and saved; continue with: {command}") from None
    for piece in tuned.text():
        print(piece, end="")
    return 0


def runs(arguments: Sequence[str]) -> int:
    """Run `recurra runs FOLDER`. Raises RecurraError, as `train`."""
    values = runs_parser().parse(arguments)
    if values is None:
        return 0
    from recurra.task.runs import runs_in

    out = values.get("out")
    listed = runs_in(values["folder"], values.get("format", "table"))
    _show(listed, Path(values["folder"]), None if out is None else Path(out), color=False)
    return 0


def runs_parser() -> Parser:
    """The parser of `recurra runs`."""
    parser = Parser("recurra runs FOLDER", "List and compare the runs in a folder and those below it, of any task.")
    parser.add_argument("folder", metavar="FOLDER", help="to look through")
    form = Option("of what is printed; CSV and JSON have bytes and all digits, JSON all options")
    out = Option("file to write instead, ending in .csv or .json")
    parser.add_settings(
        [
            make_setting("format", Literal["table", "csv", "json"], "table", form),
            make_setting("out", str | None, None, out),
        ],
        all_main=True,
    )
    return parser


def run_verb(command: str, arguments: Sequence[str]) -> int:
    """Run a command on a run, such as `recurra evaluate RUN`.

    Raises:
        RecurraError: there is a mistake in the input; the message is one line.
    """
    folder, rest = _run_folder(command, arguments)
    if folder is None:
        print(f"usage: recurra {command} RUN [OPTIONS]\n\nRUN is a folder that `recurra train` wrote. The options")
        print(f"depend on its task ({', '.join(tasks_with(command))}): recurra {command} RUN --help")
        return 0
    kind = task_of_run(folder)
    if command not in verbs_of(kind):
        tasks = ", ".join(tasks_with(command))
        raise RunError(f"{folder}: a run of task {kind.task!r}, and `recurra {command}` is for {tasks}")
    values = parser_of(command, kind).parse(rest)
    if values is None:
        return 0
    verb = verbs_of(kind)[command]
    method = verb.method
    check_required(command_settings(kind, getattr(kind, method)), values)
    out, color = values.pop("out", None), values.pop("color", "auto")
    path = None if out is None else Path(out)
    table_options = take_table_options(kind, values) if command == "predict" else None
    if table_options is not None and path is None:
        raise ParameterError("out", "a folder for the predictions of these tables", "nothing", "As in: --out FOLDER")
    if path is not None and table_options is None:
        verb.check_out(path)
    if path is not None and path.exists() and Path(str(values.get("data"))).exists() and path.samefile(values["data"]):
        raise ParameterError("out", "another file than the data", out)
    show_messages()
    estimator = kind.load(folder)
    if path is not None:
        estimator.check_result_file(command, path, values)
    for name, options in option_groups(getattr(kind, method)).items():
        named = {field: values.pop(field) for field in options.settings() if field in values}
        if named:
            base = estimator.later_reading() if name == "reading" else options()
            values[name] = (base or options()).replaced(**named)
    if table_options is not None and path is not None:
        print_predicted_files(estimator, values, path, table_options)
        return 0
    if method == "view":
        from recurra.inspection import report_inspection

        inspection = estimator.inspect(**values, name=str(folder))
        print(report_inspection(inspection, path or folder / "inspection"))
        return 0
    # Files that the verb itself writes, beside its result.
    names = ("picture", "attention", "page") if command == "predict" else ()
    beside = [Path(values[name]) for name in names if values.get(name)]
    colored = color == "always" or (color == "auto" and sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    try:
        _show(getattr(estimator, method)(**values), folder, path, colored, beside)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped") from None
    return 0


def task_named(command: str, arguments: Sequence[str]) -> type[AnyEstimator] | None:
    """The task that the first argument of a command names. None: help was printed instead. Raises ParameterError."""
    if not arguments:
        example = f"As in: recurra {command} forecast --data FILE --horizon 24"
        raise ParameterError("task", f"one of {', '.join(task_names())}", "nothing", example)
    if arguments[0] in ("-h", "--help", "--help-all"):
        lines = [f"  {name.ljust(12)}{_summary(find_task(name))}" for name in task_names()]
        print("\n".join([f"usage: recurra {command} TASK [OPTIONS]", "", "tasks:", *lines, ""]))
        print(f"recurra {command} TASK --help shows the options of a task.")
        return None
    return find_task(arguments[0])


def serve(arguments: Sequence[str]) -> int:
    """Run `recurra serve RUN [RUN ...]` until it is stopped. Raises RecurraError, as `run_verb`."""
    parser = server_parser()
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a folder that `recurra train` wrote, or NAME=FOLDER")
    values = parser.parse(arguments)
    if values is None:
        return 0
    runs, options = values.pop("runs"), ServerOptions(**values)
    from recurra.server import serve as answer

    answer(runs, options)
    return 0


def server_parser() -> Parser:
    """The parser of `recurra serve`."""
    parser = Parser("recurra serve RUN [RUN ...]", "Answer for trained runs over HTTP and WebSocket.")
    parser.add_settings(ServerOptions.settings().values())
    parser.add_config()
    return parser


def parser_of(command: str, kind: type[AnyEstimator]) -> Parser:
    """The parser of a command for a task."""
    if command in ("train", "tune"):
        name = kind.task if kind.task in TASKS else f"{kind.__module__}:{kind.__qualname__}"
        searches = command == "tune"
        parser = Parser(
            f"recurra {command} {name}", f"Search for good options of: {_summary(kind)}" if searches else _summary(kind)
        )
        parser.add_settings((tune_settings if searches else train_settings)(kind).values(), kind.noun)
    else:
        method = getattr(kind, verbs_of(kind)[command].method)
        parser = Parser(f"recurra {command} RUN", (inspect.getdoc(method) or "").partition("\n\nArgs:")[0])
        settings = command_settings(kind, method)
        parser.add_settings(settings.values(), all_main=len(settings) < 16)
        if command == "predict":
            parser.add_settings(table_settings(kind, settings), "folders and patterns of tables")
        if "data" in settings:
            parser.add_data()
    parser.add_config()
    return parser


def tasks_with(command: str) -> list[str]:
    """The tasks that have a command."""
    return [name for name in task_names() if command in verbs_of(find_task(name))]


def verb_helps() -> dict[str, str]:
    """The help of every verb of any task, by command."""
    kinds = map(find_task, task_names())
    return {command: verb.help for kind in kinds for command, verb in verbs_of(kind).items()}


def _train(kind: type[AnyEstimator], values: dict[str, Any], resume_command: str) -> int:
    from recurra.task import Fitted, with_budget
    from recurra.training import TrainingInterruptedError

    show_messages()
    folder, resume = Path(values.pop("out", f"runs/{kind.task}")), values.pop("resume", False)
    start_from, tensorboard = values.pop("from", None), values.pop("tensorboard", False)
    data, validation = values.pop("data", None), values.pop("validation", None)
    before = Fitted.read(folder, kind) if resume else None
    reading = _reading_of(kind, values, None if before is None else before.reading)
    if before is not None:
        values = with_budget(before.options, values)
    elif data is None:
        raise ParameterError("data", "a file to train on", "nothing", "As in: --data FILE")
    check_required(kind.settings(), values)
    estimator = kind(**values)
    try:
        estimator.fit(
            data,
            validation=validation,
            reading=reading,
            folder=folder,
            resume=resume,
            start_from=start_from,
            tensorboard=tensorboard,
        )
    except TrainingInterruptedError as interrupt:
        raise KeyboardInterrupt(f"{interrupt} and saved; resume with: {resume_command}") from interrupt
    print(estimator.summary())
    print(f"the run is in {folder}; next: {estimator.next_command(folder)}")
    return 0


def _reading_of(kind: type[AnyEstimator], values: dict[str, Any], before: Any = None) -> Any:
    """How files are read, as `values` say, from which it is taken out; what they do not say is as `before`."""
    if kind.Reading is None:
        return None
    named = {field: values.pop(field) for field in kind.Reading.settings() if field in values}
    return (before or kind.Reading()).replaced(**named)


def _show(result: Result, folder: Path, out: Path | None, color: bool, beside: Sequence[Path] = ()) -> None:
    """Print a result and write it to `out`. None: to the default path of its kind; `beside` is written already."""
    path = result.default_path(folder) if out is None else out
    if path is not None:
        result.check_path(path)
    if out is None or not result.streams:
        _print(result.text(color))
    for line in result.remarks(color):
        print(line, file=sys.stderr)
    written: list[Path] = []
    if path is not None:
        written = result.write(path)
        if path.is_dir():
            written = [path]
    if shown := dict.fromkeys([*written, *beside]):
        print(f"written: {', '.join(map(str, shown))}")


def _print(pieces: Iterator[str]) -> None:
    """Print pieces as they come."""
    try:
        for piece in pieces:
            print(piece, end="", flush=True)
    except KeyboardInterrupt as interrupt:
        # What is interrupted while it is printed may have an end of its own, such as the ends of notes that sound.
        if not isinstance(pieces, Generator):
            raise
        with suppress(StopIteration):
            print(pieces.throw(interrupt), end="", flush=True)
            for piece in pieces:
                print(piece, end="", flush=True)


def _summary(kind: type[AnyEstimator]) -> str:
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())


def _run_folder(command: str, arguments: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The folder of the run, and the other arguments. None: help is asked for without a run."""
    named = [argument for argument in arguments if not argument.startswith("-")]
    if not named:
        if any(argument in ("-h", "--help", "--help-all") for argument in arguments):
            return None, []
        example = f"As in: recurra {command} runs/{tasks_with(command)[0]}"
        raise ParameterError("run", "a folder that `recurra train` wrote", "nothing", example)
    # Options may come first: only the files tell their values from the run.
    folder = next((name for name in named if (Path(name) / "run.json").is_file()), named[0])
    rest = list(arguments)
    rest.remove(folder)
    return Path(folder), rest
