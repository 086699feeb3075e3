"""The documentation speaks of files, flags, settings and code that exist."""

import json
import re
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from splinescape import CameraPath
from splinescape.cli.main import cli
from splinescape.cli.options import flag_of
from splinescape.config import SceneConfig
from splinescape.service.settings import ServiceSettings

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHER_TOOLS = {
    "--python-exit-code",
    "--python-expr",
    "--extra-index-url",
    "--quick",
    "--user",
    "--now",
}


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_files_and_headings_that_exist(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        name, _, heading = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page.name} links to {target}"
        if heading:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in [anchor(h) for h in headings], f"{page.name} links to {target}"


def commands(group):
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from commands(command)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_flag_that_is_mentioned_exists(page):
    options = [o for command in commands(cli) for p in command.params for o in (*p.opts, *p.secondary_opts)]
    known = {*options, "--help", "--version", *OTHER_TOOLS}
    for script in (ROOT / "benchmarks").rglob("*.py") if page.parent.name == "benchmarks" else ():
        known |= set(re.findall(r'"(--[a-z-]+)"', script.read_text(encoding="utf-8")))
    for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z](?![\w*-])", page.read_text(encoding="utf-8")):
        assert flag in known, f"{page.name} mentions {flag}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_path_files_load_and_snippets_compile(page):
    for text in blocks(page, "json"):
        assert len(CameraPath.from_json(json.dumps(json.loads(text))).sample(5)) == 5
    for number, code in enumerate(blocks(page, "python")):
        compile(code, f"{page.name}, snippet {number}", "exec")


def test_the_table_of_settings_is_complete_and_its_defaults_are_true():
    rows = re.findall(
        r"^\| `(--[a-z-]+)`.*? \| (.*?) \|",
        (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    table = dict(rows)
    for name, field in SceneConfig.model_fields.items():
        shown = "on" if field.default is True else str(field.default) or "empty"
        assert table.get(flag_of(name)) == shown, name


def service_settings(model=ServiceSettings, prefix=""):
    """(name, default) of every setting of the service, those of its tables with a dot."""
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from service_settings(type(field.default), f"{name}.")
        else:
            yield prefix + name, field.default


def test_the_table_of_the_services_settings_is_complete_and_its_defaults_are_true():
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8").split("### Settings of the service")[1]
    table = dict(re.findall(r"^\| `([a-z_.]+)` \| (.*?) \|", text.split("\n## ")[0], re.MULTILINE))
    known = dict(service_settings())
    assert sorted(table) == sorted(known)
    for name, default in known.items():
        if name == "data_dir":
            continue
        shown = (
            "none" if default is None else json.dumps(default) if isinstance(default, tuple) else str(default)
        )
        assert table[name] == shown, name


def test_every_command_of_the_service_is_in_the_manual():
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for name, command in cli.commands.items():
        part = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for sub in getattr(command, "commands", {}):
            assert re.search(rf"^\| `{sub}\b", part, re.MULTILINE), f"{name} {sub}"
        for parameter in command.params:
            hidden = parameter.name in (*SceneConfig.model_fields, "verbose", "quiet")
            if isinstance(parameter, click.Option) and not hidden:
                assert parameter.opts[0] in part, f"{name} {parameter.opts[0]}"
