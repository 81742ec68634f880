"""A model's step as a list of operations: what a stream runs and what an export writes."""

from recurra.program.builder import Builder
from recurra.program.compiler import compile_program
from recurra.program.operations import NOWHERE, Operation, Part, Place, Program, Value

__all__ = ["NOWHERE", "Builder", "Operation", "Part", "Place", "Program", "Value", "compile_program"]
