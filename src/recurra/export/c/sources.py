"""The files of a model in C."""

import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from recurra.codegen import literal
from recurra.export.c.memory import slot_name
from recurra.export.c.step import Step
from recurra.program import Program

__all__ = ["Description", "header", "source"]


class Description(NamedTuple):
    """What the files of a model say of it.

    Attributes:
        name: prefix of the functions.
        program: the operations of a step.
        step: the same in C.
        weights: "float32" or "int8".
        title: what the model is.
    """

    name: str
    program: Program
    step: Step
    weights: str
    title: str

    @property
    def stack_bytes(self) -> int:
        """Of the scratch memory of a step."""
        rounded = 4 * self.step.most_rows + self.step.most_columns if self.weights == "int8" else 0
        return 4 * sum(self.step.memory.slots) + rounded

    @property
    def step_parameters(self) -> str:
        """The parameters of the step's function."""
        reads = "int32_t symbol" if self.program.vocabulary_size else "const float *restrict input"
        weights = "" if self.step.arrays.in_source else f"const {self.name}_weights *weights, "
        return f"{weights}{self.name}_state *restrict state, {reads}, float *restrict output"


def header(d: Description) -> str:
    """NAME.h."""
    name, upper, program = d.name, d.name.upper(), d.program
    guard = f"{upper}_H"
    fields = [f"float {field}[{part.size}];" for field, part in d.step.memory.fields] or ["char nothing;"]
    macros = {
        "INPUTS": program.input_size,
        "OUTPUTS": program.output_size,
        "STATE_VALUES": program.state_size,
        "STACK_BYTES": d.stack_bytes,
    }
    if program.vocabulary_size:
        macros = {"SYMBOLS": program.vocabulary_size} | {key: n for key, n in macros.items() if key != "INPUTS"}
    lines = [
        *_comment(d),
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        *(f"#define {upper}_{key} {value}" for key, value in macros.items()),
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        "/* What a stream remembers between steps: numbers alone. It can be copied, stored and compared. */",
        "typedef struct {",
        *(f"    {field}" for field in fields),
        f"}} {name}_state;",
        "",
    ]
    if not d.step.arrays.in_source:
        lines += [*_weights_type(d), ""]
    returned = "int" if program.vocabulary_size else "void"
    # C++ has no restrict, and C asks for it only where the function is defined.
    parameters = d.step_parameters.replace("restrict ", "")
    lines += [
        "/* The bytes of a state. */",
        f"size_t {name}_state_size(void);",
        "",
        "/* Makes a state that of before the first step. */",
        f"void {name}_reset({name}_state *state);",
        "",
        *_step_comment(d),
        f"{returned} {name}_step({parameters});",
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def source(d: Description) -> str:
    """NAME.c."""
    name, step = d.name, d.step
    pieces = [
        "\n".join(_comment(d)) + "\n",
        f'#include "{name}.h"\n',
        "#ifdef __FAST_MATH__\n"
        '#error "compile without -ffast-math: the functions here round by the order of their additions"\n'
        "#endif\n",
    ]
    if d.weights == "int8" and step.most_rows:
        pieces.append(f"enum {{ MOST_ROWS = {step.most_rows}, MOST_COLUMNS = {step.most_columns} }};\n")
    if step.arrays.in_source:
        pieces += step.arrays.definitions()
    pieces += step.functions()
    if not step.arrays.in_source:
        pieces.append(_weights_check(d))
    pieces += [_state_size(name), _reset(d), _step(d)]
    return "\n".join(pieces)


def _comment(d: Description) -> list[str]:
    program = d.program
    reads = f"an id from 0 to {program.vocabulary_size - 1}" if program.vocabulary_size else _count(program.input_size)
    state = ", ".join(f"{field} {part.size}" for field, part in d.step.memory.fields) or "nothing"
    where = f"in {d.name}.c" if d.step.arrays.in_source else f"in {d.name}.bin"
    weights = "" if d.step.arrays.in_source else "weights, "
    return [
        f"/* {d.name}: one step of a recurrent network, written by Recurra. Do not edit.",
        " *",
        *(f" * {line}" for line in _wrapped(f"model    {d.title}")),
        f" * reads    {reads}",
        f" * writes   {_count(program.output_size)}",
        *(f" * {line}" for line in _wrapped(f"state    {state}: {4 * program.state_size:,} bytes")),
        f" * weights  {d.weights}, {d.step.arrays.num_bytes:,} bytes with all constants, {where}",
        f" * stack    {d.stack_bytes:,} bytes of scratch memory in a step",
        " *",
        f" *     {d.name}_state state;",
        f" *     {d.name}_reset(&state);",
        f" *     {d.name}_step({weights}&state, {'symbol' if program.vocabulary_size else 'input'}, output);"
        "   for each step",
        " *",
        " * It allocates nothing, calls no library, and keeps nothing between calls but the caller's state: several",
        " * states can take their steps at the same time.",
        " */",
    ]


def _wrapped(text: str) -> Iterator[str]:
    """Lines of at most 110 characters, indented like the first."""
    while len(text) > 110:
        at = text.rfind(" ", 10, 110)
        if at < 0:
            break
        yield text[:at]
        text = " " * 9 + text[at + 1 :]
    yield text


def _count(values: int) -> str:
    return f"{values} values" if values != 1 else "1 value"


def _step_comment(d: Description) -> list[str]:
    program = d.program
    reads = "`symbol`" if program.vocabulary_size else f"{_count(program.input_size)} from `input`"
    text = f"One step: reads {reads}, changes `state`, writes {_count(program.output_size)} to `output`."
    lines = [f"/* {text} They must not overlap."]
    if program.vocabulary_size:
        lines.append(
            f" * Returns 0, or -1 for a symbol that is not 0 to {program.vocabulary_size - 1}: then nothing changes."
        )
    return [*lines[:-1], f"{lines[-1]} */"]


def _weights_type(d: Description) -> list[str]:
    return [
        f"/* The content of {d.name}.bin, for processors whose lowest byte comes first. */",
        "typedef struct {",
        "    char magic[8];",
        "    uint32_t order, size;",
        "    uint8_t hash[32];",
        *(f"    {field}" for field in d.step.arrays.fields()),
        f"}} {d.name}_weights;",
        "",
        f"/* The weights in the `size` bytes of {d.name}.bin, at an address that is a multiple of 4. NULL: they are of",
        " * another model, another format or another order of bytes, or bytes are missing. */",
        f"const {d.name}_weights *{d.name}_weights_of(const void *content, size_t size);",
    ]


def _weights_check(d: Description) -> str:
    name = d.name
    hashed = textwrap.fill(", ".join(map(str, d.step.arrays.digest())), 108, subsequent_indent=" " * 8)
    magic = ", ".join(f"'{letter}'" for letter in "RCRWGHT1")
    return (
        f"const {name}_weights *{name}_weights_of(const void *content, size_t size)\n{{\n"
        f"    static const char magic[8] = {{{magic}}};\n"
        f"    static const uint8_t hash[32] = {{\n        {hashed}}};\n"
        f"    const {name}_weights *weights = content;\n"
        f"    if (size != sizeof *weights || (uintptr_t)content % 4 != 0)\n        return NULL;\n"
        "    for (int k = 0; k < 8; ++k)\n        if (weights->magic[k] != magic[k])\n            return NULL;\n"
        "    for (int k = 0; k < 32; ++k)\n        if (weights->hash[k] != hash[k])\n            return NULL;\n"
        "    return weights->order == 0x01020304u && weights->size == size ? weights : NULL;\n}\n"
    )


def _state_size(name: str) -> str:
    return f"size_t {name}_state_size(void)\n{{\n    return sizeof({name}_state);\n}}\n"


def _reset(d: Description) -> str:
    constants, lines = [], []
    for field, part in d.step.memory.fields:
        if isinstance(part.initial, tuple):
            values = ", ".join(map(literal, part.first_values))
            constants.append(f"static const float {field}[{part.size}] = {{{values}}};")
            lines.append(f"copy({part.size}, {field}, state->{field});")
        else:
            lines.append(f"fill({part.size}, {literal(part.initial)}, state->{field});")
    body = "\n".join(f"    {line}" for line in [*constants, *lines] or ["state->nothing = 0;"])
    return f"void {d.name}_reset({d.name}_state *state)\n{{\n{body}\n}}\n"


def _step(d: Description) -> str:
    size, slots = d.program.vocabulary_size, d.step.memory.slots
    lines = []
    if slots:
        lines.append(f"float {', '.join(f'{slot_name(k)}[{size}]' for k, size in enumerate(slots))};")
    if not d.program.parts:
        lines.append("(void)state;")
    if size:
        lines.append(f"if (symbol < 0 || symbol >= {size})\n        return -1;")
    lines += d.step.statements
    if size:
        lines.append("return 0;")
    body = "\n".join(f"    {line}" for line in lines)
    return f"{'int' if size else 'void'} {d.name}_step({d.step_parameters})\n{{\n{body}\n}}\n"
