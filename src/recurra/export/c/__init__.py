"""A model's step as C99 for a device: no library, no allocation, fixed sizes."""

from recurra.export.c.check import CCheck, find_c_compiler
from recurra.export.c.export import CExport, export_c
from recurra.export.c.web_assembly import WebAssembly, compile_web_assembly, has_web_assembly_compiler

__all__ = [
    "CCheck",
    "CExport",
    "WebAssembly",
    "compile_web_assembly",
    "export_c",
    "find_c_compiler",
    "has_web_assembly_compiler",
]
