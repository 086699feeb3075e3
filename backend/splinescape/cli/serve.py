"""`splinescape serve`: the service that Blender, other programs and other machines send jobs to."""

from __future__ import annotations

import re
from pathlib import Path

import click

from splinescape.errors import InputError


@click.command()
@click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where jobs, keys and logs lie.  [default: the system's folder for application data]",
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help="Listen for other machines too, such as 0.0.0.0:5750; make a key for each with: splinescape keys new.  "
    "[default: this machine only, a free port]",
)
@click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="DEVICE",
    help="auto, cpu or cuda:N; one worker process each, may be repeated.  [default: auto]",
)
@click.option(
    "--idle-exit",
    "idle_exit_min",
    type=float,
    metavar="MINUTES",
    help="End by itself after so long without clients and jobs.  [default: never]",
)
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="Settings of the service (TOML)."
)
@click.option("-v", "--verbose", is_flag=True, help="Print a traceback with errors.")
def serve(
    data_dir: Path | None,
    listen: str | None,
    devices: tuple[str, ...],
    idle_exit_min: float | None,
    config: Path | None,
    verbose: bool,  # noqa: ARG001 - read where errors are caught
) -> None:
    """Run the service, which does jobs for other programs.

    It takes jobs, works on them one after the other on each device, and keeps their results. When it is ready it
    prints one line of JSON, whose "connection" names the file that programs on this machine need. Ctrl-C or SIGTERM
    ends it; jobs that are not done go on when it is started again.
    """
    from splinescape.service.serve import serve as run
    from splinescape.service.settings import load_settings

    given = {
        "data_dir": data_dir,
        "listen": listen,
        "devices": list(devices) or None,
        "idle_exit_min": idle_exit_min,
    }
    load_settings(config)  # whatever is wrong in the file is said of the file
    try:
        settings = load_settings(
            config, **{name: value for name, value in given.items() if value is not None}
        )
    except InputError as error:
        raise InputError(_with_flags(str(error))) from None
    run(settings)


def _with_flags(text: str) -> str:
    """A complaint about a setting in the words of the command line: "devices[0]: ..." -> "--device: ..."."""
    for setting, flag in (
        ("data_dir", "--data"),
        ("listen", "--listen"),
        ("devices", "--device"),
        ("idle_exit_min", "--idle-exit"),
    ):
        text = re.sub(rf"\A{setting}(\[\d+\])?:", f"{flag}:", text)
    return text
