"""The command line: verbs, exit codes and errors."""

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from camseek.cli.audit import audit_command
from camseek.cli.classes import classes_command
from camseek.cli.copying import copy_command
from camseek.cli.datasets import datasets
from camseek.cli.evaluate import evaluate_command
from camseek.cli.examples import EXAMPLES, TASKS
from camseek.cli.fit import enrich, fit
from camseek.cli.indexing import add, index, remove
from camseek.cli.keeping import check, info
from camseek.cli.listing import duplicates, export, list_command
from camseek.cli.model import model
from camseek.cli.output import ReaderGoneError, emit, hold_standard_files, note, printable, say, speak_utf8
from camseek.cli.paper import paper_command
from camseek.cli.searching import explain, search
from camseek.cli.serving import open_command, serve, token
from camseek.cli.shards import shards_command
from camseek.cli.upgrade import upgrade
from camseek.cli.verbs import Resumable, Verbs, give_examples, give_help
from camseek.errors import CamseekError, OutputError
from camseek.version import VERSION
from camseek.words import INTERRUPTED, NOTHING_WRITTEN

DONE, FAILED, WRONG_USAGE = 0, 1, 2


class _Interrupted(Exception):  # noqa: N818  # no error of anybody's
    """An interrupt of a verb, in a form that click passes on without a line of its own."""

    def __init__(self, *, goes_on: bool) -> None:
        super().__init__(goes_on)
        self.goes_on = goes_on


class _Program(Verbs):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            verb = self.commands.get(ctx.invoked_subcommand or "")
            raise _Interrupted(goes_on=isinstance(verb, Resumable)) from error


def _show_version(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        say(f"camseek, version {VERSION}")
        context.exit()


_HELP = """Visual instance search: find every picture that shows the same thing.

Index a folder once, then search it with a picture, or with a region of one:

\b
  camseek index PHOTOS --collection my.camseek
  camseek search PICTURE --collection my.camseek
  camseek search PICTURE --collection my.camseek --report hits.html
"""


@click.group(
    cls=_Program,
    tasks=TASKS,
    help=_HELP,
    context_settings={"max_content_width": 100},
    epilog="See camseek VERB --help for examples of each.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    help="Show the version and exit.",
    callback=_show_version,
)
def camseek() -> None:
    """The program: ``_HELP`` says it to users."""


for command in (
    index,
    add,
    remove,
    search,
    explain,
    classes_command,
    evaluate_command,
    audit_command,
    paper_command,
    datasets,
    fit,
    enrich,
    upgrade,
    model,
    info,
    check,
    list_command,
    duplicates,
    export,
    copy_command,
    open_command,
    serve,
    shards_command,
    token,
):
    camseek.add_command(command)
give_examples(camseek, EXAMPLES)
give_help(camseek)


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code: 0, 1 (failed), 2 (wrong usage) or 130 (interrupted)."""
    as_json = "--json" in arguments
    try:
        code: Any = camseek.main(args=list(arguments), prog_name="camseek", standalone_mode=False)
        return code if isinstance(code, int) else DONE
    except click.exceptions.NoArgsIsHelpError as error:
        note(error.format_message())  # the whole help, and no error for somebody who only looks around
        return WRONG_USAGE
    except click.UsageError as error:
        hint = f"see: {error.ctx.command_path} --help" if error.ctx else "see: camseek --help"
        message = error.format_message().removesuffix(".")  # the hint is part of the sentence
        return _fail("usage", message, hint, as_json=as_json, exit_code=WRONG_USAGE)
    except CamseekError as error:
        return _fail(error.code, error.message, error.remedy, as_json=as_json)
    except (_Interrupted, click.Abort, KeyboardInterrupt) as error:
        goes_on = isinstance(error, _Interrupted) and error.goes_on
        return _fail(
            "interrupted",
            "interrupted",
            "what was done is kept; run it again to go on" if goes_on else NOTHING_WRITTEN,
            as_json=as_json,
            exit_code=INTERRUPTED,
        )
    except ReaderGoneError:
        return DONE
    except MemoryError:
        return _fail("memory", "out of memory", "use a smaller --max-megapixels", as_json=as_json)
    except FileNotFoundError as error:
        if _is_somewhere():
            return _internal(error, as_json=as_json)
        remedy = "go to a folder that is there, or give whole names"
        return _fail("folder", "the working folder has gone", remedy, as_json=as_json)
    except Exception as error:  # the last place before the user: a fault of ours, told as such
        return _internal(error, as_json=as_json)


def _is_somewhere() -> bool:
    """Whether the working folder is there: it may have been deleted."""
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def _internal(error: Exception, *, as_json: bool) -> int:
    if not as_json:
        traceback.print_exc()
    message = f"internal error: {type(error).__name__}: {error}"
    return _fail("internal", message, "this is a fault in camseek; please report it", as_json=as_json)


def main() -> None:
    """The ``camseek`` command."""
    hold_standard_files()
    speak_utf8()
    sys.exit(run(sys.argv[1:]))


def _fail(code: str, message: str, remedy: str, *, as_json: bool, exit_code: int = FAILED) -> int:
    if as_json:
        # Where stdout is what failed, the line on stderr and the exit code must do.
        with contextlib.suppress(ReaderGoneError, OutputError):
            emit({"error": {"code": code, "message": message, "remedy": remedy}})
    note(f"camseek: {printable(message)}; {printable(remedy)}")
    return exit_code
