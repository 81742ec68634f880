"""The names of the package's cells, without loading them: the command line and its completion need them at once."""

from pathlib import Path
from pkgutil import iter_modules

__all__ = ["NAMES"]

# A cell is named after its module. The other modules of the folder define what a cell is, and find one by name.
NAMES: tuple[str, ...] = tuple(
    sorted({module.name for module in iter_modules([str(Path(__file__).with_name("cells"))])} - {"cell", "find"})
)
