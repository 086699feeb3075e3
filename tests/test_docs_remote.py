"""The page about a workstation and a laptop, typed as it stands into two machines."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from service_support import picture_png, until
from two_machines import Machine, Started, missing, two_machines

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "remote.md").read_text(encoding="utf-8")
PORT = 5750

pytestmark = pytest.mark.slow


@dataclass(eq=False)
class Reader:
    """Somebody who types what the page says.

    Attributes:
        machines: by name. job: what is put in for JOB. running: what was started and goes on.
    """

    machines: dict[str, Machine]
    job: str = "JOB"
    running: dict[str, Started] = field(default_factory=dict)

    def follow(self, heading: str) -> str:
        """Type every command of a section where it belongs; all that was said."""
        said = ""
        for machine, script in commands(heading):
            for line in script.splitlines():
                said += self.type(machine, line.replace("JOB", self.job))
        return said

    def type(self, machine: str, line: str) -> str:
        """Type one command; one that goes on for ever is left running once it is ready."""
        if line.startswith("splinescape serve"):
            self.running["service"] = self.machines[machine].start(line)
            self.running["service"].says('"event": "ready"')
            return self.running["service"].said
        if line.startswith("ssh -N"):
            self.running["tunnel"] = self.machines[machine].start(line)
            until(lambda: self.machines[machine].listens(PORT), what="the tunnel")
            return ""
        said = self.machines[machine].run(line)
        sent = re.search(r"the service has it as job ([0-9a-f]{8})", said)
        if sent:
            self.job = sent[1]
        return said

    def refused(self, machine: str, line: str) -> str:
        """Type a command that cannot do what it should; what it says."""
        started = self.machines[machine].start(line)
        assert started.process.wait(60) == 2, started.said
        return started.said


def section(heading: str) -> str:
    """The text below a heading of the page."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"the page has no heading '{heading}'"
    return found[1]


def commands(heading: str) -> list[tuple[str, str]]:
    """(machine, commands) of the blocks of a section that are typed."""
    return re.findall(r"```sh (studio|laptop)\n(.*?)```", section(heading), re.DOTALL)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    with two_machines(tmp_path) as (studio, laptop):
        (laptop.home / "photo.jpg").write_bytes(picture_png(1, 96, 64))
        shutil.copy(ROOT / "examples" / "room_path.json", laptop.home / "camera_path.json")
        yield Reader({"studio": studio, "laptop": laptop})


def close_all_but_ssh(studio: Machine) -> None:
    if shutil.which("ufw") is None:
        pytest.skip("there is no ufw")
    studio.run("ufw allow 22/tcp && ufw --force enable")


def test_every_block_of_the_page_is_typed_or_told_not_to() -> None:
    kinds = re.findall(r"^```(.*)$", PAGE, re.MULTILINE)[::2]
    assert set(kinds) <= {"sh studio", "sh laptop", "sh systemd", "powershell", "ini", "toml", ""}


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd")
    (unit,) = re.findall(r"```ini\n(.*?)```", section("Start it with the machine"), re.DOTALL)
    installed = Path(sys.executable).parent / "splinescape"
    assert "%h/splinescape/.venv/bin/splinescape" in unit
    file = tmp_path / "splinescape.service"
    file.write_text(unit.replace("%h/splinescape/.venv/bin/splinescape", str(installed)))
    ran = subprocess.run(
        ("systemd-analyze", "--user", "verify", str(file)),
        env={"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_from_nothing_to_a_scene_in_one_network(reader: Reader) -> None:
    studio, laptop = reader.machines["studio"], reader.machines["laptop"]
    close_all_but_ssh(studio)
    made = reader.follow("2. On the workstation: a key, then the service")
    for line in section("2. On the workstation: a key, then the service").split("```\n")[2].splitlines():
        assert line in made
    reader.follow("4. On the laptop: get the connection file")
    assert (laptop.home / "splinescape-laptop.json").stat().st_mode & 0o077 == 0
    assert not (studio.home / "splinescape-laptop.json").exists()

    listing = "splinescape jobs list --remote splinescape-laptop.json"
    assert "or a firewall is in between" in reader.refused("laptop", listing)
    reader.follow("3. On the workstation: let the laptop through the firewall")
    assert reader.type("laptop", listing).endswith("no jobs\n")

    said = reader.follow("5. On the laptop: the first scene")
    assert {path.name for path in (laptop.home / "mine").iterdir()} == {"gf.ply", "film.mp4"}
    for words in (
        "[sending the picture, kB]",
        "the job is running",
        "[fetching gf.ply, kB]",
        f"job: {reader.job}",
    ):
        assert words in said

    said = reader.follow("Look after jobs")
    assert (laptop.home / "again" / "gf.ply").read_bytes() == (laptop.home / "mine" / "gf.ply").read_bytes()
    assert f"{reader.job}: pinned" in said
    assert len(list((laptop.home / "frames").glob("frame_*.png"))) == 60

    said = reader.follow("Several people")
    assert "anna" in said and "laptop is let in no longer" in said
    assert "does not accept this key" in reader.refused("laptop", listing)
    assert reader.running["service"].stop() == 0


def test_nothing_is_lost_when_the_line_breaks(reader: Reader) -> None:
    laptop = reader.machines["laptop"]
    reader.follow("2. On the workstation: a key, then the service")
    reader.follow("4. On the laptop: get the connection file")
    (laptop.home / "photo.jpg").write_bytes(picture_png(2, 160, 96))
    ((_, command),) = commands("5. On the laptop: the first scene")
    generate = laptop.start(command)
    generate.says("[train]")
    laptop.run("ip link set lan down")
    generate.says("trying again")
    laptop.run("ip link set lan up")
    generate.says("connected again")
    generate.end()
    assert (laptop.home / "mine" / "gf.ply").exists()


def test_from_nothing_to_a_scene_with_nothing_open_but_ssh(reader: Reader) -> None:
    studio, laptop = reader.machines["studio"], reader.machines["laptop"]
    close_all_but_ssh(studio)
    said = reader.follow("Through an SSH tunnel")
    assert "scene: mine/gf.ply" in said and (laptop.home / "mine" / "gf.ply").exists()

    reader.running["tunnel"].stop()
    listing = "splinescape jobs list --remote splinescape-travel.json"
    assert "or the SSH tunnel is closed" in reader.refused("laptop", listing)
    reader.type("laptop", next(line for _, line in commands("Through an SSH tunnel") if "ssh -N" in line))
    assert reader.job in reader.type("laptop", listing)
    assert reader.running["service"].stop() == 0


def test_settings_for_the_disk(reader: Reader) -> None:
    (settings,) = re.findall(r"```toml\n(.*?)```", section("Disk space"), re.DOTALL)
    (command,) = re.findall(r"`(splinescape serve [^`]*--config[^`]*)`", section("Disk space"))
    (reader.machines["studio"].home / "service.toml").write_text(settings)
    reader.type("studio", "splinescape keys new laptop --host studio:5750")
    assert '"endpoint": "tcp://0.0.0.0:5750"' in reader.type("studio", command)
    assert reader.running["service"].stop() == 0
