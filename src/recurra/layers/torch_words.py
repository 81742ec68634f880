"""What torch.nn's recurrent modules say of a wrong argument, added to the messages of the layers.

Code written for torch.nn looks for these words in an error.
"""

from torch import Tensor

from recurra.errors import ParameterError, ParameterTypeError

__all__ = ["check_flag", "check_size", "dtype_of_input", "hidden_of_cell", "hidden_of_layer"]


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
