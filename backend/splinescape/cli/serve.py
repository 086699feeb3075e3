"""`splinescape serve`: the service that Blender, other programs and other machines send jobs to."""

from __future__ import annotations

from pathlib import Path

import click


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
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="Settings of the service (TOML)."
)
@click.option("-v", "--verbose", is_flag=True, help="Print a traceback with errors.")
def serve(
    data_dir: Path | None,
    listen: str | None,
    devices: tuple[str, ...],
    config: Path | None,
    verbose: bool,  # noqa: ARG001 - read where errors are caught
) -> None:
    """Run the service: it takes jobs, works on them one after the other and keeps their results.

    Prints one line of JSON when it is ready; its "connection" names the file that clients need.
    """
    from splinescape.service.serve import serve as run
    from splinescape.service.settings import load_settings

    given = {"data_dir": data_dir, "listen": listen, "devices": list(devices) or None}
    run(load_settings(config, **{name: value for name, value in given.items() if value is not None}))
