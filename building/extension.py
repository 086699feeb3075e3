"""The Blender extension as zips, one for each platform, made and checked with Blender's own tool."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import tomllib
import zipfile
from pathlib import Path

from .blenders import BlenderEnvironment
from .steps import fail
from .wheels import collect_wheels

MANIFEST = "blender_manifest.toml"

_LISTING_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Splinescape for Blender</title>
<h1>Splinescape for Blender</h1>
<p>Drag the link of your system into Blender, or add this page's address (ending in index.json) as a repository.</p>
${body}
</html>
"""


def build_extension(source: Path, out: Path, builder: BlenderEnvironment) -> list[Path]:
    """Make the zips of the project in `source` below `out` and check them; returns them sorted by name.

    The same sources and the same Python give the same bytes.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="splinescape-extension-") as temporary:
        staged = _stage(source, Path(temporary) / "staged", builder)
        packed = Path(temporary) / "packed"
        packed.mkdir()
        _blender_tool(
            builder,
            "build",
            "--split-platforms",
            "--source-dir",
            staged,
            "--output-dir",
            packed,
            _tags(builder),
        )
        archives = [_repack(archive, out / archive.name) for archive in sorted(packed.glob("*.zip"))]
    for archive in archives:
        _blender_tool(builder, "validate", _tags(builder), archive)
    return archives


def build_repository(source: Path, folder: Path, builder: BlenderEnvironment) -> Path:
    """Make the zips in `folder` with a list of them beside; returns the list, whose address Blender subscribes to."""
    build_extension(source, folder, builder)
    with tempfile.TemporaryDirectory(prefix="splinescape-repository-") as temporary:
        page = Path(temporary) / "page.html"
        page.write_text(_LISTING_PAGE, encoding="utf-8")
        _blender_tool(builder, "server-generate", "--repo-dir", folder, "--html", "--html-template", page)
    return folder / "index.json"


def _stage(source: Path, staged: Path, builder: BlenderEnvironment) -> Path:
    """What goes into the extension, in one folder: the add-on, its manifest, the licence, the wheels."""
    manifest = (source / MANIFEST).read_text(encoding="utf-8")
    _check_version(source, manifest)
    shutil.copytree(source / "addon", staged, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*"))
    shutil.copyfile(source / "LICENSE", staged / "LICENSE")
    wheels = collect_wheels(source, staged / "wheels", builder)
    (staged / MANIFEST).write_text(with_wheels(manifest, wheels), encoding="utf-8", newline="\n")
    return staged


def with_wheels(manifest: str, wheels: list[str]) -> str:
    """The manifest's text with its list of wheels, which stands before the first table."""
    listed = "".join(f'  "./wheels/{name}",\n' for name in wheels)
    head, table, rest = manifest.partition("\n[")
    text = f"{head}\nwheels = [\n{listed}]\n{table}{rest}"
    tomllib.loads(text)
    return text


def _check_version(source: Path, manifest: str) -> None:
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    extension = tomllib.loads(manifest)["version"]
    if project != extension:
        fail(f"{MANIFEST} says version {extension}, pyproject.toml says {project}: they must be the same")


def _repack(archive: Path, target: Path) -> Path:
    """Copy a zip with its members in order and without dates, owners and permissions."""
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in sorted(old.namelist()):
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3
            member.external_attr = 0o644 << 16
            member.compress_type = zipfile.ZIP_STORED if name.endswith(".whl") else zipfile.ZIP_DEFLATED
            new.writestr(member, old.read(name))
    return target


def _tags(builder: BlenderEnvironment) -> str:
    return f"--valid-tags={builder.scripts / 'modules' / '_bpy_internal' / 'extensions' / 'tags.py'}"


def _blender_tool(builder: BlenderEnvironment, *arguments: str | Path) -> None:
    """Run Blender's tool for extensions; what it says is shown only when it fails."""
    tool = builder.scripts / "addons_core" / "bl_pkg" / "cli" / "blender_ext.py"
    ran = subprocess.run(
        [str(part) for part in (builder.python, "-I", tool, *arguments)], capture_output=True, text=True
    )
    if ran.returncode:
        fail(f"Blender's tool refuses: {arguments[0]}\n{ran.stdout}{ran.stderr}")
