"""YAML files of options, with the line of each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recurra.errors import RecurraError

__all__ = ["read_yaml"]


def read_yaml(path: str | Path, name: str, example: str) -> tuple[dict[str, Any], dict[str, int]]:
    """The values of a YAML file by their names, and the line of each.

    Args:
        path: of the file.
        name: of the argument that names it, for messages.
        example: a line as it should be, for messages.

    Raises:
        RecurraError: the file cannot be read, or is not YAML of names and values; the message is one line.
    """
    import yaml

    try:
        text = Path(path).read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise RecurraError(f"{name}: {path}: cannot be read ({error})") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        location = f", line {mark.line + 1}" if mark else ""
        raise RecurraError(f"{name}: {path}{location}: not YAML ({getattr(error, 'problem', error)})") from error
    if not isinstance(values, Mapping):
        raise RecurraError(f"{name}: {path}: expected a line for each option, as in {example}")
    lines = {key.value: key.start_mark.line + 1 for key, _ in node.value} if node is not None else {}
    return {str(key): value for key, value in values.items()}, lines
