"""The processes that a process has started, by which tests find the one to kill."""

from pathlib import Path

__all__ = ["descendants", "name_of"]


def descendants(pid: int) -> list[int]:
    """The ids of all processes below one."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
    known = {pid}
    while more := {child for child, parent in parents.items() if parent in known} - known:
        known |= more
    return sorted(known - {pid})


def name_of(pid: int) -> str:
    """The command of a process, or what it has named itself; "": it is gone."""
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
