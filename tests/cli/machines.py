"""Machines with a network of their own, on this one: network namespaces with a name each (iproute2, as root)."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from torchruns import torchrun

__all__ = ["Machine", "two_machines"]

_ADDRESSES = {"first": "10.83.7.1", "second": "10.83.7.2"}


@dataclass(frozen=True)
class Machine:
    """A machine: its name leads to its address on all of them, and its link can be cut."""

    name: str

    def run(self, *command: str) -> None:
        """Run a command of iproute2 here."""
        _run("ip", "-n", self.name, *command)

    def kill(self) -> None:
        """End all processes here at once, as a loss of power does."""
        pids = subprocess.run(["ip", "netns", "pids", self.name], check=True, capture_output=True, text=True).stdout
        for pid in pids.split():
            os.kill(int(pid), signal.SIGKILL)

    def cut_off(self) -> None:
        self.run("link", "set", "wire", "down")

    def bring_back(self) -> None:
        self.run("link", "set", "wire", "up")

    def torchrun(self, arguments: list[str], *options: str) -> subprocess.Popen[str]:
        """Start torchrun here; a new one may take the place of one that died (see docs/several-processes.md)."""
        start = f'hostname {self.name} && exec "$@"'
        inside = ("ip", "netns", "exec", self.name, "unshare", "--uts", "sh", "-c", start, "sh")
        return torchrun(arguments, *options, inside=inside, TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1")


@contextmanager
def two_machines() -> Iterator[tuple[Machine, Machine]]:
    """Two machines that reach each other by name, for the time of a test; skips where they cannot be made."""
    # The names of this process's machines are those of no other's.
    machines = [Machine(f"{name}-{os.getpid()}") for name in _ADDRESSES]
    settings = [Path("/etc/netns") / machine.name for machine in machines]
    try:
        try:
            _make(machines, settings)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network namespaces here: {getattr(error, 'stderr', '') or error}")
        yield machines[0], machines[1]
    finally:
        for machine, folder in zip(machines, settings, strict=True):
            with suppress(subprocess.CalledProcessError):
                machine.kill()
            subprocess.run(["ip", "netns", "del", machine.name], check=False, capture_output=True)
            (folder / "hosts").unlink(missing_ok=True)
            if folder.is_dir():
                folder.rmdir()


def _make(machines: list[Machine], settings: list[Path]) -> None:
    for machine in machines:
        _run("ip", "netns", "add", machine.name)
    first, second = machines
    first.run("link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", second.name)
    hosts = "127.0.0.1 localhost\n"
    for machine, address in zip(machines, _ADDRESSES.values(), strict=True):
        machine.run("address", "add", f"{address}/24", "dev", "wire")
        machine.run("link", "set", "lo", "up")
        machine.run("link", "set", "wire", "up")
        hosts += f"{address} {machine.name}\n"
    for folder in settings:
        # `ip netns exec` shows its files in place of those in /etc.
        folder.mkdir(parents=True)
        (folder / "hosts").write_text(hosts)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
