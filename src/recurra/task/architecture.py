"""The option of tasks whose network may be a stack of blocks in place of the recurrent layers of one cell."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from recurra.errors import ParameterError
from recurra.options import Options, option

if TYPE_CHECKING:
    from recurra.cells import Cell
    from recurra.layers import Architecture

__all__ = ["ArchitectureOptions", "blocks_of", "stack_in_words", "trunk_of"]

_HELP = (
    "blocks in place of the layers of one cell, repeated num_layers times: griffin, hawk, xlstm, mlstm_block, "
    "slstm_block, min_gru_block, cnn_lstm, lstm_attention, or a list such as rglru,rglru,attention:128 (see "
    "docs/stacks.md)"
)
#: Options of layers of one cell that have no meaning for blocks.
_OF_CELLS = ("cell", "recurrent_dropout", "weight_dropout")


def _check(name: str, value: tuple[str, ...]) -> None:
    from recurra.layers import Architecture

    if value and not Architecture.of(value).is_recurrent:
        raise ParameterError(name, "a recurrent layer among the blocks", ",".join(value), "Add one, such as lstm.")


class ArchitectureOptions(Options):
    """Blocks in place of the layers of the option `cell`; of a task with options `cell` and `hidden_size`."""

    architecture: tuple[str, ...] = option(default=(), check=_check, help=_HELP, group="network")

    def check(self) -> None:
        """Refuse an architecture whose sizes do not fit, or options beside it that only layers of one cell have."""
        if not self.architecture:
            return
        values, changed = self.get_params(), self.changed()
        for name in _OF_CELLS:
            if name in changed:
                raise ParameterError(name, "its default with an architecture, which names its cells", changed[name])
        if values.get("bidirectional"):
            hint = "Add --bidirectional false (bidirectional=False)."
            raise ParameterError("bidirectional", "False with an architecture, whose blocks read forward", True, hint)
        if values["hidden_size"]:
            import torch

            from recurra.layers import Stack

            # Sizes are checked on the device that has no memory.
            with torch.device("meta"):
                Stack(self.architecture, values["hidden_size"], values["hidden_size"])


def trunk_of(cell: str, architecture: tuple[str, ...]) -> "Cell | Architecture":
    """What `recurra.layers.trunk` takes, of the options."""
    from recurra.cells import find_cell
    from recurra.layers import Architecture

    return Architecture.of(architecture) if architecture else find_cell(cell)


def blocks_of(options: Mapping[str, Any]) -> str:
    """What the recurrent part of a network repeats, in words: the name of a cell, or blocks in parentheses."""
    return f"({', '.join(options['architecture'])})" if options["architecture"] else options["cell"]


def stack_in_words(options: Mapping[str, Any]) -> str | None:
    """A sentence about the stack of a network; None if it has layers of one cell."""
    if not options["architecture"]:
        return None
    repeated = f"{options['num_layers']} x {blocks_of(options)}"
    return f"The network is a stack of {repeated} of {options['hidden_size']} features."
