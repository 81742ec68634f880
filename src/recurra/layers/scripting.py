"""What torch.jit.script is told of the layers."""

from typing import NoReturn

from recurra.errors import ParameterError

__all__ = ["NotScripted"]


class NotScripted:
    """A module that torch.jit.script refuses with the way out, rather than with a fault somewhere in its code."""

    def __prepare_scriptable__(self) -> NoReturn:
        """Called by torch.jit.script.

        Raises:
            ParameterError: always.
        """
        hint = (
            "Use torch.export, torch.compile or torch.jit.trace. To script, call recurra.restore(model) after "
            "recurra.accelerate, or load the state_dict of a recurra.LSTM, GRU or RNN into torch.nn's module."
        )
        raise ParameterError("obj", "a module without Recurra's layers for torch.jit.script", self, hint)
