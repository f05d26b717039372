"""``copy``: a collection at another address."""

import click

from camseek.address import real_address
from camseek.cli.options import FOLDER, json_option
from camseek.cli.output import emit, note, printable, say
from camseek.cli.progress import progress
from camseek.cli.verbs import Resumable
from camseek.words import counted


@click.command("copy", cls=Resumable)
@click.argument("source", metavar="COLLECTION", type=FOLDER)
@click.argument("target", metavar="COPY", type=FOLDER)
@json_option
def copy_command(source: str, target: str, as_json: bool) -> None:
    """Copy COLLECTION to another address, COPY: between a folder and a server, say. Nothing is encoded again.

    Searches and other writers go on meanwhile; what comes after the beginning comes with the next run. A run
    that was stopped goes on where it ended. What COPY has and COLLECTION has not stays.
    """
    from camseek.errors import SettingsError
    from camseek.indexing.copying import copy
    from camseek.job import Job
    from camseek.store import open_collection

    if real_address(source) == real_address(target):
        raise SettingsError("a collection cannot be copied to itself", remedy="name another address")
    with open_collection(source, keep_vectors=False) as opened, progress() as shown_progress:
        report = copy(opened, target, job=Job.of(None, None).told(shown_progress, None))
    if as_json:
        emit(report.to_json())
        return
    say(
        f"{counted(report.copied, 'picture')} of {report.pictures:,} and {counted(report.files, 'file')} "
        f"copied to {printable(report.target)} in {report.seconds:.1f} s"
    )
    if report.left:
        what = (
            "is kept for camseek upgrade --undo" if report.left == "kept" else "a fit or an upgrade is making"
        )
        note(f"what {what} was not copied")
    if report.damaged:
        parts = counted(report.damaged, "part is damaged and was", "parts are damaged and were")
        note(f"{parts} left out: camseek enrich makes them anew")
