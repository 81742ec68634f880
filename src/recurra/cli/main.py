"""`recurra`: finds the subcommand and runs it; nothing heavy is imported before it is known."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import recurra
from recurra.errors import RecurraError

__all__ = ["main"]

_COMMANDS = {
    "train": "train a model: recurra train TASK --data FILE ... (tasks: classify, forecast, language, tag, translate)",
    "evaluate": "test a trained run beside simple baselines",
    "predict": "use a trained run",
    "generate": "go on from a prompt with a trained language model",
    "explain": "what each token of a text, or step of a series, adds to a classification",
    "inspect": "see inside a trained run: gradients through time, gates, memory, as one page",
    "demo": "train, backtest and draw on the data that ships with the package",
    "info": "versions, threads and what this machine offers",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; the exit status: 0 done, 2 a mistake in the input, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"recurra {recurra.__version__}")
        return 0
    command, rest = arguments[0], arguments[1:]
    if command not in _COMMANDS:
        print(f"recurra: error: no command {command!r}; there are {', '.join(_COMMANDS)}", file=sys.stderr)
        return 2
    if "OMP_WAIT_POLICY" not in os.environ:
        # OpenMP's threads spin at barriers for whatever core another process holds: with two busy processes
        # beside it, training took ten times as long. Read when torch is first imported.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    rank = os.environ.get("RANK", "0")  # of this process among those of torchrun
    try:
        return _run(command, rest)
    except RecurraError as error:
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
    from recurra.cli import commands
    from recurra.cli.by_task import is_derived

    if command == "train" and arguments and (":" in arguments[0] or arguments[0] in commands.task_names()):
        return commands.train(arguments)
    if command not in ("train", "demo", "info") and is_derived(arguments):
        return commands.run_verb(command, arguments)
    return import_module(f"recurra.cli.{command}").run(arguments)


def _help() -> str:
    width = max(map(len, _COMMANDS))
    lines = [f"  {name.ljust(width)}  {text}" for name, text in _COMMANDS.items()]
    return "\n".join(
        [
            "usage: recurra COMMAND [OPTIONS]",
            "",
            "Recurrent neural networks: trained, explained, shipped.",
            "",
            "commands:",
            *lines,
            "",
            "recurra COMMAND --help shows a command's options; recurra --version the version.",
        ]
    )
