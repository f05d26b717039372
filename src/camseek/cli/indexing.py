"""``index``, ``add`` and ``remove``."""

from typing import TYPE_CHECKING, Any

import click

from camseek.cli.options import (
    NameType,
    collection_option,
    encoding_option,
    json_option,
    layer_option,
    limits_options,
    model_option,
    open_engine,
    size_option,
)
from camseek.cli.output import emit, note, printable, say, shown
from camseek.cli.plans import read_class_list
from camseek.cli.progress import progress
from camseek.names import absolute, path_json, path_text

if TYPE_CHECKING:
    from camseek.config import Limits
    from camseek.results import IndexReport


@click.command()
@click.argument("photos", metavar="PHOTOS", type=NameType())
@collection_option()
@click.option("--include", multiple=True, metavar="PATTERN", help="Take only files that match (repeatable).")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave out files and folders that match.")
@click.option("--allow-removal", is_flag=True, help="Let a missing or empty PHOTOS take its pictures along.")
@encoding_option
@size_option
@layer_option
@click.option(
    "--class-list",
    metavar="FILE",
    type=NameType(),
    help="Describe every picture with these classes: predefined aggregation (a new collection; "
    "--encoding cam).",
)
@model_option
@limits_options
@json_option
def index(
    photos: str,
    collection: str,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    allow_removal: bool,
    encoding: Any,
    size: Any,
    layer: str | None,
    class_list: str | None,
    model: str | None,
    limits: "Limits",
    as_json: bool,
) -> None:
    """Make COLLECTION hold what the folder PHOTOS holds.

    New and changed pictures are encoded, moved ones keep what they have, gone ones leave. Hidden files and
    thumbnail folders are left out; links to files are followed, links to folders are not. A run that was
    stopped goes on where it ended.
    """
    from camseek.errors import NoCollectionError
    from camseek.indexing.finding import find_pictures
    from camseek.patterns import Patterns
    from camseek.store import open_collection

    try:
        open_collection(collection).close()
    except NoCollectionError:
        # A wrong name must not leave an empty collection behind.
        place = absolute(photos)
        find_pictures(place, Patterns.of(place, include, exclude))
    predefined = None
    if class_list:
        from camseek.backbones import load_model
        from camseek.extraction.classes import resolve_list

        predefined = resolve_list(load_model(model), read_class_list(class_list))
    options = {"encoding": encoding, "size": size, "layer": layer, "predefined": predefined}
    with (
        open_engine(collection, model=model, limits=limits, options=options, create=True) as engine,
        progress() as shown_progress,
    ):
        report = engine.index(
            photos,
            include=include,
            exclude=exclude,
            allow_removal=allow_removal,
            progress=shown_progress,
        )
    _tell(report, as_json=as_json)


@click.command()
@click.argument("files", metavar="FILES...", nargs=-1, required=True, type=NameType())
@collection_option()
@model_option
@limits_options
@json_option
def add(files: tuple[str, ...], collection: str, model: str | None, limits: "Limits", as_json: bool) -> None:
    """Bring single pictures into COLLECTION; they stay until they are removed."""
    from camseek.errors import SourceError
    from camseek.indexing.finding import find_files

    # As above: a wrong name must not leave an empty collection behind.
    found, skipped = find_files(absolute(path) for path in files)
    if not found:
        reasons = "; ".join(f"{path_text(item.path)}: {item.reason}" for item in skipped)
        raise SourceError(f"there is nothing to add: {reasons}", remedy="check the names")
    with (
        open_engine(collection, model=model, limits=limits, create=True) as engine,
        progress() as shown_progress,
    ):
        report = engine.add(files, progress=shown_progress)
    _tell(report, as_json=as_json)


@click.command()
@click.argument("files", metavar="FILES...", nargs=-1, required=True, type=NameType())
@collection_option()
@json_option
def remove(files: tuple[str, ...], collection: str, as_json: bool) -> None:
    """Take pictures, or all under a folder, out of COLLECTION. The files themselves stay.

    What still lies in an indexed folder comes back with its next index run.
    """
    from camseek.errors import SourceError

    with open_engine(collection) as engine:
        removed, unknown = engine.remove(files)
        address = engine.collection.address
    if not removed and len(unknown) == len(files):
        raise SourceError(
            f"nothing of that is in {address}: {', '.join(shown(path) for path in unknown)}",
            remedy="give names as camseek search prints them",
        )
    if as_json:
        emit({"collection": address, "removed": removed, "unknown": [path_json(path) for path in unknown]})
        return
    for path in unknown:
        note(f"not in the collection: {shown(path)}")
    say(f"{removed} removed")


def _tell(report: "IndexReport", *, as_json: bool) -> None:
    if as_json:
        emit(report.to_json())
        return
    for title, items in (
        ("odd", report.warnings),
        ("folder not read, what was known of it is kept", report.unknown),
        ("skipped", report.skipped),
    ):
        for item in items:
            note(f"{title}: {shown(item.path)}: {printable(item.reason)}")
    counts = {
        "added": report.added,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "moved": report.moved,
        "removed": report.removed,
        "skipped": len(report.skipped),
    }
    say(", ".join(f"{count} {name}" for name, count in counts.items()))
    if report.featureless:
        say(f"{report.featureless} featureless: the network sees nothing in them, no search finds them")
    if report.encoded:
        say(
            f"{report.encoded} pictures encoded in {report.seconds:.1f} s, "
            f"{report.pictures_per_second:.1f} a second"
        )
