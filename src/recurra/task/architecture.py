"""The option of tasks whose network may be a stack of blocks in place of the recurrent layers of one cell."""

from typing import TYPE_CHECKING, Any

from recurra.errors import ParameterError
from recurra.options import Options, option

if TYPE_CHECKING:
    from recurra.cells import Cell
    from recurra.layers import Architecture

__all__ = ["architecture_option", "check_architecture", "trunk_of"]

_HELP = (
    "blocks in place of the layers of one cell, repeated num_layers times: griffin, hawk, xlstm, min_gru_block, "
    "cnn_lstm, lstm_attention, or a list such as rglru,rglru,attention:128 (see docs/stacks.md)"
)
#: Options of layers of one cell that have no meaning for blocks.
_OF_CELLS = ("cell", "recurrent_dropout", "weight_dropout")


def architecture_option() -> Any:
    """The field `architecture: tuple[str, ...]`; () for layers of the option `cell`."""
    return option(default=(), check=_check, help=_HELP, group="network")


def check_architecture(options: Options) -> None:
    """Refuse an architecture whose sizes do not fit, or options beside it that only layers of one cell have.

    Raises:
        ParameterError: naming the option.
    """
    values = options.get_params()
    if not values["architecture"]:
        return
    changed = options.changed()
    for name in _OF_CELLS:
        if name in changed:
            raise ParameterError(name, "its default with an architecture, which names its cells", changed[name])
    if values.get("bidirectional"):
        hint = "Add --bidirectional false."
        raise ParameterError("bidirectional", "False with an architecture, whose blocks read forward", True, hint)
    if values["hidden_size"]:
        import torch

        from recurra.layers import Stack

        # Sizes are checked on the device that has no memory.
        with torch.device("meta"):
            Stack(values["architecture"], values["hidden_size"], values["hidden_size"])


def trunk_of(cell: str, architecture: tuple[str, ...]) -> "Cell | Architecture":
    """What `recurra.layers.trunk` takes, of the options."""
    from recurra.cells import find_cell
    from recurra.layers import Architecture

    return Architecture.of(architecture) if architecture else find_cell(cell)


def _check(name: str, value: tuple[str, ...]) -> None:
    from recurra.layers import Architecture

    if value and not Architecture.of(value).cells:
        raise ParameterError(name, "a recurrent layer among the blocks", ",".join(value), "Add one, such as lstm.")
