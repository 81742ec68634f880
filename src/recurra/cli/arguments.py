"""Command-line arguments from options, and options from command lines and YAML files."""

import argparse
import dataclasses
import shutil
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from recurra.errors import RecurraError
from recurra.option_text import value_of
from recurra.options import Setting, closest
from recurra.yaml_file import read_yaml

__all__ = ["Parser"]

# Names of options in other tools, and what to use here.
_OTHER_NAMES = {
    "steps": "--max-steps",
    "iterations": "--max-steps",
    "lr": "--learning-rate",
    "batch": "--batch-size",
    "layers": "--num-layers",
    "hidden": "--hidden-size",
    "units": "--hidden-size",
    "gpu": "--device cuda",
    "cuda": "--device cuda",
    "output-dir": "--out",
    "output": "--out",
    "input": "--data",
    "file": "--data",
    "valid": "--validation",
    "test": "recurra evaluate RUN --data FILE",
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are `RecurraError`s, and whose options come from `Setting`s.

    An option that is true or false is `--name`, `--no-name`, or `--name true|false`. `--help` shows the main options,
    `--help-all` every one. `--config FILE` reads options from a YAML file; options of the command line override those
    of the file.

    Args:
        usage: the command before its options.
        description: what the command does.
    """

    def __init__(self, usage: str, description: str) -> None:
        super().__init__(
            prog=usage,
            usage=f"{usage} [OPTIONS]",
            description=description,
            add_help=False,
            allow_abbrev=False,
            formatter_class=_Formatter,
        )
        self._groups: dict[str, Any] = {}
        self._settings: dict[str, Setting] = {}
        self._minor: list[argparse.Action] = []

    def error(self, message: str) -> NoReturn:
        """Raise an error of argparse as a RecurraError."""
        raise RecurraError(f"{message} (options: {self.prog} --help)")

    def add_settings(self, settings: Iterable[Setting], group: str = "options", all_main: bool = False) -> None:
        """Add an argument for each setting.

        Args:
            settings: the settings to add.
            group: the heading in the help, for settings without one.
            all_main: whether `--help` shows all of them, or only the main ones.
        """
        for setting in settings:
            heading = setting.option.group or group
            self._settings[setting.name] = setting
            name = setting.name.replace("_", "-")
            action = self._group(heading).add_argument(f"--{name}", **_keywords(setting))
            if setting.kind is bool:
                negation: dict[str, Any] = {"action": "store_const", "const": False, "default": argparse.SUPPRESS}
                self.add_argument(f"--no-{name}", dest=setting.name, help=argparse.SUPPRESS, **negation)
            if not all_main and not setting.option.main:
                self._minor.append(action)

    def add_data(self) -> None:
        """Let the data stand without `--data` before them."""
        several = self._settings["data"].option.words
        self.add_argument("data", nargs="*" if several else "?", default=argparse.SUPPRESS, help=argparse.SUPPRESS)

    def add_config(self) -> None:
        """Add `--config`."""
        self._group("run").add_argument("--config", metavar="FILE", help="YAML file of these options")

    def _group(self, heading: str) -> Any:
        if heading not in self._groups:
            self._groups[heading] = self.add_argument_group(heading)
        return self._groups[heading]

    def parse(self, arguments: Sequence[str]) -> dict[str, Any] | None:
        """The options that the command line, or the file it names, sets; None if help was printed instead.

        Raises:
            RecurraError: an option is unknown or has a value of the wrong kind; the message is one line.
        """
        if "-h" in arguments or "--help" in arguments or "--help-all" in arguments:
            print(self._help(everything="--help-all" in arguments))
            return None
        known, unknown = self.parse_known_args([_hyphened(argument) for argument in arguments])
        if unknown:
            self.error(self._unknown(unknown[0]))
        values = {name: value for name, value in vars(known).items() if name != "config"}
        if getattr(known, "config", None) is not None:
            values = {**self._read_config(known.config), **values}
        return {name: self._convert(name, value) for name, value in values.items()}

    def _convert(self, name: str, value: Any) -> Any:
        setting = self._settings.get(name)
        return value if setting is None else setting.checked(value_of(setting, value))

    def _read_config(self, path: str) -> dict[str, Any]:
        values, lines = read_yaml(path, "--config", "max-steps: 500")
        options = {}
        for written, value in values.items():
            name, location = written.replace("-", "_"), f"--config: {path}, line {lines.get(written, 1)}"
            if name not in self._settings:
                raise RecurraError(f"{location}: {self._unknown('--' + name.replace('_', '-'))}")
            try:
                options[name] = self._convert(name, value)
            except RecurraError as error:
                raise RecurraError(f"{location}: {error}") from None
        return options

    def _unknown(self, argument: str) -> str:
        name = argument.lstrip("-").partition("=")[0].replace("_", "-")
        if name in _OTHER_NAMES:
            hint = f"Use {_OTHER_NAMES[name]}."
        else:
            names = [flag.lstrip("-") for action in self._actions for flag in action.option_strings]
            hint = closest(name, names)
        return f"no option {argument.partition('=')[0]}" + (f". {hint}" if hint else "")

    def _help(self, everything: bool) -> str:
        hidden = [] if everything else self._minor
        before = [(action, action.help) for action in hidden]
        for action in hidden:
            action.help = argparse.SUPPRESS
        text = self.format_help().rstrip()
        for action, words in before:
            action.help = words
        if hidden:
            text += f"\n\n{len(hidden)} more options: {self.prog} --help-all"
        return text


class _Formatter(argparse.HelpFormatter):
    """Help of up to 100 columns, with the options' text in one column."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34, width=min(100, shutil.get_terminal_size().columns))


def _hyphened(argument: str) -> str:
    """The argument with hyphens for underscores in its option: both are accepted."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value


def _keywords(setting: Setting) -> dict[str, Any]:
    words = setting.option.help.replace("%", "%%")
    keywords: dict[str, Any] = {"dest": setting.name, "default": argparse.SUPPRESS, "metavar": _metavar(setting)}
    if setting.kind is bool:
        keywords |= {"nargs": "?", "const": True}
    if setting.option.words:
        keywords |= {"nargs": "+", "metavar": "FILE"}
    shown = _shown(setting.default)
    if setting.kind is bool:
        shown = f"true; --no-{setting.name.replace('_', '-')} for false" if setting.default else ""
    keywords["help"] = f"{words} (default: {shown})" if shown else words
    return keywords


def _metavar(setting: Setting) -> str:
    if setting.choices:
        return "{" + ",".join(map(str, setting.choices)) + "}"
    if setting.is_tuple:
        one = {int: "N", float: "X"}.get(setting.item_kinds[0], "NAME")
        return f"{one},{one},..."
    return {int: "N", float: "X", bool: "true|false"}.get(setting.kind, "TEXT")


def _shown(default: Any) -> str:
    if default is dataclasses.MISSING or default is None or default == () or default == "":
        return ""
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
    return repr(shown) if shown.isspace() else shown
