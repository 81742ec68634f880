"""What a recurrent cell is: names, and one `update`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recurra.errors import ParameterError

__all__ = ["Cell", "Gates", "PerUnit", "State"]


class _Named:
    """Values by name, as attributes. Not a SimpleNamespace, which torch.compile cannot trace."""

    def __init__(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self, name, value)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({shown})"

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class Gates(_Named):
    """The pre-activations of one step, an attribute a gate, each (B, H)."""


class PerUnit(_Named):
    """The per-unit parameters, an attribute a parameter, each (H,)."""


class State(_Named):
    """The state of a cell, an attribute a part, each (B, H)."""


@dataclass(frozen=True)
class Cell:
    """A recurrent cell, written once.

    A subclass names its `gates`, the parts of its `state` (the first is the output and what the recurrent
    weights multiply) and its `per_unit` parameters, and gives its equations as `update`. These equations use
    only operators and the functions of `recurra.ops`, element by element: the two matrix products are the
    kernel's work. Options of a cell (a nonlinearity, say) are dataclass fields, so that equal cells are
    equal; a field with few values names them in its metadata as `choices`, and the tests then try each.
    """

    gates: ClassVar[tuple[str, ...]]
    state: ClassVar[tuple[str, ...]]
    per_unit: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in ("gates", "state", "update"):
            if name not in cls.__dict__ and getattr(cls, name, None) in (None, getattr(Cell, name, None)):
                raise ParameterError(f"{cls.__name__}.{name}", "to be defined by the cell", "nothing")

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        """One step.

        Args:
            x: input projection, W_ih x_t + b_ih, by gate (B, H).
            u: recurrent projection, W_hh h_{t-1} + b_hh, by gate (B, H).
            s: the state before the step, by part (B, H).
            p: the per-unit parameters, by name (H,).

        Returns:
            The state after the step.
        """
        raise NotImplementedError

    def split(self, projection: Any) -> Gates:
        """Cut a projection (..., G * H) into its gates, each (..., H), in the order of `gates`."""
        return Gates(**dict(zip(self.gates, projection.chunk(len(self.gates), dim=-1), strict=True)))
