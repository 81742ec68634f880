"""What a recurrent cell is: names, and one `update`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from recurra.errors import ParameterError

__all__ = ["ELAPSED", "RECURRENCES", "REGISTRY", "Cell", "Gates", "PerUnit", "Product", "State"]


class _Named:
    """Values by name, as attributes. Not a SimpleNamespace, which torch.compile cannot trace."""

    def __init__(self, *unnamed: Any, **values: Any) -> None:
        if unnamed:
            raise TypeError(f"{type(self).__name__} takes its values by name, as in {type(self).__name__}(h=...)")
        for name, value in values.items():
            setattr(self, name, value)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({shown})"

    def __getattr__(self, name: str) -> Any:
        there = ", ".join(vars(self)) or "none"
        raise AttributeError(f"{type(self).__name__} has no {name!r}, only {there}", name=name, obj=self)


class Gates(_Named):
    """The pre-activations of one step, one attribute a gate, each (B, H)."""


class PerUnit(_Named):
    """The per-unit parameters, one attribute a parameter, each (H,), and the products as functions."""


class State(_Named):
    """The state of a cell, one attribute a part, each (B, H)."""


class Product(NamedTuple):
    """A matrix of a cell's own, which its equations apply to values.

    Attributes:
        rows: size of the result; None: H.
        columns: size of what it multiplies; None: H.
        bias: the first value of a bias that is added to the result; None: there is none.
        weight: the first value of all elements; None: they are sampled.
        fixed: (rows, columns), the matrix itself if it is not learned, a float64 tensor, or a function of H that
            returns it. It then is not a parameter, and has no bias.
    """

    rows: int | None = None
    columns: int | None = None
    bias: float | None = None
    weight: float | None = None
    fixed: Any = None


# The package's own cells, by the name of their module. A class is registered when it is defined.
REGISTRY: dict[str, type["Cell"]] = {}

RECURRENCES = ("dense", "block_diagonal", "diagonal", "none")
ELAPSED = ("none", "same", "weighted")


@dataclass(frozen=True)
class Cell:
    """A recurrent cell, written once.

    A subclass names its `gates`, the parts of its `state` (the first is the output and what the recurrent
    weights multiply) and its `per_unit` parameters, and gives its equations as `update`. These equations use
    only operators and the functions of `recurra.ops`, element by element: the matrix products are the
    kernel's work. They are traced once: only the arguments and the options may vary, not a global
    variable. Options of a cell, such as a nonlinearity, are dataclass fields, because cells with equal options must
    compare equal. A field with few values, which may change the equations, names them in its metadata as `choices`;
    each choice of the package's own cells is compiled into the package. A field with many values names some
    `examples`. The tests try each.

    Attributes:
        gates: names of the pre-activations, in the order of their rows in the weights.
        state: names of the parts of the state, the output first.
        per_unit: names of parameters that have one value for each unit, (H,).
        scalars: those of `per_unit` that all units share, (1,).
        elapsed: whether the equations read the time since the last step, as `x.elapsed` (B, H) of a gate "elapsed", the
            first of `gates`: "same", the time itself in every unit; "weighted", W_eh e_t + b_eh with e_t the E times of
            a step, such as the age of each input channel; "none". That gate has neither input nor recurrent weights.
        recurrent_only: gates without input weights; their x is zero.
        input_only: gates without recurrent weights; their u is zero.
        initial: for a name of `per_unit`, or "weight_hh", "weight_eh" or "bias_eh", its first values as a function of
            samples uniform in [0, 1).
        recurrence: how the recurrent weights mix the units: "dense", "block_diagonal" (within each of
            `heads` groups of units), "diagonal" (each unit reads itself only) or "none" (no recurrent weights).
        heads: N, the groups of units of a block-diagonal recurrence.
        layer_norm: whether both projections are normalised, gate by gate over the units (Ba et al. 2016).
        keeps: the gates that set how much of the state stays, each through a sigmoid: 1 if a large bias makes it
            stay, -1 if a large bias makes it be replaced. A parameter of `per_unit` that is the bias of such a gate
            may stand for it. Initialisation biases them towards keeping.
        admits: the gates beside those of `keeps` that set how much is taken in, each through a sigmoid: an input gate.
        second_stage_gates: the last of `gates`, whose recurrent weights multiply `modulated` and not the last output.
        output_nonlinearity: of a cell whose output is always projected, "identity", "tanh", "sigmoid" or
            "relu"; None: the output is projected only if `proj_size` is set.
        built_in: of the package's own cells, whether it is compiled into the package; if not, it is compiled at first
            use, as a cell of your own is.
    """

    gates: ClassVar[tuple[str, ...]]
    state: ClassVar[tuple[str, ...]]
    per_unit: ClassVar[tuple[str, ...]] = ()
    scalars: ClassVar[tuple[str, ...]] = ()
    elapsed: ClassVar[str] = "none"
    recurrent_only: ClassVar[tuple[str, ...]] = ()
    input_only: ClassVar[tuple[str, ...]] = ()
    initial: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    recurrence: ClassVar[str] = "dense"
    heads = 1
    keeps: ClassVar[Mapping[str, int]] = {}
    admits: ClassVar[tuple[str, ...]] = ()
    layer_norm: ClassVar[bool] = False
    second_stage_gates: ClassVar[tuple[str, ...]] = ()
    output_nonlinearity = None
    built_in: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in ("gates", "state", "update"):
            if name not in cls.__dict__ and getattr(cls, name, None) in (None, getattr(Cell, name, None)):
                raise ParameterError(f"{cls.__name__}.{name}", "to be defined by the cell", "nothing")
        for name in ("gates", "state", "per_unit"):
            names = getattr(cls, name)
            fine = isinstance(names, tuple) and all(isinstance(part, str) and part.isidentifier() for part in names)
            if not fine or len({*names}) < len(names) or not (names or name == "per_unit"):
                raise ParameterError(f"{cls.__name__}.{name}", "a tuple of different names, such as ('r', 'z')", names)
        if cls.recurrence not in RECURRENCES:
            raise ParameterError(f"{cls.__name__}.recurrence", f"one of {', '.join(RECURRENCES)}", cls.recurrence)
        second = cls.second_stage_gates
        if second and (cls.gates[-len(second) :] != second or len(second) == len(cls.gates)):
            raise ParameterError(f"{cls.__name__}.second_stage_gates", f"the last, but not all, of {cls.gates}", second)
        if second and cls.modulated is Cell.modulated:
            raise ParameterError(
                f"{cls.__name__}.modulated", "to be defined by a cell with second-stage gates", "nothing"
            )
        if second and cls.recurrence != "dense":
            raise ParameterError(f"{cls.__name__}.second_stage_gates", "none without a dense recurrence", second)
        if cls.layer_norm and (second or cls.recurrence not in ("dense", "block_diagonal")):
            raise ParameterError(
                f"{cls.__name__}.layer_norm", "False without a matrix product over all gates at once", True
            )
        cls._check_elapsed()
        taken = {"weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "bias_hr", "norm_ih", "norm_hh"}
        taken |= {"weight_eh", "bias_eh"}
        if names := taken & {*cls.per_unit}:
            raise ParameterError(f"{cls.__name__}.per_unit", "names other than the weights'", ", ".join(sorted(names)))
        if unknown := {*cls.scalars, *cls.initial} - {*cls.per_unit, "weight_hh", "weight_eh", "bias_eh"}:
            raise ParameterError(f"{cls.__name__}.per_unit", f"to name {', '.join(sorted(unknown))}", cls.per_unit)
        if unknown := {*cls.keeps} - ({*cls.gates, *cls.per_unit} - {*cls.scalars}):
            expected = "names of gates or per-unit parameters"
            raise ParameterError(f"{cls.__name__}.keeps", expected, ", ".join(sorted(unknown)))
        if not {*cls.keeps.values()} <= {1, -1}:
            raise ParameterError(f"{cls.__name__}.keeps", "1 or -1 for each gate", dict(cls.keeps))
        if unknown := {*cls.admits} - {*cls.gates} | {*cls.admits} & {*cls.keeps}:
            expected = "names of gates that are not in keeps"
            raise ParameterError(f"{cls.__name__}.admits", expected, ", ".join(sorted(unknown)))
        package, _, name = cls.__module__.rpartition(".")
        if package == __package__:
            REGISTRY[name] = cls

    @classmethod
    def _check_elapsed(cls) -> None:
        if cls.elapsed not in ELAPSED:
            raise ParameterError(f"{cls.__name__}.elapsed", f"one of {', '.join(ELAPSED)}", cls.elapsed)
        if cls.elapsed != "none" and cls.gates[0] != "elapsed":
            raise ParameterError(f"{cls.__name__}.gates", "'elapsed' first, as the cell reads the time", cls.gates)
        if cls.layer_norm and (cls.elapsed != "none" or cls.recurrent_only or cls.input_only):
            raise ParameterError(f"{cls.__name__}.layer_norm", "False if a gate does not read both projections", True)
        gates = {*cls.gates[cls.elapsed != "none" :]}
        for name in ("recurrent_only", "input_only"):
            names = getattr(cls, name)
            if names and (cls.recurrence == "none" or not {*names} < gates):
                expected = "some, but not all, of the gates of a recurrence"
                raise ParameterError(f"{cls.__name__}.{name}", expected, names)
        if {*cls.input_only} & {*cls.recurrent_only, *cls.second_stage_gates}:
            expected = "neither gates of recurrent_only nor second-stage gates"
            raise ParameterError(f"{cls.__name__}.input_only", expected, cls.input_only)

    @classmethod
    def input_gates(cls) -> tuple[str, ...]:
        """The gates that have rows in `weight_ih` and `bias_ih`."""
        return tuple(gate for gate in cls.gates[cls.elapsed != "none" :] if gate not in cls.recurrent_only)

    @classmethod
    def recurrent_gates(cls) -> tuple[str, ...]:
        """The gates that have rows in `weight_hh` and `bias_hh`, if there is a recurrence."""
        return tuple(gate for gate in cls.gates[cls.elapsed != "none" :] if gate not in cls.input_only)

    def products(self) -> Mapping[str, Product]:
        """The cell's own matrices by name, which may depend on its options.

        The equations apply one as a function, as often as they need: `p.NAME(v)` is W v + b, (B, rows) from
        (B, columns). The parameters are `weight_NAME` and `bias_NAME`. The last output that it reads as `s.h` is
        without the mask of recurrent dropout. Such a cell runs on the reference kernel.
        """
        return {}

    def widths(self) -> Mapping[str, int]:
        """The sizes of gates and parts of the state that have another than H, by name; they may depend on options.

        The output has H. Equations join values of different sizes by `products`, or by a size of 1. Such a cell runs on
        the reference kernel.
        """
        return {}

    def sizes(self, names: Iterable[str], hidden_size: int) -> list[int]:
        """The sizes of gates, or of parts of the state whose output is not projected."""
        widths = self.widths()
        return [widths.get(name, hidden_size) for name in names]

    def units(self, gates: tuple[str, ...], rows: int) -> int:
        """H, from the number of rows that gates have together in a weight."""
        widths = self.widths()
        if not widths:
            return rows // len(gates)
        own = [widths[gate] for gate in gates if gate in widths]
        return (rows - sum(own)) // (len(gates) - len(own))

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        """One step.

        Args:
            x: input projection, W_ih x_t + b_ih, by gate (B, H).
            u: recurrent projection, W_hh h_{t-1} + b_hh, by gate (B, H); no gates without a recurrence.
            s: the state before the step, by part (B, H).
            p: the per-unit parameters, by name (H,), and the functions of `products`.

        Returns:
            The state after the step.
        """
        raise NotImplementedError

    def modulated(self, x: Gates, u: Gates, s: State, p: PerUnit) -> Any:
        """What the recurrent weights of `second_stage_gates` multiply (B, H), from the arguments of `update`.

        The recurrent projection `u` holds the other gates only.
        """
        raise NotImplementedError

    def split(self, projection: Any) -> Gates:
        """Cut a projection (..., G * H) into its gates, each (..., H) or of its own size, in the order of `gates`."""
        if not self.widths():
            return Gates(**dict(zip(self.gates, projection.chunk(len(self.gates), dim=-1), strict=True)))
        sizes = self.sizes(self.gates, self.units(self.gates, projection.shape[-1]))
        return Gates(**dict(zip(self.gates, projection.split(sizes, dim=-1), strict=True)))
