"""The `splinescape` command. Nothing heavy is imported before a command runs, so that `--help` is instant."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence

import click

from splinescape.cli.doctor import doctor
from splinescape.cli.errors import explain
from splinescape.cli.generate import generate
from splinescape.cli.inspect import inspect
from splinescape.cli.jobs import jobs
from splinescape.cli.keys import keys
from splinescape.cli.models import models
from splinescape.cli.render import render
from splinescape.cli.serve import serve
from splinescape.errors import CancelledError

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="splinescape", prog_name="splinescape")
def cli() -> None:
    """One picture and one camera path become a scene of 3D Gaussian splats."""


for command in (generate, render, inspect, models, doctor, serve, jobs, keys):
    cli.add_command(command)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; what a user can mend becomes one line on stderr."""
    try:
        return cli.main(list(arguments), prog_name="splinescape", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "splinescape"
        return _fail(f"{error.format_message().rstrip('.')} (see {where} --help)", error, arguments)
    except click.ClickException as error:
        return _fail(error.format_message(), error, arguments)
    except CancelledError as error:
        click.echo(f"stopped: {error}", err=True)
        return EXIT_INTERRUPTED
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped", err=True)
        return EXIT_INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            os.dup2(
                os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
            )  # the reader of our output went away
            return EXIT_ERROR
        message = explain(error)
        if message is None:
            raise
        return _fail(message, error, arguments)


def _fail(message: str, error: Exception, arguments: Sequence[str]) -> int:
    if os.environ.get("SPLINESCAPE_DEBUG") or "--verbose" in arguments or "-v" in arguments:
        traceback.print_exception(error)
    click.echo(f"error: {' '.join(message.split())}", err=True)
    return EXIT_ERROR


def main() -> None:
    """Entry point of the `splinescape` script."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
