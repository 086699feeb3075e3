"""`splinescape doctor`: what this installation can do and why, to read or to paste into a bug report."""

from __future__ import annotations

import json
from typing import Any

import click

from splinescape.errors import EngineUnavailableError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(as_json: bool) -> None:
    """Show what this installation can do and what it lacks.

    That is devices, engines and models, what would be chosen and why, and what would make it better. Nothing is
    changed and no model is loaded. The exit code is 0 when scenes can be made here.
    """
    from splinescape.doctor import examine

    facts = examine()
    if as_json:
        click.echo(json.dumps(facts, indent=1))
    else:
        for title, lines in _sections(facts):
            click.echo(f"{title:12}  {lines[0] if lines else ''}".rstrip())
            for line in lines[1:]:
                click.echo(f"{'':12}  {line}")
        click.echo(
            "\nIn a bug report, paste all of this, the command you typed, and what it printed with --verbose."
        )
    if not facts["runs"]:
        raise EngineUnavailableError(
            f"scenes cannot be made here: {'; '.join(facts['trouble'])}; install Splinescape again"
        )


def _sections(facts: dict[str, Any]) -> list[tuple[str, list[str]]]:
    machine, models, service = facts["machine"], facts["models"], facts["service"]
    listening = f"running at {service['endpoint']}" if service["running"] else "not running"
    sections = [
        ("splinescape", [facts["splinescape"]]),
        ("python", [facts["python"]]),
        ("system", [facts["system"]]),
        ("processor", [f"{machine['processor']}, {machine['cores']} cores"]),
        ("memory", [_room(machine)]),
    ]
    if "torch" in facts:
        sections += [("torch", _torch(facts["torch"])), ("gsplat", [_gsplat(facts["gsplat"])])]
    sections += [
        ("extras", [f"{name}: {_extra(missing)}" for name, missing in facts["extras"].items()]),
        ("models", _models(models)),
        ("service", [f"{listening}; its folder: {service['folder'] or 'unknown'}"]),
    ]
    for role in facts.get("engines", ()):
        sections.append((role["role"], [f"{role['engine']} ({role['reason']})"]))
        sections += [("", [f"-> {line}"]) for line in role["better"]]
    return sections


def _room(facts: dict[str, Any]) -> str:
    return f"{facts['memory_free'] / 2**30:.1f} of {facts['memory_total'] / 2**30:.1f} GiB free"


def _torch(torch: dict[str, Any]) -> list[str]:
    driver = f", driver {torch['driver']}" if torch["driver"] else ""
    devices = [f"{each['device']}: {each['name']}, {_room(each)}" for each in torch["devices"]]
    return [f"{torch['version']} for {torch['build']}{driver}; models run on {torch['chosen']}", *devices]


def _gsplat(gsplat: dict[str, Any]) -> str:
    if gsplat["version"] is None:
        return "not installed"
    compiled = "compiled" if gsplat["compiled"] else "not compiled yet"
    usable = gsplat["missing"] or "can be used"
    return f"{gsplat['version']}, {compiled}, nvcc: {gsplat['nvcc'] or 'none'}; {usable}"


def _extra(missing: list[str]) -> str:
    return f"not complete, without {', '.join(missing)}" if missing else "installed"


def _models(models: dict[str, Any]) -> list[str]:
    here = [f"{id}: {state}" for id, state in models["states"].items() if state != "absent"]
    absent = sum(state == "absent" for state in models["states"].values())
    free = models["disk_free"]
    room = "its disk does not answer" if free is None else f"{free / 1e9:.0f} GB free on its disk"
    lines = [f"{models['folder']}, {room}", *here]
    return [*lines, f"{absent} not on this disk (see: splinescape models list)", *models["problems"]]
