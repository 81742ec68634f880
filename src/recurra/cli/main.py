"""`recurra`: finds the command and runs it. No slow import precedes this."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import recurra
from recurra.cli import commands
from recurra.errors import LostContactError, ParameterError, RecurraError
from recurra.options import closest
from recurra.task import find_task, task_names, task_of_run

__all__ = ["main"]

_SHELLS = ("bash", "zsh", "fish")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line. Returns the exit status: 0 if done, 2 for a mistake in the input, 130 if interrupted."""
    if "_ARGCOMPLETE" in os.environ:
        _complete(os.environ.get("COMP_LINE", "").split()[1:])
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"recurra {recurra.__version__}")
        return 0
    rank = os.environ.get("RANK", "0")  # of this process among those of torchrun
    try:
        return _run(arguments[0], arguments[1:])
    except RecurraError as error:
        # The first process of a machine speaks for those that see the same files and options; it may be the lost one.
        if os.environ.get("LOCAL_RANK", "0") == "0" or isinstance(error, LostContactError):
            print(f"recurra{'' if rank == '0' else f', process {rank}'}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        if rank == "0":
            print(f"\nrecurra: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1


def _run(command: str, arguments: list[str]) -> int:
    if command not in _helps():
        raise ParameterError("command", f"one of {', '.join(_helps())}", command, closest(command, list(_helps())))
    match command:
        case "train":
            return commands.train(arguments)
        case "tune":
            return commands.tune(arguments)
        case "runs":
            return commands.runs(arguments)
        case "serve":
            return commands.serve(arguments)
        case "demo" | "info":
            return import_module(f"recurra.cli.{command}").run(arguments)
        case "completion":
            return _print_completion(arguments)
    return commands.run_verb(command, arguments)


def _helps() -> dict[str, str]:
    return {
        "train": f"train a model: recurra train TASK --data FILE ... (tasks: {', '.join(task_names())})",
        "tune": "search for good options of a task: recurra tune TASK --data FILE ... (needs the extra tune)",
        "runs": "list and compare the runs in a folder",
        **commands.verb_helps(),
        "predict": "use a trained run",
        "evaluate": "test a trained run beside simple baselines",
        "serve": "answer for trained runs over HTTP and WebSocket (needs the extra serve)",
        "demo": "train, evaluate and plot on the data that comes with the package",
        "info": "versions, threads and the devices of this machine; --cell NAME: facts of a cell",
        "completion": f"print the script with which a shell completes commands and options ({', '.join(_SHELLS)})",
    }


def _help() -> str:
    helps = _helps()
    width = max(map(len, helps))
    return "\n".join(
        [
            "usage: recurra COMMAND [OPTIONS]",
            "",
            "Recurrent neural networks: trained, explained, shipped.",
            "",
            "commands:",
            *(f"  {name.ljust(width)}  {text}" for name, text in helps.items()),
            "",
            "recurra COMMAND --help shows a command's options; recurra --version the version.",
        ]
    )


def _print_completion(arguments: list[str]) -> int:
    from argcomplete.shell_integration import shellcode

    if len(arguments) != 1 or arguments[0] not in _SHELLS:
        example = 'As in: eval "$(recurra completion bash)"'
        raise ParameterError("shell", f"one of {', '.join(_SHELLS)}", " ".join(arguments), example)
    print(shellcode(["recurra"], shell=arguments[0]))
    return 0


def _complete(words: list[str]) -> None:
    """Give the shell the words that may come next, and exit."""
    import argcomplete

    parser: argparse.ArgumentParser = argparse.ArgumentParser(prog="recurra", add_help=False)
    if words[:1] in (["train"], ["tune"]) and len(words) > 1 and words[1] in task_names():
        parser = commands.parser_of(words[0], find_task(words[1]))
    elif words[:1] == ["serve"]:
        parser = commands.server_parser()
    elif words[:1] == ["runs"]:
        parser = commands.runs_parser()
    elif len(words) > 1 and words[0] in commands.verb_helps() and (Path(words[1]) / "run.json").is_file():
        parser = commands.parser_of(words[0], task_of_run(words[1]))
    parser.add_argument("command", choices=list(_helps()))
    if words[:1] in (["train"], ["tune"]):
        parser.add_argument("task", choices=task_names())
    elif words[:1] == ["completion"]:
        parser.add_argument("shell", choices=_SHELLS)
    elif words[:1] and words[0] in ("serve", *commands.verb_helps()):
        run = parser.add_argument("run")
        run.completer = argcomplete.DirectoriesCompleter()  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser)
