"""``list``, ``duplicates`` and ``export``."""

import os
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any

import click

from camseek.address import whole_address
from camseek.cli.options import Amount, NameType, WordType, collection_option, json_option, open_engine
from camseek.cli.output import emit, json_line, note, printable, say, shown
from camseek.cli.outputs import Outputs, force_option
from camseek.cli.progress import progress
from camseek.config import NEAR_COPY
from camseek.rows import CsvRows
from camseek.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from camseek.engine import Engine
    from camseek.results import Skipped
    from camseek.store import StoredPicture

_COLUMNS = (
    "path",
    "record",
    "row",
    "width",
    "height",
    "format",
    "bytes",
    "copies",
    "sha256",
    "path_bytes",
)

match_option = click.option(
    "--match",
    type=WordType(),
    metavar="PATTERN",
    multiple=True,
    help="Only names that match: *.jpg, or 2019 for a folder of any depth (repeatable).",
)


@click.command("list")
@collection_option(positional=True)
@match_option
@click.option("--skipped", is_flag=True, help="The files that could not be used instead, and why.")
@json_option
def list_command(collection: str, match: tuple[str, ...], skipped: bool, as_json: bool) -> None:
    """List the pictures of COLLECTION: their size, format, bytes and every name.

    They come in the order in which they came in, a name on each line; with --json one object a line for each
    picture.
    """
    from camseek.listing import Match

    with open_engine(collection) as engine:
        named = Match(match)
        left_out = named.skipped(engine.collection)
        if skipped:
            _tell_skipped(left_out, as_json=as_json)
            return
        pictures = names = 0
        for picture in named.pictures(engine.collection):
            pictures, names = pictures + 1, names + len(picture.paths)
            if as_json:
                emit(picture.to_json())
            for path in () if as_json else picture.paths:
                say(f"{_told(picture)}  {shown(path)}")
    told = f"{counted(pictures, 'picture')} under {counted(names, 'name')}"
    if left_out:
        told += f"; {counted(len(left_out), 'file')} could not be used: camseek list --skipped"
    note(told)


def _told(picture: "StoredPicture") -> str:
    width, height = picture.size
    return f"{f'{width}x{height}':>11}  {picture.format:<9}  {picture.bytes:>11,}"


def _tell_skipped(found: "list[Skipped]", *, as_json: bool) -> None:
    for item in found:
        if as_json:
            emit(item.to_json())
        else:
            say(f"{shown(item.path)}: {printable(item.reason)}")
    note(f"{counted(len(found), 'file')} could not be used")


@click.command("duplicates")
@collection_option(positional=True)
@click.option(
    "--threshold",
    type=Amount(min=0, min_open=True, max=1),
    help=f"The cosine of two descriptors from which on pictures are near copies. [default: {NEAR_COPY}]",
)
@click.option("--same", is_flag=True, help="Only files of the same content; no descriptors are compared.")
@json_option
def duplicates(collection: str, threshold: float | None, same: bool, as_json: bool) -> None:
    """List the pictures that COLLECTION has more than once; nothing is deleted.

    Below the first name of each picture, in the order of names, stand the other names of its content (same),
    and near copies of it that came into the collection later (smaller, cropped a little, compressed again)
    with their cosine, which those with it are that are alike by chance, too: look before you delete. Which
    name of a content is the original is not known. With --json one object a line for each picture.
    """
    if same and threshold is not None:
        raise click.UsageError("--same compares no descriptors: leave out --threshold")
    groups = files = 0
    with open_engine(collection) as engine, progress() as shown_progress:
        for found in engine.copies(None if same else threshold or NEAR_COPY, progress=shown_progress):
            groups += 1
            files += len(found.picture.paths) - 1 + sum(len(item.paths) for item, _ in found.near)
            if as_json:
                emit(found.to_json())
                continue
            first, *others = found.picture.paths
            say(shown(first))
            for path in others:
                say(f"   same  {shown(path)}")
            for item, score in found.near:
                for path in item.paths:
                    say(f"  {score:.3f}  {shown(path)}")
    note(f"{counted(groups, 'picture')} with {counted(files, 'copy', 'copies')}")


@click.command("export")
@collection_option(positional=True)
@match_option
@click.option("--csv", "csv_path", metavar="OUT.csv", type=NameType(), help="A table, a row for each name.")
@click.option(
    "--json-lines",
    "lines_path",
    metavar="OUT.jsonl",
    type=NameType(),
    help="An object for each picture, one a line.",
)
@click.option(
    "--descriptors",
    "array_path",
    metavar="OUT.npy",
    type=NameType(),
    help="The descriptors as an array of NumPy, and OUT.csv with the name of each of its rows.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    show_default=True,
    help="Of the array. The numbers are the same: they are kept in float16.",
)
@force_option
@json_option
def export(
    collection: str,
    match: tuple[str, ...],
    csv_path: str | None,
    lines_path: str | None,
    array_path: str | None,
    precision: str,
    force: bool,
    as_json: bool,
) -> None:
    """Write what COLLECTION holds to files for other programs.

    A table for a spreadsheet (--csv), JSON lines, or descriptors of unit length for NumPy. The column row
    says which row of the array is the picture's; pictures without a descriptor have none.
    """
    import numpy as np

    if array_path is not None and not array_path.endswith(".npy"):
        raise click.UsageError(f"--descriptors {array_path}: name it .npy")
    names_path = None if array_path is None else array_path.removesuffix(".npy") + ".csv"
    written = [path for path in (csv_path, lines_path, array_path, names_path) if path is not None]
    if not written:
        raise click.UsageError("nothing to write: give --csv, --json-lines or --descriptors")
    outputs = Outputs(written, force=force, reads=[collection])
    with open_engine(collection) as engine, engine.collection.snapshot(), ExitStack() as stack:
        outputs.spare(engine.collection)
        table = None if csv_path is None else CsvRows(stack.enter_context(outputs.open(csv_path)), _COLUMNS)
        lines = None if lines_path is None else stack.enter_context(outputs.open(lines_path))
        described: list[int] = []
        pictures = 0
        for picture in engine.pictures(match):
            pictures += 1
            row = None if picture.featureless else len(described)
            if row is not None:
                described.append(picture.record)
            if table is not None:
                for cells in _rows(picture, row):
                    table.write(cells)
            if lines is not None:
                lines.write(json_line(picture.to_json() | {"row": row}).encode() + b"\n")
        if array_path is not None and names_path is not None:
            array = stack.enter_context(outputs.open(array_path))
            names = stack.enter_context(outputs.open(names_path))
            _write_array(engine, np.array(described, np.int64), precision, array, names)
    if as_json:
        emit(
            {
                "collection": whole_address(collection),
                "pictures": pictures,
                "descriptors": len(described),
                "files": [os.path.abspath(path) for path in written],
            }
        )
        return
    for path in written:
        say(printable(os.path.abspath(path)))
    note(f"{counted(pictures, 'picture')}, {counted(len(described), 'descriptor')}")


def _write_array(engine: "Engine", records: Any, precision: str, array: IO[bytes], names: IO[bytes]) -> None:
    """An array in NumPy's own form, row by row, and the names of its rows."""
    import numpy as np
    from numpy.lib import format as npy

    kind = np.dtype(precision).newbyteorder("<")
    shape = (len(records), engine.collection.vectors.dimensions)
    header = {"descr": npy.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(array, header)
    table, row = CsvRows(names, _COLUMNS), 0
    for pictures, vectors in engine.descriptor_blocks(records):
        array.write(vectors.astype(kind).tobytes())
        for picture in pictures:
            table.write(next(_rows(picture, row)))
            row += 1


def _rows(picture: "StoredPicture", row: int | None) -> "Iterator[tuple[Any, ...]]":
    """A row for each name of a picture."""
    from camseek.names import path_json

    width, height = picture.size
    shared = (picture.record, row, width, height, picture.format, picture.bytes, len(picture.paths) - 1)
    for path in picture.paths:
        name = path_json(path)
        yield name["path"], *shared, picture.content.hex(), name.get("path_bytes")
