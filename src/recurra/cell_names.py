"""The names of the package's cells, without loading them: command lines and completion show them at once."""

from pathlib import Path
from pkgutil import iter_modules

__all__ = ["NAMES"]

# A cell is named after its module. The other modules of the folder say what a cell is, and find one.
NAMES: tuple[str, ...] = tuple(
    sorted({module.name for module in iter_modules([str(Path(__file__).with_name("cells"))])} - {"cell", "find"})
)
