"""``classes``."""

from typing import TYPE_CHECKING

import click

from camseek.cli.options import (
    Count,
    NameType,
    collection_option,
    json_option,
    limits_options,
    model_option,
    open_engine,
)
from camseek.cli.output import emit, note, printable, say, shown
from camseek.cli.outputs import Outputs, force_option
from camseek.cli.progress import progress
from camseek.words import counted

if TYPE_CHECKING:
    from camseek.config import Limits
    from camseek.extraction.classes import ClassTally


@click.command("classes")
@collection_option(positional=True)
@click.option(
    "--like",
    metavar="PICTURES",
    type=NameType(),
    multiple=True,
    help="Count the classes of these pictures or folders instead, a set of one theme (repeatable).",
)
@click.option("--top", type=Count(min=1), default=16, show_default=True, help="How many classes.")
@click.option(
    "--per-picture",
    type=Count(min=1),
    default=64,
    show_default=True,
    help="How many of each picture's most probable classes count, N_C.",
)
@click.option(
    "--sample",
    type=Count(min=1),
    default=1000,
    show_default=True,
    help="Read so many pictures at most, spread evenly.",
)
@click.option(
    "--list",
    "class_list",
    metavar="OUT.txt",
    type=NameType(),
    help="Write the classes as a list for --class-list (all of them, unless --top is given).",
)
@force_option
@model_option
@limits_options
@json_option
@click.pass_context
def classes_command(
    context: click.Context,
    collection: str,
    like: tuple[str, ...],
    top: int,
    per_picture: int,
    sample: int,
    class_list: str | None,
    force: bool,
    model: str | None,
    limits: "Limits",
    as_json: bool,
) -> None:
    """Print the classes that the pictures of COLLECTION show most.

    With --list they become a predefined list: every picture described with the same classes (paper, section
    4.3). Pictures are read again from their files.
    """
    outputs = Outputs([class_list] if class_list else [], force=force, reads=like, model=model)
    with (
        open_engine(collection, model=model, limits=limits) as engine,
        progress() as shown_progress,
    ):
        outputs.spare(engine.collection)
        found = engine.classes(
            like=like or None, per_picture=per_picture, sample=sample, progress=shown_progress
        )
    for item in found.skipped:
        note(f"skipped: {shown(item.path)}: {printable(item.reason)}")
    asked = context.get_parameter_source("top") is not click.core.ParameterSource.DEFAULT
    if class_list:
        listed = found.classes[:top] if asked else found.classes
        outputs.write(class_list, "".join(f"{item.id}\t{item.name}\n" for item in listed))
    if as_json:
        emit(found.to_json() | {"classes": [item.to_json() for item in found.classes[:top]]})
        return
    _tell(found, top)
    if class_list:
        note(f"list: {printable(class_list)}")


def _tell(found: "ClassTally", top: int) -> None:
    for item in found.classes[:top]:
        say(f"{item.pictures:6d}  {item.id:4d}  {item.name}")
    told = counted(found.per_picture, "most probable class", "most probable classes")
    note(f"{counted(found.pictures, 'picture')} read, {told} of each counted")
