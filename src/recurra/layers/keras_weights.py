"""Keras's recurrent layers turned into Recurra's, from the layer object or from its arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from recurra import cells
from recurra.errors import ParameterError, ShapeError
from recurra.layers.recurrent import Recurrent
from recurra.layers.standard import GRU, LSTM, RNN

__all__ = ["from_keras"]

# By Keras's name: the gates, in Keras's order, each by its place in torch's.
_GATES = {"LSTM": (0, 1, 2, 3), "GRU": (1, 0, 2), "SimpleRNN": (0,)}
# What the equations of LSTM and GRU fix.
_ACTIVATIONS = {"activation": "tanh", "recurrent_activation": "sigmoid"}


def from_keras(layer: Any, kind: str | None = None, *, nonlinearity: str = "tanh", backend: str = "auto") -> Recurrent:
    """The layer that computes what a Keras LSTM, GRU or SimpleRNN does, with its weights.

    A Bidirectional of one of these gives a layer with two directions. Keras itself is not needed for arrays. The result
    has `batch_first=True`, is in evaluation mode and returns the outputs of all steps and the final state, whatever
    `return_sequences` and `return_state` were. With `go_backwards=True` Keras reads the sequence from its end: give the
    layer `x.flip(1)`.

    Args:
        layer: a Keras layer that has been built, or the list of arrays of its `get_weights()`, of a Bidirectional the
            forward layer's and then the backward layer's.
        kind: "LSTM", "GRU" or "SimpleRNN" for arrays; None for a layer, which knows its own. The shape of a GRU's bias
            says whether the reset gate acts after the matrix product or before it. Arrays without a bias are taken for
            those of Keras's default, after it.
        nonlinearity: of a SimpleRNN whose arrays are given: "tanh", "relu" or "sigmoid".
        backend: see `Recurrent`.

    Returns:
        `recurra.LSTM`, `recurra.GRU`, `recurra.RNN`, or for a GRU with `reset_after=False` a `recurra.Recurrent` over
        `recurra.cells.GRUResetBefore`. Dropout that Keras has on the input or the state is not taken over.

    Raises:
        ParameterError: another kind of layer, another activation, a layer that has not been built, or directions that
            are not joined by concatenation.
        ShapeError: the shapes of the arrays are not those of the kind.
    """
    if isinstance(layer, list | tuple):
        half = len(layer) // 2
        directions = [layer[:half], layer[half:]] if len(layer) in (4, 6) else [layer]
        return _from_arrays(directions, kind or "", nonlinearity, None, backend)
    if kind is not None:
        raise ParameterError("kind", "None with a Keras layer, which knows its own", kind)
    name = type(layer).__name__
    if name == "Bidirectional":
        if layer.merge_mode != "concat":
            hint = "Convert forward_layer and backward_layer each, and join their outputs yourself."
            raise ParameterError("merge_mode", "'concat'", layer.merge_mode, hint)
        directions = [layer.forward_layer, layer.backward_layer]
    else:
        directions = [layer]
    first = directions[0]
    name = type(first).__name__
    if name not in _GATES or not hasattr(first, "get_weights"):
        raise ParameterError("layer", f"a Keras {', '.join(_GATES)} or Bidirectional, or arrays", layer)
    arrays = [one.get_weights() for one in directions]
    if not arrays[0]:
        raise ParameterError("layer", "a layer that has been built", layer, "Call it once on data.")
    options = first.get_config()
    if name == "SimpleRNN":
        nonlinearity = str(options["activation"])
    for option, expected in _ACTIVATIONS.items() if name != "SimpleRNN" else ():
        if options[option] != expected:
            hint = "Write the equations as a recurra.cells.Cell, and copy the weights."
            raise ParameterError(option, repr(expected), options[option], hint)
    return _from_arrays(arrays, name, nonlinearity, options.get("reset_after"), backend)


def _from_arrays(
    directions: Sequence[Sequence[ArrayLike]], kind: str, nonlinearity: str, reset_after: bool | None, backend: str
) -> Recurrent:
    if kind not in _GATES:
        raise ParameterError("kind", f"one of {', '.join(_GATES)}", kind)
    parts = [[np.asarray(array) for array in arrays] for arrays in directions]
    _check(parts, kind)
    kernel, recurrent, *biases = parts[0]
    if reset_after is None:
        reset_after = not biases or biases[0].ndim == 2
    made: dict[str, Any] = {
        "input_size": kernel.shape[0],
        "hidden_size": recurrent.shape[0],
        "bias": bool(biases),
        "batch_first": True,
        "bidirectional": len(parts) == 2,
        "dtype": torch.from_numpy(kernel[:0]).dtype,
        "backend": backend,
    }
    if kind == "LSTM":
        layer: Recurrent = LSTM(**made)
    elif kind == "SimpleRNN":
        layer = RNN(nonlinearity=nonlinearity, **made)
    else:
        layer = GRU(**made) if reset_after else Recurrent(cells.GRUResetBefore(), **made)
    with torch.no_grad():
        for weights, arrays in zip(layer.all_weights, parts, strict=True):
            for parameter, value in zip(weights, _in_torch_s_order(arrays, kind), strict=True):
                parameter.copy_(torch.from_numpy(value))
    return layer.eval()


def _check(directions: Sequence[Sequence[np.ndarray]], kind: str) -> None:
    """Refuse arrays of other shapes than those of the kind."""
    for arrays in directions:
        shapes = [array.shape for array in arrays]
        size = shapes[1][0] if len(shapes) in (2, 3) and len(shapes[1]) == 2 else 0
        rows = len(_GATES[kind]) * size
        fits = size > 0 and len(shapes[0]) == 2 and shapes[0][1] == rows and shapes[1] == (size, rows)
        biases = [(rows,), (2, rows)] if kind == "GRU" else [(rows,)]
        if not fits or any(shape not in biases for shape in shapes[2:]):
            gates = len(_GATES[kind])
            bias = f"({gates} H,) or (2, {gates} H)" if kind == "GRU" else f"({gates} H,)"
            expected = f"a kernel (I, {gates} H), recurrent kernel (H, {gates} H) and bias {bias} of {kind}"
            raise ShapeError("layer", expected, shapes)


def _in_torch_s_order(arrays: Sequence[np.ndarray], kind: str) -> list[np.ndarray]:
    """`weight_ih`, `weight_hh`, and where there are biases `bias_ih`, `bias_hh`."""
    kernel, recurrent, *biases = arrays
    weights = [kernel.T, recurrent.T]
    for bias in biases:
        # One bias is the input's; that of the recurrent weights is then zero.
        weights += list(bias) if bias.ndim == 2 else [bias, np.zeros_like(bias)]
    return [np.concatenate([np.split(part, len(_GATES[kind]))[gate] for gate in _GATES[kind]]) for part in weights]
