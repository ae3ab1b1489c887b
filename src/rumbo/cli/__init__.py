"""The command line: one file a command, imported when it is called. It carries; nothing is decided here.

Data goes to standard output, words for people to standard error. Exit codes: 0 ok, 1 findings, 2 usage, 69 broker away,
70 internal, 78 bad definition or setting (sysexits.h, as Vector uses it), 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from rumbo import __version__
from rumbo.errors import RumboError

COMMANDS = {
    "acls": "The rights that a worker needs on the broker, and no more.",
    "check": "Find every problem of a topology, at once.",
    "demo": "A year of real shoppers, live, on an embedded broker.",
    "diff": "What a new version would have decided otherwise, over the same history.",
    "doctor": "What stands between this machine and a running worker.",
    "draw": "Draw the journeys as Mermaid or SVG.",
    "eval": "Try an expression on an event.",
    "explain": "Why a decision was taken, as a tree.",
    "init": "Begin a topology of your own.",
    "inspect": "What intake makes of each record of a file.",
    "plan": "The events and fields that a topology needs, and what a history has of them.",
    "run": "Run a worker.",
    "schema": "Print or write the JSON Schemas and the AsyncAPI document.",
    "simulate": "Run a history through a topology, with no broker.",
    "sink": "Every decision in a SQLite file, each once, for readers outside of Kafka.",
    "test": "Run a topology's examples on a virtual clock.",
    "topics": "The topics that a topology needs: list, compare, create.",
    "why-not": "Why a trigger did not act for a customer at an instant.",
}

_FILES = {"eval": "evaluate", "why-not": "why_not"}
"""Commands whose names no module can have."""


class _Commands(click.Group):
    """Commands that are imported when they are called, so that `rumbo --help` is quick."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = import_module(f"rumbo.cli.{_FILES.get(name, name)}")
        command: click.Command = module.command
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="rumbo")
def rumbo() -> None:
    """Rumbo: stage transitions, lead scores and triggered actions from customer interactions on Kafka, exactly once."""


def _leave(code: int) -> None:
    """End the process at once where a command has kept much until its end (`lines.until_the_end`): the system takes memory back as it is."""
    lines = sys.modules.get("rumbo.cli.lines")
    if lines is not None and lines.kept:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line and exit. Every error is one message with its exit code; a stack trace is for our own mistakes."""
    try:
        code = rumbo.main(args=arguments, prog_name="rumbo", standalone_mode=False) or 0
        if arguments is None:
            _leave(code)
        sys.exit(code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except RumboError as error:
        click.echo(f"rumbo: {error}", err=True)
        sys.exit(error.exit_code)
