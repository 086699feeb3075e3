"""The documentation speaks of files, flags, settings and code that exist."""

import json
import re
from pathlib import Path

import pytest

from splinescape import CameraPath
from splinescape.cli.main import cli
from splinescape.cli.options import flag_of
from splinescape.config import SceneConfig

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHER_TOOLS = {"--extra-index-url", "--quick", "--scaling", "--torch", "--save", "--world"}


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_flag_that_is_mentioned_exists(page):
    options = [
        o for command in cli.commands.values() for p in command.params for o in (*p.opts, *p.secondary_opts)
    ]
    known = {*options, "--help", "--version", *OTHER_TOOLS}
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
