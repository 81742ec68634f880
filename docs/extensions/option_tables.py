"""Tables of options, read from their class.

The directives are `train-options TASK`, `verb-options TASK` and `class-options MODULE:CLASS`.
"""

from collections.abc import Iterable
from dataclasses import MISSING
from importlib import import_module
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import recurra.tasks  # noqa: F401 - registers the tasks
from recurra.options import Range, Setting
from recurra.task import Estimator, find_task
from recurra.task.verbs import command_settings, train_settings, verbs_of

_HEADINGS = ("option", "default", "allowed", "meaning")
_WIDTHS = (26, 14, 25, 35)


class TrainOptions(SphinxDirective):
    """Every option of `recurra train TASK`, a table for each group: those of the task, then those of any training."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        groups: dict[str, list[Setting]] = {}
        for setting in train_settings(find_task(self.arguments[0])).values():
            groups.setdefault(setting.option.group, []).append(setting)
        shared = {setting.option.group for setting in Estimator.settings().values()}
        found: list[nodes.Node] = []
        for group in sorted(groups, key=shared.__contains__):
            found += [nodes.rubric(text=group.capitalize()), _table(groups[group])]
        return found


class VerbOptions(SphinxDirective):
    """The options of a task's other commands, a table for each command."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        kind = find_task(self.arguments[0])
        found: list[nodes.Node] = []
        for command, verb in verbs_of(kind).items():
            title = nodes.rubric()
            title += nodes.literal(text=f"recurra {command}")
            sentence = nodes.paragraph(text=f"{verb.help[0].upper()}{verb.help[1:]}.")
            found += [title, sentence, _table(command_settings(kind, getattr(kind, verb.method)).values())]
        return found


class ClassOptions(SphinxDirective):
    """The options of a class."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].partition(":")
        return [_table(getattr(import_module(module), name).settings().values())]


def _table(settings: Iterable[Setting]) -> nodes.table:
    table = nodes.table(classes=["options"])
    group = nodes.tgroup(cols=len(_HEADINGS))
    table += group
    for width in _WIDTHS:
        group += nodes.colspec(colwidth=width)
    head, body = nodes.thead(), nodes.tbody()
    head += _row(nodes.Text(heading) for heading in _HEADINGS)
    for setting in settings:
        body += _row(
            (
                nodes.literal(text=f"--{setting.name.replace('_', '-')}"),
                _default(setting.default),
                nodes.Text(setting.expected.removesuffix(", or None")),
                nodes.Text(f"{setting.option.help}{_searched(setting)}"),
            )
        )
    group += [head, body]
    return table


def _searched(setting: Setting) -> str:
    """What `recurra tune` tries, as the end of a sentence; empty if it tries nothing."""
    values = setting.option.search
    if not values:
        return ""
    if isinstance(values, Range):
        scale = ", logarithmic" if values.log else f" in steps of {values.step:g}" if values.step else ""
        return f"; searched: {values.low:g} to {values.high:g}{scale}"
    return f"; searched: {', '.join(map(str, values))}"


def _row(cells: Iterable[nodes.Node]) -> nodes.row:
    row = nodes.row()
    for cell in cells:
        entry = nodes.entry()
        entry += nodes.paragraph("", "", cell)
        row += entry
    return row


def _default(value: Any) -> nodes.Node:
    if value is MISSING:
        return nodes.Text("required")
    if value is None:
        return nodes.Text("none")
    if isinstance(value, tuple):
        return nodes.literal(text=",".join(map(str, value))) if value else nodes.Text("empty")
    return nodes.literal(text=str(value).lower() if isinstance(value, bool) else f"{value}")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("train-options", TrainOptions)
    app.add_directive("verb-options", VerbOptions)
    app.add_directive("class-options", ClassOptions)
    return {"version": "1", "parallel_read_safe": True}
