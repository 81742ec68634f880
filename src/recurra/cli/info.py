"""`recurra info`."""

from collections.abc import Sequence

from recurra.cli.arguments import Parser
from recurra.options import Option, Setting

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra info` with these arguments."""
    parser = Parser("recurra info", "Versions, threads and the devices of this machine; or what is known of a cell.")
    help_line = "what the equations of this cell say: its state, what that depends on, and which kernels run it"
    parser.add_settings([Setting("cell", str, True, None, Option(help_line, main=True))])
    values = parser.parse(arguments)
    if values is None:
        return 0
    name = values.get("cell")
    if name is None:
        from recurra.machine import describe_machine

        rows = describe_machine()
    else:
        from recurra.cells import find_cell
        from recurra.kernels import describe_cell

        rows = describe_cell(find_cell(name))
    width = max(map(len, rows))
    print("\n".join(f"{name.ljust(width)}  {value}" for name, value in rows.items()))
    return 0
