"""The command line: each file of this folder is one command, a function `command` with its options.

Exit status 0 when the verdict is good, 1 when it is bad, 2 for a mistake in the call or the input, told in one line.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tinyctl.errors import TinyctlError
from tinyctl.folders import modules
from tinyctl.version import VERSION

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Tiny learned controllers, from a laptop to a microcontroller.",
)

for _name, _module in modules(sys.modules[__name__]).items():
    app.command(_name)(_module.command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tinyctl {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True)] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit."""
    debug = "--debug" in sys.argv[1:2]
    try:
        status = app(standalone_mode=False)
    except TinyctlError as error:
        if debug:
            raise
        _fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        told = getattr(error, "format_message", None)  # typer's own complaints about the call
        if told is None or debug:
            raise
        _fail(" ".join(told().split()) or "see --help")
    sys.exit(status if isinstance(status, int) else 0)


def _fail(line: str) -> None:
    print(f"tinyctl: {line}", file=sys.stderr)
    sys.exit(2)
