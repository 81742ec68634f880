"""A model's step as a list of operations: what a stream runs and what an export writes."""

from recurra.program.builder import Builder
from recurra.program.compiler import compile_program, compile_stages
from recurra.program.operations import NOWHERE, Location, Operation, Part, Program, Value
from recurra.program.stages import Stage

__all__ = [
    "NOWHERE",
    "Builder",
    "Location",
    "Operation",
    "Part",
    "Program",
    "Stage",
    "Value",
    "compile_program",
    "compile_stages",
]
