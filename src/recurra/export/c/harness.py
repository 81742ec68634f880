"""A program in C that compares a model with recorded steps, runs it over a stream, and times it; and its Makefile."""

from string import Template
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.codegen import literal
from recurra.export.c.sources import Description

__all__ = [
    "COMPILER_FLAGS",
    "WARNING_FLAGS",
    "Recorded",
    "harness",
    "makefile",
    "makefile_title",
    "web_assembly_flags",
]

#: A sum of products may be rounded once (-ffp-contract), and comparisons of NaN raise no signals: loops with both are
#: vectorised. Results keep the order of additions.
COMPILER_FLAGS = ("-std=c99", "-O3", "-march=native", "-ffp-contract=fast", "-fno-trapping-math")
WARNING_FLAGS = ("-Wall", "-Wextra", "-Werror", "-pedantic")
_PAGE_BYTES = 65_536  # of WebAssembly's memory


class Recorded(NamedTuple):
    """Steps of the model.

    Attributes:
        inputs: (T, I) float32, or (T,) ids.
        outputs: (T, O).
        tolerance: of an output y, relative to max(1, |y|).
    """

    inputs: NDArray[Any]
    outputs: NDArray[np.float32]
    tolerance: float


def harness(d: Description, recorded: Recorded) -> str:
    """NAME_check.c."""
    ids = bool(d.program.vocabulary_size)
    upper = d.name.upper()
    in_source = d.step.arrays.in_source
    text = "\n".join([_TOP, *([] if in_source else [_LOAD]), _COMPARE, _RUN, _TIME, _MAIN])
    return Template(text).substitute(
        name=d.name,
        outputs=f"{upper}_OUTPUTS",
        steps=len(recorded.outputs),
        kind="int32_t" if ids else "float",
        one="symbol" if ids else "input",
        width="" if ids else f"[{upper}_INPUTS]",
        address="&symbol" if ids else "input",
        step=f"{d.name}_step({'' if in_source else 'weights, '}&state",
        inputs=_table(recorded.inputs),
        expected=_table(recorded.outputs),
        tolerance=literal(recorded.tolerance),
        load="" if in_source else _CALL_LOAD.replace("NAME", d.name),
    )


_TOP = """\
/* Compares $name with recorded steps, or runs it.
 *
 *     ${name}_check        the largest error, and whether it is small enough
 *     ${name}_check run    reads each step's $kind from standard input, and writes its float to standard output
 *     ${name}_check each   reads the state before each step too, and writes that after it
 *     ${name}_check time   the time of a step
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "$name.h"

enum { STEPS = $steps };

static const $kind inputs[STEPS]$width = {
$inputs};

static const float expected[STEPS][$outputs] = {
$expected};

static ${name}_state state;
static float output[$outputs];
"""

_LOAD = """\
static ${name}_weights content;
static const ${name}_weights *weights;

static int load(void)
{
    FILE *file = fopen("$name.bin", "rb");
    const size_t size = file ? fread(&content, 1, sizeof content, file) : 0;
    if (file)
        fclose(file);
    weights = ${name}_weights_of(&content, size);
    return weights != NULL;
}
"""

_COMPARE = """\
static int compare(void)
{
    int steps_off = 0;
    float largest = 0.0f;
    ${name}_reset(&state);
    for (int t = 0; t < STEPS; ++t) {
        int is_off = 0;
        $step, inputs[t], output);
        for (int k = 0; k < $outputs; ++k) {
            const float y = expected[t][k], magnitude = y < 0.0f ? -y : y;
            const float difference = output[k] < y ? y - output[k] : output[k] - y;
            const float error = output[k] == y ? 0.0f : difference / (magnitude > 1.0f ? magnitude : 1.0f);
            is_off |= !(error <= $tolerance);
            largest = error > largest ? error : largest;
        }
        steps_off += is_off;
    }
    printf("%d of %d steps are off by more than %g; largest error %.3g\\n", steps_off, STEPS, (double)$tolerance,
           (double)largest);
    return steps_off != 0;
}
"""

_RUN = """\
static int run(int has_states)
{
    $kind $one$width;
    ${name}_reset(&state);
    while ((!has_states || fread(&state, sizeof state, 1, stdin) == 1) && fread($address, sizeof $one, 1, stdin) == 1) {
        $step, $one, output);
        if (fwrite(output, sizeof output, 1, stdout) != 1)
            return 1;
        if (has_states && fwrite(&state, sizeof state, 1, stdout) != 1)
            return 1;
    }
    return fflush(stdout) ? 1 : 0;
}
"""

_TIME = """\
static int measure(void)
{
    long steps = 0;
    const clock_t start = clock();
    clock_t now = start;
    ${name}_reset(&state);
    while (now - start < CLOCKS_PER_SEC) {
        for (int t = 0; t < 1000; ++t)
            $step, inputs[t % STEPS], output);
        steps += 1000;
        now = clock();
    }
    printf("%.1f ns of processor time a step\\n", 1e9 * (double)(now - start) / CLOCKS_PER_SEC / (double)steps);
    return 0;
}
"""

_MAIN = """\
int main(int count, char **arguments)
{
    const char *mode = count > 1 ? arguments[1] : "";
$load    if (!strcmp(mode, "run") || !strcmp(mode, "each"))
        return run(!strcmp(mode, "each"));
    return !strcmp(mode, "time") ? measure() : compare();
}
"""

_CALL_LOAD = """\
    if (!load()) {
        fprintf(stderr, "NAME.bin: missing, or not of this model\\n");
        return 2;
    }
"""


def makefile_title(name: str) -> str:
    """The first line of the Makefile, which tells it from that of something else."""
    return f"# The Makefile of {name}, written by Recurra."


def web_assembly_flags(d: Description) -> list[str]:
    """The flags with which clang makes a module of WebAssembly that exports the functions and its memory.

    The stack stands first in the memory, and has a page more than the scratch memory of a step: a step that needed
    more would stop, and not overwrite the constants.
    """
    stack = (1 + -(-d.stack_bytes // _PAGE_BYTES)) * _PAGE_BYTES
    linked = f"--no-entry --export-dynamic --export=__heap_base --stack-first -z stack-size={stack}".split()
    flags = "--target=wasm32 -std=c99 -O3 -msimd128 -mbulk-memory -nostdlib -fvisibility=default"
    return [*flags.split(), f"-Wl,{','.join(linked)}"]


def makefile(d: Description) -> str:
    """The Makefile."""
    name = d.name
    return f"""\
{makefile_title(name)}
# make: compile and compare with recorded steps. make time: measure. make arm, make wasm: compile for a Cortex-M4, for
# WebAssembly.
CFLAGS ?= {" ".join(COMPILER_FLAGS)}
WARNINGS ?= {" ".join(WARNING_FLAGS)}

check: {name}_check
\t./{name}_check

time: {name}_check
\t./{name}_check time

{name}_check: {name}.c {name}_check.c {name}.h
\t$(CC) $(CFLAGS) $(WARNINGS) {name}.c {name}_check.c -o $@

arm: {name}.c {name}.h
\tarm-none-eabi-gcc -std=c99 -O2 -ffp-contract=fast -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 \\
\t\t$(WARNINGS) -c {name}.c -o {name}_arm.o
\tarm-none-eabi-size {name}_arm.o

wasm: {name}.c {name}.h
\tclang {" ".join(web_assembly_flags(d))} \\
\t\t$(WARNINGS) {name}.c -o {name}.wasm

clean:
\trm -f {name}_check {name}_arm.o {name}.wasm

.PHONY: check time arm wasm clean
"""


def _table(rows: NDArray[Any]) -> str:
    """Ids, or rows of numbers, as C writes an array."""
    if rows.ndim == 1:
        return _lines([str(value) for value in rows], "    ") + ",\n"
    return "".join("    {" + _lines([literal(value) for value in row], "     ").lstrip() + "},\n" for row in rows)


def _lines(numbers: list[str], indent: str) -> str:
    return ",\n".join(indent + ", ".join(numbers[first : first + 8]) for first in range(0, len(numbers), 8))
