"""The blocks of a stack, read from a short list."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, NamedTuple

from recurra.cell_names import NAMES
from recurra.cells import Cell, find_cell
from recurra.errors import ParameterError
from recurra.layers.stack.attention import LocalAttention
from recurra.layers.stack.block import Block
from recurra.layers.stack.clockwork import ClockworkRNN
from recurra.layers.stack.combined import NORMS, Chain, Gated
from recurra.layers.stack.convolution import CausalConvolution
from recurra.layers.stack.lru import LRU
from recurra.layers.stack.mlstm import MLSTM
from recurra.layers.stack.pointwise import ACTIVATIONS, Activation, GatedMLP, HeadNorm
from recurra.layers.stack.qrnn import QRNN
from recurra.layers.stack.recipes import RECIPES
from recurra.layers.stack.recurrent_block import RecurrentBlock
from recurra.layers.stack.rim import RIM

__all__ = ["Architecture", "BlockSpec", "build_chain", "naming_item"]

_PART = re.compile(r"(?P<name>[A-Za-z_][\w.]*)(?P<fields>(?::[^:()]*)*)(?:\((?P<inside>.*)\))?", re.DOTALL)
_WHOLE = re.compile(r"\d+")
_DECIMAL = re.compile(r"\d*\.\d+|\d+\.|\d+(?:\.\d*)?[eE]-?\d+")


@dataclass(frozen=True)
class BlockSpec:
    """One block, as it was read.

    Attributes:
        name: of the kind, such as "attention"; "" for a recurrent layer.
        size: its number, such as the window; None: the default.
        options: by name.
        cell: of a recurrent layer.
        inside: the blocks within, of "gated".
    """

    name: str
    size: Fraction | None = None
    options: tuple[tuple[str, Any], ...] = ()
    cell: Cell | None = None
    inside: tuple["BlockSpec", ...] = ()

    def build(self, input_size: int, output_size: int) -> Block:
        """The block that reads `input_size` features and puts out `output_size`.

        Raises:
            ParameterError: for sizes that do not fit.
        """
        if self.cell is not None:
            units = None if self.size is None else int(self.size)
            return RecurrentBlock(self.cell, input_size, output_size, units)
        return _KINDS[self.name].make(self, input_size, output_size)

    @property
    def cells(self) -> list[Cell]:
        """The cells of the recurrent layers, inside ones too."""
        own = [] if self.cell is None else [self.cell]
        return own + [cell for part in self.inside for cell in part.cells]

    @property
    def is_recurrent(self) -> bool:
        """Whether it is a recurrence, or holds one."""
        return self.cell is not None or _KINDS[self.name].recurrent or any(part.is_recurrent for part in self.inside)


class _Kind(NamedTuple):
    """A kind of block: what its number is ("" if it takes none), how it is built, its flags and named whole numbers,
    whether it needs its number, whether that is a whole one, and whether the block is recurrent."""

    number: str
    make: Callable[[BlockSpec, int, int], Block]
    flags: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    required: bool = False
    whole: bool = True
    recurrent: bool = False


def _attention(spec: BlockSpec, inputs: int, outputs: int) -> Block:
    assert spec.size is not None
    return LocalAttention(inputs, outputs, int(spec.size), **dict(spec.options))


def _clockwork(spec: BlockSpec, inputs: int, outputs: int) -> Block:
    return ClockworkRNN(inputs, outputs, 8 if spec.size is None else int(spec.size), batch_first=True)


def _convolution(spec: BlockSpec, inputs: int, outputs: int) -> Block:
    kernel = 4 if spec.size is None else int(spec.size)
    return CausalConvolution(inputs, outputs, kernel, depthwise=not dict(spec.options).get("dense", False))


def _mlp(spec: BlockSpec, inputs: int, outputs: int) -> Block:
    return GatedMLP(inputs, outputs, _times(3 if spec.size is None else spec.size, outputs))


def _mlstm(spec: BlockSpec, inputs: int, outputs: int) -> Block:
    return MLSTM(inputs, outputs, 4 if spec.size is None else int(spec.size))


def _lru(spec: BlockSpec, inputs: int, outputs: int) -> Block:
    return LRU(_same("lru", inputs, outputs), None if spec.size is None else int(spec.size))


def _qrnn(spec: BlockSpec, inputs: int, outputs: int) -> Block:
    return QRNN(inputs, outputs, 2 if spec.size is None else int(spec.size))


def _norm(spec: BlockSpec, inputs: int, outputs: int) -> Block:
    return HeadNorm(_same("norm", inputs, outputs), 1 if spec.size is None else int(spec.size))


def _gated(spec: BlockSpec, inputs: int, outputs: int) -> Block:
    inner = _times(1 if spec.size is None else spec.size, outputs)
    return Gated(build_chain(spec.inside, inner, inner), inputs, outputs)


def _rim(spec: BlockSpec, inputs: int, outputs: int) -> Block:
    options = dict(spec.options)
    modules = 6 if spec.size is None else int(spec.size)
    return RIM(inputs, outputs, modules, options.pop("active", None), batch_first=True, **options)


def _activation(spec: BlockSpec, inputs: int, outputs: int) -> Block:
    return Activation(_same(spec.name, inputs, outputs), spec.name)


_KINDS = {
    "attention": _Kind("window", _attention, numbers=("heads", "kv_heads"), required=True),
    "clockwork": _Kind("number of groups", _clockwork, recurrent=True),
    "conv": _Kind("kernel size", _convolution, flags=("dense",)),
    "gated": _Kind("factor", _gated, whole=False),
    "lru": _Kind("number of units", _lru, recurrent=True),
    "mlp": _Kind("factor", _mlp, whole=False),
    "mlstm": _Kind("number of heads", _mlstm, recurrent=True),
    "norm": _Kind("number of heads", _norm),
    "qrnn": _Kind("kernel size", _qrnn, recurrent=True),
    "rim": _Kind("number of modules", _rim, numbers=("active", "heads"), recurrent=True),
    **{name: _Kind("", _activation) for name in ACTIVATIONS},
}


@dataclass(frozen=True)
class Architecture:
    """The blocks of a `Stack`.

    Attributes:
        items: for each item of the list, the blocks that it chains.
        text: the items, as they were written.
        norm: the normalisation before each item, see `Residual`, and after the last.
        residual: whether each item's output is added to its input.
    """

    items: tuple[tuple[BlockSpec, ...], ...]
    text: tuple[str, ...]
    norm: str = "rms"
    residual: bool = True

    @classmethod
    def of(
        cls,
        spec: "str | Cell | Sequence[str | Cell] | Architecture",
        norm: str | None = None,
        residual: bool | None = None,
    ) -> "Architecture":
        """Read an architecture.

        Args:
            spec: a list of items, or these as one text with commas. An item is a block, or several joined by " > ",
                each of which reads what the one before puts out:

                - `CELL` or `CELL:UNITS`: a recurrent layer. The name is that of the cell, as in `--cell`, whose
                  underscores may be left out, or `module:Class`; options of the cell follow, as in `slstm:heads=4`.
                  In a list a `Cell` may stand in the place of its name.
                - `attention:WINDOW`, with `:heads=N` and `:kv_heads=M`: see `LocalAttention`.
                - `mlstm:HEADS`, `lru:UNITS` and `qrnn:KERNEL_SIZE`: see `MLSTM`, `LRU` and `QRNN`.
                - `clockwork:GROUPS`, and `rim:MODULES` with `:active=A` and `:heads=N`: see `ClockworkRNN` and `RIM`.
                - `conv:KERNEL_SIZE`: a causal convolution, depthwise, or of all features with `:dense`.
                - `mlp:FACTOR`: a `GatedMLP` of so many times the features, 3 by default.
                - `gated:FACTOR(ITEM)`: an item beside a gate, see `Gated`, of so many times the features, 1 by default.
                - `norm:HEADS`: see `HeadNorm`.
                - `gelu`, `relu`, `sigmoid`, `silu`, `tanh`.

                One name alone may also be that of a recipe (`RECIPES`), such as "griffin", with its number, such as
                "griffin:256".
            norm: "rms", "layer" or "none". If None, the recipe's, or "rms".
            residual: whether items have a normalisation before them and a residual connection around them. If None, the
                recipe's, or True.

        Raises:
            ParameterError: naming the item, what was expected and what exists.
        """
        if isinstance(spec, Architecture):
            read = spec
        else:
            listed = [spec] if isinstance(spec, str | Cell) else spec
            read = cls._read(
                [one for item in listed for one in (_split(item, ",") if isinstance(item, str) else [item])]
            )
        norm = read.norm if norm is None else norm
        if norm not in NORMS:
            raise ParameterError("norm", f"one of {', '.join(NORMS)}", norm)
        return cls(read.items, read.text, norm, read.residual if residual is None else residual)

    @classmethod
    def _read(cls, listed: Sequence[str | Cell]) -> "Architecture":
        if not listed:
            raise ParameterError("architecture", f"at least one of {_existing()}", listed)
        if len(listed) == 1 and isinstance(listed[0], str):
            name, _, number = listed[0].strip().partition(":")
            if name in RECIPES:
                recipe, meaning = RECIPES[name]
                if number and (not meaning or not _WHOLE.fullmatch(number) or not int(number)):
                    expected = f"{name}:NUMBER, its {meaning}" if meaning else f"{name} without a number"
                    raise ParameterError("architecture", expected, listed[0])
                made = recipe(int(number) if number else None)
                return cls(tuple(map(_item, made.items)), made.items, made.norm, made.residual)
        items = []
        for k, item in enumerate(listed):
            with naming_item(k, len(listed)):
                items.append(_item(item))
        return cls(tuple(items), tuple(item.strip() if isinstance(item, str) else repr(item) for item in listed))

    @property
    def cells(self) -> list[Cell]:
        """The cells of all recurrent layers."""
        return [cell for item in self.items for part in item for cell in part.cells]

    @property
    def is_recurrent(self) -> bool:
        """Whether one of its blocks is a recurrence."""
        return any(part.is_recurrent for item in self.items for part in item)

    def __str__(self) -> str:
        return ", ".join(self.text)


@contextmanager
def naming_item(k: int, count: int) -> Iterator[None]:
    """Let a ParameterError within name the item of the list, the k-th of `count` from 0, before the parameter."""
    try:
        yield
    except ParameterError as error:
        named = ParameterError.__new__(ParameterError)
        named.args = (f"architecture{f', item {k + 1}' if count > 1 else ''}: {error}",)
        raise named from error


def build_chain(specs: Sequence[BlockSpec], input_size: int, output_size: int) -> Block:
    """The blocks one after another; the first reads `input_size` features, and each puts out `output_size`."""
    blocks = [spec.build(input_size if k == 0 else output_size, output_size) for k, spec in enumerate(specs)]
    return blocks[0] if len(blocks) == 1 else Chain(blocks)


def _item(item: str | Cell) -> tuple[BlockSpec, ...]:
    if isinstance(item, Cell):
        return (BlockSpec("", cell=item),)
    if not isinstance(item, str):
        raise ParameterError("block", "a text such as 'attention:128', or a Cell", item)
    return tuple(_part(part) for part in _split(item, ">"))


def _part(text: str) -> BlockSpec:
    match = _PART.fullmatch(text.strip())
    if match is None:
        raise ParameterError("block", "NAME, NAME:NUMBER, NAME:OPTION=VALUE or gated(ITEM)", text.strip())
    name, inside = match["name"], match["inside"]
    fields = [field.strip() for field in match["fields"].split(":")[1:]]
    if (inside is not None) != (name == "gated"):
        expected = "gated(ITEM), such as gated(conv:4 > rg_lru)" if name == "gated" else f"{name} without parentheses"
        raise ParameterError("block", expected, text.strip())
    if name in _KINDS:
        kind = _KINDS[name]
        size, options = _fields(name, fields, kind.number, kind.flags, kind.numbers, kind.whole)
        if kind.required and size is None:
            raise ParameterError(name, f"its {kind.number}, as in {name}:128", text.strip())
        return BlockSpec(name, size, options, inside=() if inside is None else _item(inside))
    cell, fields = _cell(name, fields)
    size, options = _fields(name, fields, "number of units", (), tuple(vars(cell)))
    if options:
        cell = type(cell)(**dict(options))
    return BlockSpec("", size, cell=cell)


def _cell(name: str, fields: list[str]) -> tuple[Cell, list[str]]:
    """The cell of a name, or of "module:Class", and the fields that are not part of its name."""
    plain = {known.replace("_", ""): known for known in NAMES}
    known = plain.get(name.replace("_", "").lower())
    if known is not None:
        return find_cell(known), fields
    if fields and fields[0].isidentifier():
        return find_cell(f"{name}:{fields[0]}"), fields[1:]
    close = get_close_matches(name.lower(), [*_KINDS, *NAMES, *RECIPES], n=1)
    hint = f"Did you mean {close[0]!r}?" if close else ""
    if name in RECIPES:
        hint = f"{name} is a whole architecture: it stands alone, and the number of layers repeats it."
    raise ParameterError("block", f"one of {_existing()}", name, hint)


def _fields(
    name: str, fields: list[str], number: str, flags: tuple[str, ...], named: tuple[str, ...], whole: bool = True
) -> tuple[Fraction | None, tuple[tuple[str, Any], ...]]:
    """The number of a block and its options, from what stands between its colons."""
    size: Fraction | None = None
    options: dict[str, Any] = {}
    for k, field in enumerate(fields):
        option, equals, value = field.partition("=")
        if equals and option in named:
            number_of = int if _WHOLE.fullmatch(value) else float if _DECIMAL.fullmatch(value) else str
            options[option] = number_of(value)
        elif field in flags:
            options[field] = True
        elif k == 0 and number and not equals:
            size = _number(name, field, number, whole)
        else:
            known = [f"{one}=..." for one in named] + list(flags)
            expected = (
                f"{'its ' + number + ' first' if number else 'no number'}, then {', '.join(known) or 'no option'}"
            )
            raise ParameterError(name, expected, field)
    return size, tuple(options.items())


def _number(name: str, text: str, meaning: str, whole: bool) -> Fraction:
    try:
        value = Fraction(int(text) if whole else text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if value <= 0:
        expected = f"a positive {'whole number' if whole else 'number, such as 3, 1.5 or 4/3'} as its {meaning}"
        raise ParameterError(name, expected, text)
    return value


def _split(text: str, separator: str) -> list[str]:
    """The parts of a text between separators that are not within parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _same(name: str, inputs: int, outputs: int) -> int:
    if inputs != outputs:
        raise ParameterError(name, f"to put out the {inputs} features that it reads", outputs)
    return inputs


def _times(factor: Fraction | int, size: int) -> int:
    return max(1, round(factor * size))


def _existing() -> str:
    return f"{', '.join(_KINDS)}; the cells {', '.join(NAMES)}; alone, {', '.join(RECIPES)}"
