"""`recurra info`."""

from collections.abc import Sequence

from recurra.cli.arguments import Parser

__all__ = ["run"]


def run(arguments: Sequence[str]) -> int:
    """Run `recurra info` with these arguments."""
    if Parser("recurra info", "Versions, threads and the devices of this machine.").parse(arguments) is None:
        return 0
    from recurra.machine import describe_machine

    rows = describe_machine()
    width = max(map(len, rows))
    print("\n".join(f"{name.ljust(width)}  {value}" for name, value in rows.items()))
    return 0
