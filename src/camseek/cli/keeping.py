"""``info`` and ``check``."""

import os
from typing import TYPE_CHECKING

import click

from camseek.cli.changes import parts_text, them
from camseek.cli.options import collection_option, json_option
from camseek.cli.output import emit, printable, say, shown
from camseek.cli.upgrade import beside_text
from camseek.errors import CorruptCollectionError
from camseek.words import counted

if TYPE_CHECKING:
    from camseek.store import Root


@click.command()
@collection_option(positional=True)
@click.option("--skipped", is_flag=True, help="List the files that could not be used, and why.")
@json_option
def info(collection: str, skipped: bool, as_json: bool) -> None:
    """Say what COLLECTION holds and what it was made with."""
    from camseek.store import TRACES, open_collection

    with open_collection(collection) as opened:
        told, kinds = opened.catalogue.info(), opened.traces.kinds()
    # An enriching run that was stopped leaves some; they are searched by what they have.
    lacking = max((told.pictures - kinds.get(TRACES[part], 0) for part in told.profile.keeps), default=0)
    if as_json:
        emit({**told.to_json(), "lacking": lacking})
        return
    settings = told.profile.settings
    say(f"collection   {printable(told.address)} (format {told.format_version}, made {told.created})")
    say(f"model        {printable(told.profile.model)}, checksum {told.profile.model_checksum[:12]}")
    say(f"encoding     {settings.encoding}, layer {printable(settings.layer)}, size {settings.size}")
    say(f"pictures     {told.pictures:,} ({told.featureless:,} featureless), {counted(told.files, 'file')}")
    if told.profile.keeps:
        say(f"keeps        {parts_text(told.profile.keeps)} of each picture")
        if lacking:
            some = f"{counted(lacking, 'picture')} {'lacks' if lacking == 1 else 'lack'}"
            say(f"{'':12} {some} some of it: camseek enrich makes it")
    else:
        say("keeps        descriptors alone: hits cannot be verified (camseek enrich)")
    if settings.predefined:
        say(f"classes      {len(settings.predefined)} predefined")
    if note := told.profile.whitening_note:
        say(f"whitening    {printable(str(note))}")
        if settings.predefined and not note.predefined:
            say(
                f"{'':12} of each picture's own classes, by an earlier version; camseek fit takes those of "
                "the class list"
            )
    if beside := beside_text(told.beside, told.pictures):
        say(f"beside       {beside}")
    per_picture = f", {told.bytes / told.pictures:,.0f} a picture" if told.pictures else ""
    say(f"bytes        {told.bytes:,}{per_picture}")
    for root in told.roots.values():
        for line in _root_lines(root):
            say(f"root         {line}")
    if told.added_by_hand:
        say(f"added        {counted(told.added_by_hand, 'file')} by hand")
    if told.skipped and not skipped:
        count = len(told.skipped)
        say(f"skipped      {counted(count, 'file')}: --skipped lists {them(count)}")
    for item in told.skipped if skipped else ():
        say(f"skipped      {shown(item.path)}: {printable(item.reason)}")


def _root_lines(root: "Root") -> list[str]:
    """A folder, how it is found, and what of it counts."""
    told = f"{shown(root.path)}: {counted(root.files, 'file')}"
    if root.relative:
        told += ", found from the collection on"
    if root.within is not None:
        told += f", in {shown(root.within)}, too"
    if not os.path.isdir(root.path):
        told += " (the folder is not there now)"
    return [told, *([f"  patterns {printable(str(root.patterns))}"] if root.patterns else [])]


@click.command()
@collection_option(positional=True)
@json_option
def check(collection: str, as_json: bool) -> None:
    """Read the whole of COLLECTION and say whether it is sound."""
    from camseek.store import open_collection

    with open_collection(collection) as opened:
        faults = opened.catalogue.check()
        pictures = opened.catalogue.info().pictures if not faults else 0
        address = opened.address
    if faults:
        raise CorruptCollectionError(
            f"{address} is not sound: {'; '.join(faults)}",
            remedy="restore it from a copy, or index the pictures into a new collection",
        )
    if as_json:
        emit({"collection": address, "sound": True, "pictures": pictures})
        return
    say(f"sound: {counted(pictures, 'picture')}")
