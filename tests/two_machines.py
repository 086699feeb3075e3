"""Two Linux machines of a network of their own, `studio` and `laptop`, made of network namespaces.

Each has its own address, host names, home folder and firewall; SSH leads from the laptop to the studio. What they have
in common with this machine is the rest of the disk, so Splinescape need not be installed on them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from service_support import until

ADDRESSES = {"studio": "192.168.1.20", "laptop": "192.168.1.30"}
_TOOLS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_SSHD = "/usr/sbin/sshd"


def missing() -> str:
    """Why there can be no such machines here; "" when there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "making machines needs root on Linux"
    for tool in ("ip", "ssh", "scp", "ssh-keygen"):
        if shutil.which(tool) is None:
            return f"there is no {tool}"
    if not Path(_SSHD).exists():
        return "there is no sshd"
    trial = f"trial-{os.getpid()}"
    if subprocess.run(("ip", "netns", "add", trial), capture_output=True).returncode:
        return "this machine allows no network namespaces"
    _ip("netns", "del", trial)
    return ""


class Started:
    """A command that runs on one of the machines, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self._lines.extend(self.process.stdout)

    @property
    def said(self) -> str:
        return "".join(self._lines)

    def says(self, words: str, seconds: float = 60) -> None:
        """Wait until it has said this."""
        until(lambda: words in self.said or self.process.poll() is not None, seconds, words)
        assert words in self.said, self.said

    def end(self, seconds: float = 300) -> str:
        """Wait for its end, which must be a good one; what it has said."""
        code = self.process.wait(seconds)
        self._reader.join()
        assert code == 0, self.said
        return self.said

    def stop(self) -> int:
        """Interrupt it as Ctrl-C does; its exit code."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            return self.process.wait()


@dataclass(eq=False)
class Machine:
    """One of the two.

    Attributes:
        space: name of its network namespace. home: home folder of its only user, root.
    """

    name: str
    space: str
    home: Path
    started: list[Started] = field(default_factory=list)

    @property
    def settings(self) -> Path:
        """What lies here covers the same name in /etc, on this machine only."""
        return Path("/etc/netns") / self.space

    def start(self, script: str) -> Started:
        """Run shell commands in the home folder, as if they were typed there."""
        environment = {
            "HOME": str(self.home),
            "PATH": os.pathsep.join((str(self.home / "bin"), str(Path(sys.executable).parent), *_TOOLS)),
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),  # compiled code
            "OMP_NUM_THREADS": "1",
            "LANG": "C.UTF-8",
        }
        command = ("ip", "netns", "exec", self.space, "bash", "-euo", "pipefail", "-c", script)
        process = subprocess.Popen(
            command,
            cwd=self.home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(Started(process))
        return self.started[-1]

    def run(self, script: str) -> str:
        """Run shell commands to their end, which must be a good one; what they have said."""
        return self.start(script).end()

    def listens(self, port: int) -> bool:
        """Whether something on this machine takes connections at a port."""
        command = ("ip", "netns", "exec", self.space, "cat", "/proc/net/tcp")
        table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return any(
            f":{port:04X} " in line.split(":", 1)[1] and " 0A " in line for line in table.splitlines()[1:]
        )


def _ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True)


@contextmanager
def two_machines(folder: Path) -> Iterator[tuple[Machine, Machine]]:
    """The studio and the laptop; gone afterwards with all that runs on them."""
    machines = []
    try:
        for name in ADDRESSES:
            machine = Machine(name, f"{name}-{os.getpid()}", folder / name)
            machines.append(machine)
            _ip("netns", "add", machine.space)
            _furnish(machine)
        studio, laptop = machines
        _ip(
            "-n",
            studio.space,
            "link",
            "add",
            "lan",
            "type",
            "veth",
            "peer",
            "name",
            "lan",
            "netns",
            laptop.space,
        )
        for machine in machines:
            _ip("-n", machine.space, "address", "add", f"{ADDRESSES[machine.name]}/24", "dev", "lan")
            for link in ("lo", "lan"):
                _ip("-n", machine.space, "link", "set", link, "up")
        _connect_by_ssh(studio, laptop)
        yield studio, laptop
    finally:
        for machine in machines:
            for started in machine.started:
                started.stop()
            subprocess.run(("ip", "netns", "del", machine.space), check=False)
            shutil.rmtree(machine.settings, ignore_errors=True)


def _furnish(machine: Machine) -> None:
    """Give it a home, host names, and where there is ufw, rules of its own that let nothing in but SSH."""
    bin = machine.home / "bin"
    bin.mkdir(parents=True)
    (bin / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (bin / "sudo").chmod(0o755)
    machine.settings.mkdir(parents=True)
    names = [f"{address} {name}" for name, address in ADDRESSES.items()]
    (machine.settings / "hosts").write_text("\n".join(("127.0.0.1 localhost", *names, "")))
    users = []
    for line in Path("/etc/passwd").read_text().splitlines():
        fields = line.split(":")
        if fields[0] == "root":
            fields[5] = str(machine.home)
        users.append(":".join(fields))
    (machine.settings / "passwd").write_text("\n".join((*users, "")))
    if shutil.which("ufw"):
        shutil.copytree("/etc/ufw", machine.settings / "ufw")


def _connect_by_ssh(studio: Machine, laptop: Machine) -> None:
    """As it is where `ssh studio` works: a key on the laptop, its public half at the studio."""
    server, client = studio.home / "sshd", laptop.home / ".ssh"
    for each in (server, client):
        each.mkdir(mode=0o700)
    for key in (server / "host_key", client / "id_ed25519"):
        subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)), check=True)
    (server / "authorized_keys").write_text((client / "id_ed25519.pub").read_text())
    kind, key, *_ = (server / "host_key.pub").read_text().split()
    (client / "known_hosts").write_text(f"studio {kind} {key}\n")
    (server / "config").write_text(
        f"HostKey {server}/host_key\nAuthorizedKeysFile {server}/authorized_keys\nPidFile none\nUsePAM no\n"
        "StrictModes no\nPermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    studio.start(f"exec {_SSHD} -D -e -f {server}/config")
    until(lambda: studio.listens(22), what="sshd")
