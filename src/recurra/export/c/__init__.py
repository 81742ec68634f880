"""A model's step as C99 for a device: no library, no allocation, fixed sizes."""

from recurra.export.c.check import CCheck, find_c_compiler
from recurra.export.c.export import CExport, export_c

__all__ = ["CCheck", "CExport", "export_c", "find_c_compiler"]
