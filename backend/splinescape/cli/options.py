"""The settings of a scene as command line options: one loop over `SceneConfig`, so that neither can drift."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import click
from annotated_types import Ge, Le, Lt
from pydantic.fields import FieldInfo

from splinescape.config import SceneConfig


def flag_of(field: str) -> str:
    """`coarse_min_inpaint_ratio` -> `--coarse-min-inpaint-ratio`."""
    return "--" + field.replace("_", "-")


def allowed(field: str) -> str:
    """What a setting accepts, in words: "from 2 to 200", "one of: none, closest"; "" when anything goes."""
    info = SceneConfig.model_fields[field]
    if get_origin(info.annotation) is Literal:
        return "one of: " + ", ".join(get_args(info.annotation))
    low = next((limit.ge for limit in info.metadata if isinstance(limit, Ge)), None)
    high = next((limit.le for limit in info.metadata if isinstance(limit, Le)), None)
    below = next((limit.lt for limit in info.metadata if isinstance(limit, Lt)), None)
    if low is None:
        return ""
    if high is None:
        return f"from {low} to {int(below) - 1}" if isinstance(below, int) else f"at least {low}"
    return f"from {low} to {high}"


def _option(name: str, info: FieldInfo) -> Callable[[Any], Any]:
    flag = flag_of(name)
    accepts = allowed(name)
    text = (
        f"{info.description} {accepts.capitalize()}."
        if accepts.startswith(("from", "at"))
        else info.description
    )
    common: dict[str, Any] = {"default": info.default, "show_default": True, "help": text}
    if info.annotation is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", name, **common)
    if get_origin(info.annotation) is Literal:
        return click.option(flag, name, type=click.Choice(get_args(info.annotation)), **common)
    if info.annotation is str:
        return click.option(flag, name, type=str, **(common | {"show_default": info.default or "none"}))
    return click.option(flag, name, type=info.annotation, **common)


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command one option per setting; click hands them over under the settings' own names."""
    for name, info in reversed(SceneConfig.model_fields.items()):
        command = _option(name, info)(command)
    return command


def take_config(parameters: dict[str, Any]) -> SceneConfig:
    """Remove the settings from a command's parameters and check them.

    Raises:
        pydantic.ValidationError: a value is out of range.
    """
    return SceneConfig(**{name: parameters.pop(name) for name in SceneConfig.model_fields})


def given_flags(context: click.Context) -> list[str]:
    """The flags that the user typed, as opposed to defaults, in the order of the help text."""
    typed = click.core.ParameterSource.COMMANDLINE
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if isinstance(parameter, click.Option) and context.get_parameter_source(parameter.name or "") is typed
    ]
