"""What torch.nn's recurrent modules say of a wrong argument, added to the messages of the layers.

Code written for torch.nn looks for these words in an error.
"""

from torch import Tensor

from recurra.cells import Elman
from recurra.errors import ParameterError, ParameterTypeError
from recurra.shapes import check_probability

__all__ = [
    "check_dropout",
    "check_flag",
    "check_projection",
    "check_size",
    "dtype_of_input",
    "elman",
    "hidden_of_cell",
    "hidden_of_layer",
]


def check_dropout(name: str, value: float) -> None:
    """Refuse what is not a number from 0 to 1.

    Raises:
        ParameterError: naming the parameter.
    """
    try:
        check_probability(name, value)
    except ParameterError:
        words = f"{name} should be a number in range [0, 1] representing the probability of an element being zeroed"
        raise ParameterError(name, "a number from 0 to 1", value, words) from None


def check_projection(proj_size: int, hidden_size: int) -> None:
    """Refuse a projection that is not smaller than the hidden state; 0 is none.

    Raises:
        ParameterError: naming the parameter.
    """
    expected = f"a whole number of at least 0 and less than hidden_size = {hidden_size}"
    if isinstance(proj_size, bool) or not isinstance(proj_size, int) or proj_size < 0:
        words = "proj_size should be a positive integer or zero to disable projections"
        raise ParameterError("proj_size", expected, proj_size, words)
    if proj_size >= hidden_size:
        raise ParameterError("proj_size", expected, proj_size, "proj_size has to be smaller than hidden_size")


def elman(nonlinearity: str) -> Elman:
    """The cell of RNN and RNNCell.

    Raises:
        ParameterError: for another nonlinearity than those of `Elman`.
    """
    try:
        return Elman(nonlinearity)
    except ParameterError:
        words = f"Unknown nonlinearity: {nonlinearity}"
        raise ParameterError("nonlinearity", "'tanh', 'relu' or 'sigmoid'", nonlinearity, words) from None


def check_size(name: str, value: int) -> None:
    """Refuse what is not a whole number of at least 1.

    Raises:
        ParameterTypeError: for what is not an int.
        ParameterError: for less than 1.
    """
    expected = "a whole number of at least 1"
    if isinstance(value, bool) or not isinstance(value, int):
        words = f"{name} should be of type int, got: {type(value).__name__}"
        raise ParameterTypeError(name, expected, value, words)
    if value < 1:
        raise ParameterError(name, expected, value, f"{name} must be greater than zero")


def check_flag(name: str, value: bool) -> None:
    """Refuse what is not True or False.

    Raises:
        ParameterTypeError: naming the parameter.
    """
    if not isinstance(value, bool):
        words = f"{name} should be of type bool, got: {type(value).__name__}"
        raise ParameterTypeError(name, "True or False", value, words)


def dtype_of_input(x: Tensor, parameter: Tensor) -> str:
    """Of an input of another dtype than the parameters'."""
    return (
        f"RNN input dtype ({x.dtype}) does not match weight dtype ({parameter.dtype}). "
        f"Convert input: input.to({parameter.dtype}), or convert model: model.to({x.dtype})"
    )


def hidden_of_layer(state: Tensor, expected: tuple[int, ...], batched: bool) -> str:
    """Of an initial state of the wrong shape, in a layer."""
    if state.dim() == len(expected):
        return f"Expected hidden size {expected}, got {list(state.shape)}"
    kind = "batched 3-D" if batched else "unbatched 2-D"
    return f"For {kind} input, hx should also be {len(expected)}-D but got {state.dim()}-D tensor"


def hidden_of_cell(state: Tensor, expected: tuple[int, ...], part: int, parts: int) -> str:
    """Of a state of the wrong shape, in a single step."""
    if state.dim() not in (1, 2):
        name = f"hx[{part}]" if parts > 1 else "hidden"
        return f"Expected {name} to be 1D or 2D, got {state.dim()}D instead"
    if state.shape[-1] != expected[-1]:
        return f"hidden{part} has inconsistent hidden_size: got {state.shape[-1]}, expected {expected[-1]}"
    if state.dim() == len(expected) == 2:
        return f"Input batch size {expected[0]} doesn't match hidden{part} batch size {state.shape[0]}"
    return ""
