"""``index``, ``add`` and ``remove``."""

from typing import TYPE_CHECKING, Any

import click

from camseek.address import whole_address
from camseek.cli.changes import tell_index, tell_remove
from camseek.cli.options import (
    NameType,
    WordType,
    collection_option,
    encoding_option,
    json_option,
    layer_option,
    limits_options,
    model_option,
    open_engine,
    ray_option,
    size_option,
)
from camseek.cli.output import shown
from camseek.cli.plans import read_class_list
from camseek.cli.progress import progress
from camseek.cli.verbs import Resumable
from camseek.config import PARTS
from camseek.names import absolute, path_text

if TYPE_CHECKING:
    from camseek.config import Limits


@click.command(cls=Resumable)
@click.argument("photos", metavar="PHOTOS", type=NameType())
@collection_option()
@click.option(
    "--include",
    type=WordType(),
    multiple=True,
    metavar="PATTERN",
    help="Take only files that match (repeatable). Patterns are those of .gitignore, told from PHOTOS on: "
    "'*.jpg', 'raw/', '/2024/**/*.png'. They are kept for later runs.",
)
@click.option(
    "--exclude",
    type=WordType(),
    multiple=True,
    metavar="PATTERN",
    help="Leave out files and folders that match (repeatable).",
)
@click.option("--no-patterns", is_flag=True, help="Clear the patterns that were kept from earlier runs.")
@click.option(
    "--allow-removal",
    is_flag=True,
    help="Let files leave even where they are many (more than 20 and a tenth of those of PHOTOS) or all.",
)
@click.option(
    "--relative/--no-relative",
    default=None,
    help="Find PHOTOS from COLLECTION on, so that a disk with both can be moved; or by its whole name "
    "again. [default: as before; a new one by its whole name]",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done; nothing is written.")
@ray_option(folders="PHOTOS")
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
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(PARTS),
    help="Do not keep a part of what is found by (a new collection; repeatable): points, which verify hits "
    "and find what is small or turned; fine, which verify noisy and soft pictures, and sketch, which finds "
    "what fills little of a picture: both need points.",
)
@model_option
@limits_options
@json_option
def index(
    photos: str,
    collection: str,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    no_patterns: bool,
    allow_removal: bool,
    relative: bool | None,
    dry_run: bool,
    cluster: str | None,
    encoding: Any,
    size: Any,
    layer: str | None,
    class_list: str | None,
    without: tuple[str, ...],
    model: str | None,
    limits: "Limits",
    as_json: bool,
) -> int:
    """Make COLLECTION hold what PHOTOS holds: a folder, a bucket (s3://...), or a IIIF manifest (https://...).

    New and changed pictures are encoded, moved ones keep what they have, gone ones leave. Hidden files and
    thumbnail folders are left out; links to files are followed, links to folders are not. A run that was
    stopped goes on where it ended.
    """
    from camseek.errors import NoCollectionError
    from camseek.indexing.bringing import Asked, rehearse
    from camseek.indexing.finding import find_pictures
    from camseek.job import Job
    from camseek.patterns import Patterns
    from camseek.store import open_collection, require_free

    if no_patterns and (include or exclude):
        raise click.UsageError("--no-patterns clears the patterns: give it, or patterns")
    given = bool(include or exclude or no_patterns)
    patterns: dict[str, Any] = {"include": include, "exclude": exclude} if given else {}
    try:
        open_collection(collection).close()
    except NoCollectionError:
        # A wrong name must not leave an empty collection behind.
        if dry_run:
            require_free(collection)
            asked = Asked(photos, **patterns, relative=relative)
            job = Job.of(limits, None)
            report = rehearse(None, whole_address(collection), asked, job=job)
            return tell_index(report, as_json=as_json)
        place = absolute(photos)
        find_pictures(place, Patterns.of(place, include, exclude))
    predefined = None
    if class_list:
        from camseek.backbones import load_model
        from camseek.extraction.classes import resolve_list

        predefined = resolve_list(load_model(model), read_class_list(class_list))
    options = {"encoding": encoding, "size": size, "layer": layer, "predefined": predefined}
    with (
        open_engine(
            collection, model=model, limits=limits, options=options, without=without, create=True
        ) as engine,
        progress() as shown_progress,
    ):
        report = engine.index(
            photos,
            **patterns,
            allow_removal=allow_removal,
            relative=relative,
            dry_run=dry_run,
            cluster=cluster,
            progress=shown_progress,
        )
    return tell_index(report, as_json=as_json)


@click.command(cls=Resumable)
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
    tell_index(report, as_json=as_json)


@click.command(cls=Resumable)
@click.argument("files", metavar="FILES...", nargs=-1, required=True, type=NameType())
@collection_option()
@click.option("--dry-run", is_flag=True, help="Only say what would leave; nothing is written.")
@json_option
def remove(files: tuple[str, ...], collection: str, dry_run: bool, as_json: bool) -> None:
    """Take pictures, or all under a folder, out of COLLECTION. The files themselves stay.

    What still lies in an indexed folder comes back with its next index run.
    """
    from camseek.errors import SourceError
    from camseek.indexing.leaving import coming_back

    with open_engine(collection) as engine:
        report = engine.remove(files, dry_run=dry_run)
        returning = coming_back(engine.info().roots, report.files)
    if not report.removed and len(report.unknown) == len(files):
        raise SourceError(
            f"nothing of that is in {report.collection}: {', '.join(map(shown, report.unknown))}",
            remedy="give names as camseek search prints them",
        )
    tell_remove(report, returning, as_json=as_json)
