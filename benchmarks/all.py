"""Every measurement of recurra's kernels: the tables printed; results.json and results.png written to a folder."""

import json
from importlib import import_module
from pathlib import Path

from benchmarks._command import make_parser, prepare
from benchmarks._machine import describe_machine
from benchmarks._picture import draw
from benchmarks._report import Report
from recurra.files import prepare_folder, write_text

NAMES = ("recurrent_layers", "custom_cells", "affine_bandwidth", "memory_for_backward", "single_step")


def main() -> None:
    modules = [import_module(f"benchmarks.{name}") for name in NAMES]
    parser = make_parser(__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="folder for the results")
    for module in modules:
        module.add_options(parser)
    options = parser.parse_args()
    prepare_folder(options.out)
    prepare(options)
    machine = describe_machine()
    print("\n".join(f"{name}: {value}" for name, value in machine.items()))
    report = Report(options.markdown)
    for module in modules:
        prepare(options)
        module.measure(options, report)
    table = report.table(
        "Against the targets",
        {"measurement": "20s", "of": "28s", "kind": "10s", "measured": "6.2f", "target": "6.2f", "reached": "7s"},
    )
    for figure in report.figures:
        if figure.target is not None:
            reached = "yes" if figure.value >= figure.target else "no"
            table.add(figure.benchmark, figure.name, figure.kind, figure.value, figure.target, reached)
    write_text(options.out / "results.json", json.dumps({"machine": machine, **report.as_data()}, indent=1) + "\n")
    draw(report.figures, machine, options.out / "results.png")
    print(f"\nwritten: {options.out / 'results.json'}, {options.out / 'results.png'}")


if __name__ == "__main__":
    main()
