"""The nonlinearities of a projected output, as the engine counts them."""

from enum import IntEnum

__all__ = ["Nonlinearity"]


class Nonlinearity(IntEnum):
    """`recurra::Nonlinearity` of csrc/call.hpp; the names are those of `Cell.output_nonlinearity`."""

    identity = 0
    tanh = 1
    sigmoid = 2
    relu = 3
