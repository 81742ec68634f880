"""The commands on tasks and runs, derived from the tasks' options and the signatures of their verbs."""

import inspect
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import MISSING, replace
from pathlib import Path
from typing import Any

import recurra.tasks  # noqa: F401 - registers the tasks
from recurra.cli.arguments import Parser
from recurra.errors import ParameterError, RecurraError, RunError
from recurra.options import Option, Setting
from recurra.task import Estimator, find_task, task_names
from recurra.task.verbs import option_groups, settings_of_verb, verbs_of

__all__ = ["is_derived", "run_verb", "task_names", "train", "verb_helps"]

AnyEstimator = Estimator[Any, Any, Any]
_COLOR = "color"


def train(arguments: Sequence[str]) -> int:
    """Run `recurra train TASK`.

    Raises:
        RecurraError: a mistake in the input, in one line.
    """
    example = "As in: recurra train forecast --data FILE --horizon 24"
    if not arguments or arguments[0] in ("-h", "--help"):
        if not arguments:
            raise ParameterError("task", f"one of {', '.join(task_names())}", "nothing", example)
        print("usage: recurra train TASK [OPTIONS]\n\ntasks:")
        for name in task_names():
            print(f"  {name.ljust(12)}{(find_task(name).__doc__ or '').splitlines()[0]}")
        print("\nrecurra train TASK --help shows the options of a task.")
        return 0
    kind, rest = find_task(arguments[0]), list(arguments[1:])
    values = _train_parser(kind, arguments[0]).parse(rest)
    if values is None:
        return 0
    command = shlex.join(["recurra", "train", *arguments])
    resume_command = command if "--resume" in rest else f"{command} --resume"
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return _train(kind, values, resume_command)
    return _train_as_one_of_several(kind, values, f"torchrun ... -m {resume_command}")


def run_verb(command: str, arguments: Sequence[str]) -> int:
    """Run a command on a run, such as `recurra evaluate RUN`.

    Raises:
        RecurraError: a mistake in the input, in one line.
    """
    folder, rest = _run_folder(command, arguments)
    if folder is None:
        print(f"usage: recurra {command} RUN [OPTIONS]\n\nRUN is a folder that `recurra train` wrote. The options")
        print(f"depend on its task ({', '.join(_tasks_with(command))}): recurra {command} RUN --help")
        return 0
    kind = _kind_of(folder)
    verb = verbs_of(kind).get(command)
    if verb is None:
        tasks = ", ".join(_tasks_with(command))
        raise RunError(f"{folder}: a run of task {kind.task!r}, and `recurra {command}` is for {tasks}")
    method = getattr(kind, verb.method)
    parser = Parser(f"recurra {command} RUN", _described(method, verb.help))
    parameters = inspect.signature(method).parameters
    shown = _verb_settings(kind, method)
    parser.add_settings(shown.values())
    parser.add_config()
    values = parser.parse(rest)
    if values is None:
        return 0
    _show_messages()
    estimator = kind.load(folder)
    out, color = values.pop("out", None), values.pop(_COLOR, "auto")
    keywords: dict[str, Any] = {}
    for name, options in option_groups(method).items():
        named = {field: values.pop(field) for field in options.settings() if field in values}
        base = estimator.fitted.reading if name == "reading" else options()
        if named or name != "reading":
            keywords[name] = (base or options()).replaced(**named)
    if "data" in parameters and "data" in values:
        keywords["data"] = values.pop("data")
    keywords |= values
    if verb.method == "view":
        return _inspect(estimator, keywords, folder, out)
    try:
        result = getattr(estimator, verb.method)(**keywords)
        colored = color == "always" or (color == "auto" and sys.stdout.isatty() and "NO_COLOR" not in os.environ)
        path = result.default_path(folder) if out is None else Path(out)
        if path is not None and isinstance(keywords.get("data"), str) and _is_same(path, keywords["data"]):
            raise ParameterError("out", "another file than the data", str(path))
        if out is None or not result.streams:
            for piece in result.text(colored):
                print(piece, end="", flush=True)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped") from None
    if path is not None:
        written = result.write(path)
        # Standard output holds the result alone where there is one to read.
        print(f"written: {', '.join(map(str, _brief(written, path)))}")
    return 0


def is_derived(arguments: Sequence[str]) -> bool:
    """Whether the run that is named is of a task with one class."""
    for name in arguments:
        path = Path(name) / "run.json"
        if path.is_file():
            try:
                return '"class"' in path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                return False
    return False


def verb_helps() -> dict[str, str]:
    """The help of every verb of any task, by command."""
    helps: dict[str, str] = {}
    for name in task_names():
        for command, verb in verbs_of(find_task(name)).items():
            helps.setdefault(command, verb.help)
    return helps


def _train_parser(kind: type[AnyEstimator], name: str) -> Parser:
    parser = Parser(f"recurra train {name}", (kind.__doc__ or "").split("\n\n")[0])
    files = "files" if kind.several_sources else "file"
    texts = [
        Setting("data", str, False, MISSING, Option(f"{files} to train on", group="data", main=True)),
        Setting(
            "validation", str, True, None, Option(f"{files} to choose the best weights by", group="data", main=True)
        ),
        Setting("out", str, False, f"runs/{kind.task}", Option("folder of the run", group="run", main=True)),
        Setting("resume", bool, False, False, Option("resume the run in --out", group="run", main=True)),
        Setting("from", str, True, None, Option("run whose weights training starts from", group="run")),
        Setting("tensorboard", bool, False, False, Option("also log to TensorBoard", group="run")),
    ]
    if kind.several_sources:
        texts[:2] = [_several(setting) for setting in texts[:2]]
    parser.add_settings(texts[:2], all_main=False)
    if kind.Reading is not None:
        parser.add_settings(kind.Reading.settings().values(), "data", all_main=False)
    own = {**kind.settings()}
    ordered = sorted(own.values(), key=lambda setting: setting.option.group == "training")
    parser.add_settings(ordered, kind.noun, all_main=False)
    parser.add_settings(texts[2:], all_main=False)
    parser.add_config()
    return parser


def _several(setting: Setting) -> Setting:
    facts = replace(setting.option, words=True)
    return Setting(setting.name, tuple[str, ...], setting.optional, setting.default, facts)


def _train(kind: type[AnyEstimator], values: dict[str, Any], resume_command: str) -> int:
    from recurra.task.fitted import Fitted
    from recurra.training import TrainingInterruptedError

    _show_messages()
    folder = Path(values.pop("out", f"runs/{kind.task}"))
    resume, tensorboard = values.pop("resume", False), values.pop("tensorboard", False)
    start_from, data, validation = values.pop("from", None), values.pop("data", None), values.pop("validation", None)
    named = {field: values.pop(field) for field in (kind.Reading.settings() if kind.Reading else ()) if field in values}
    reading = None
    if resume:
        kept = Fitted.read(folder, kind)
        values = {**kept.options, **values}
        reading = kept.reading
    elif data is None:
        raise ParameterError("data", "a file to train on", "nothing", "As in: --data FILE")
    if kind.Reading is not None and (named or reading is None):
        reading = (reading or kind.Reading()).replaced(**named)
    missing = [name for name, s in kind.settings().items() if s.default is MISSING and name not in values]
    if missing:
        flag = missing[0].replace("_", "-")
        raise ParameterError(missing[0], kind.settings()[missing[0]].expected, "nothing", f"As in: --{flag} VALUE")
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
    print(f"the run is in {folder}; next: recurra evaluate {folder}")
    return 0


def _train_as_one_of_several(kind: type[AnyEstimator], values: dict[str, Any], resume_command: str) -> int:
    """Train as one of the processes that torchrun started: all of them train, and the first one prints."""
    from recurra.training import joined

    try:
        with (
            joined() as processes,
            open(os.devnull, "w") as nowhere,
            nullcontext() if processes.is_first else redirect_stdout(nowhere),
        ):
            return _train(kind, values, resume_command)
    except RuntimeError as error:
        # torch has no class of its own for it.
        if isinstance(error, RecurraError) or not any(name in str(error).lower() for name in ("gloo", "nccl")):
            raise
        raise RunError(
            "contact with another process is lost; torchrun starts all of them again, from the last checkpoint, as "
            f"often as --max-restarts says ({str(error).splitlines()[0]})"
        ) from error


def _inspect(estimator: AnyEstimator, keywords: dict[str, Any], folder: Path, out: str | None) -> int:
    from recurra.inspection import report_inspection

    found = estimator.inspect(**keywords, name=str(folder))
    print(report_inspection(found, folder / "inspection" if out is None else Path(out)))
    return 0


def _verb_settings(kind: type[AnyEstimator], method: Any) -> dict[str, Setting]:
    parameters = inspect.signature(method).parameters
    found: dict[str, Setting] = {}
    if "data" in parameters:
        default = MISSING if parameters["data"].default is inspect.Parameter.empty else None
        setting = Setting("data", str, default is None, default, Option("file to read", group="data"))
        found["data"] = _several(setting) if kind.several_sources and method.__name__ != "predictions" else setting
    for name, options in option_groups(method).items():
        group = "data" if name == "reading" else name
        for field, setting in options.settings().items():
            found[field] = Setting(
                field, setting.kind, setting.optional, setting.default, _with_group(setting.option, group)
            )
    found |= settings_of_verb(inspect.unwrap(method))
    found["out"] = Setting("out", str, True, None, Option("where the result is written", group="run"))
    found[_COLOR] = Setting(_COLOR, str, False, "auto", Option("auto (in a terminal), always or never", group="run"))
    return found


def _with_group(facts: Option, group: str) -> Option:
    return facts if facts.group else Option(**{**facts.__dict__, "group": group})


def _described(method: Any, words: str) -> str:
    text = inspect.getdoc(method) or words
    return text.partition("\n\nArgs:")[0]


def _run_folder(command: str, arguments: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The run that is named, and the other arguments; no run for help without one."""
    named = [argument for argument in arguments if not argument.startswith("-")]
    if not named:
        if any(argument in ("-h", "--help", "--help-all") for argument in arguments):
            return None, []
        expected = "a folder that `recurra train` wrote"
        raise ParameterError("run", expected, "nothing", f"As in: recurra {command} runs/{_tasks_with(command)[0]}")
    # Options may come first, and only a look tells their values from the run.
    folder = next((name for name in named if (Path(name) / "run.json").is_file()), named[0])
    rest = list(arguments)
    rest.remove(folder)
    return Path(folder), rest


def _kind_of(folder: Path) -> type[AnyEstimator]:
    import json

    path = folder / "run.json"
    if not path.is_file():
        raise RunError(f"{folder}: not a run, as it has no run.json; give the folder that `recurra train` wrote")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        name = values["task"]
        return find_task(name if name in task_names() else values["class"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise RunError(f"{path}: damaged ({error})") from error


def _tasks_with(command: str) -> list[str]:
    return [name for name in task_names() if command in verbs_of(find_task(name))]


def _brief(written: Sequence[Path], path: Path) -> list[Path]:
    return [path] if len(written) > 1 else list(written)


def _is_same(path: Path, data: str) -> bool:
    return path.exists() and Path(data).exists() and path.samefile(data)


def _show_messages() -> None:
    """Print what the package logs: notes to standard output, warnings to standard error, one line each."""
    logger = logging.getLogger("recurra")
    warnings = logging.StreamHandler()
    warnings.setLevel(logging.WARNING)
    warnings.setFormatter(logging.Formatter("recurra: warning: %(message)s"))
    notes = _Notes()
    logger.handlers, logger.propagate = [warnings, notes], False
    logger.setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.ERROR)


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING:
            print(record.getMessage(), flush=True)
