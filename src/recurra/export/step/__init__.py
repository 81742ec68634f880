"""One step of a program in other forms: a walk through its operations, with the arithmetic of each form."""

from recurra.export.step.arithmetic import Arithmetic
from recurra.export.step.check import check_step
from recurra.export.step.torch_arithmetic import TorchArithmetic
from recurra.export.step.walk import walk

__all__ = ["Arithmetic", "TorchArithmetic", "check_step", "walk"]
