"""What index runs and removals did, or would do, in words and in JSON."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from camseek.cli.output import emit, note, printable, say, shown
from camseek.words import counted

if TYPE_CHECKING:
    from camseek.results import IndexReport, OldRoot, Removal, RemoveReport

_FAILED = 1
# So many names of each kind are printed; --json has all.
_TOLD = 20

# Reasons that are no codes of skipped files.
_REASONS = {
    "missing": "not there any more",
    "excluded": "left out by patterns, or hidden",
    "not_a_picture": "no picture any more",
    "too_large": "too large",
    "broken_link": "a link to nothing",
    "not_a_file": "no file any more",
}
_PARTS = {"fine": "fine points", "sketch": "sketches"}
# What to look at, by reason, before they are let go; where files cannot be read any more, the disk.
_CAUSES = {
    "missing": "if a disk is not mounted, mount it",
    "broken_link": "if a disk is not mounted, mount it",
    "too_large": "if the limits are too low, give higher ones",
    "excluded": "if patterns leave out too much, change them (--no-patterns clears them)",
}
_FAILING = "if a disk fails, copy what is on it first"


def tell_index(report: "IndexReport", *, as_json: bool) -> int:
    """Tells of an index run, and gives its exit code: 1 where files were held back, else 0."""
    fault = _held(report.removal) if report.removal is not None and report.held else None
    failed = fault is not None and not report.dry_run
    if as_json:
        error = {"code": "removal", "message": fault, "remedy": _remedy(report.removal)}
        emit(report.to_json() | ({"error": error} if failed else {}))
    else:
        _tell_index(report)
    if failed:
        note(f"camseek: {printable(str(fault))}; {_remedy(report.removal)}")
    return _FAILED if failed else 0


def _tell_index(report: "IndexReport") -> None:
    new = [item for item in report.skipped if item.path not in report.skipped_before]
    for title, items in (
        ("odd", report.warnings),
        ("folder not read, what was known of it is kept", report.unknown),
        ("skipped", new),
    ):
        for item in items:
            note(f"{title}: {shown(item.path)}: {printable(item.reason)}")
    if report.skipped_before:
        count = len(report.skipped_before)
        note(f"{counted(count, 'file')} skipped as before; camseek info --skipped lists {them(count)}")
    if report.ignored:
        note(f"{counted(report.ignored, 'other file')} left out, in no picture format that is read")
    _tell_patterns(report)
    for root in report.old_roots:
        note(_of_old(root, dry_run=report.dry_run))
    _tell_changes(report)
    counts = {
        "added": report.added,
        "changed": report.changed,
        "unchanged": report.unchanged,
        "moved": report.moved,
        "removed": report.removed,
        "skipped": len(report.skipped),
    }
    text = ", ".join(f"{count} {name}" for name, count in counts.items())
    say(f"nothing was done; it would be: {text}" if report.dry_run else text)
    if report.removal is not None and report.dry_run:
        say(_held(report.removal) if report.held else f"to be removed: {_what(report.removal)}")
    if report.featureless and not report.dry_run:
        say(f"{report.featureless} featureless: the network sees nothing in them; words alone can find them")
    if report.encoded and report.dry_run:
        say(f"{counted(report.encoded, 'picture')} to encode")
    elif report.encoded:
        say(
            f"{counted(report.encoded, 'picture')} encoded in {report.seconds:.1f} s, "
            f"{report.pictures_per_second:.1f} a second"
        )
    if report.copies and not report.dry_run:
        told = counted(report.copies, "copy", "copies")
        say(f"{told} of pictures that are there; camseek duplicates lists {them(report.copies)}")


def _tell_patterns(report: "IndexReport") -> None:
    if report.patterns:
        kept = "would be kept" if report.dry_run else "kept"
        whence = {
            "given": f"patterns, {'not kept' if report.held else f'{kept} with the folder for later runs'}",
            "stored": "patterns of earlier runs (--no-patterns clears them)",
            "moved": "patterns of the folder that was moved here (--no-patterns clears them)",
        }
        note(f"{whence[report.patterns_from]}: {printable(str(report.patterns))}")
    if report.patterns_before:
        ends = "would no longer count" if report.dry_run else "no longer count"
        become = "stay" if report.held else ends
        note(f"patterns of earlier runs {become}: {printable(str(report.patterns_before))}")
    for pattern in report.idle_patterns:
        note(
            f"the pattern {printable(pattern)} matched nothing; patterns count from the folder on, "
            "and capital and small letters differ"
        )


def _of_old(root: "OldRoot", *, dry_run: bool) -> str:
    name = shown(root.path)
    if root.moved:
        goes = "its names would go" if dry_run else "its names are gone"
        return f"{name} was moved here, with {root.files} of its {counted(root.of, 'file')}: {goes}"
    return (
        f"{name} is not there, and {root.files} of its {counted(root.of, 'file')} are here, too, as copies: "
        "its names are kept, as its disk may only be away; if they are to go: camseek remove"
    )


def _tell_changes(report: "IndexReport") -> None:
    kinds: dict[str, list[str]] = {}
    for item in report.changes:
        old = "" if item.old is None else f" (was {shown(item.old)})"
        kinds.setdefault(item.what, []).append(shown(item.path) + old)
    for kind in ("added", "changed", "moved", "removed"):
        _tell_names(f"would be {kind}", kinds.get(kind, []))


def _tell_names(title: str, names: Sequence[str]) -> None:
    for name in names[:_TOLD]:
        say(f"{title}: {name}")
    if len(names) > _TOLD:
        say(f"{title}: {len(names) - _TOLD} more (--json lists all)")


def _held(removal: "Removal") -> str:
    """What is held back, and why."""
    return (
        f"{_what(removal)} would be removed, and {_are(removal.files)} kept: "
        "as many as these leave only when that is asked for"
    )


def _remedy(removal: "Removal | None") -> str:
    """What to do about files that are held back, by what is said to be wrong with them."""
    causes = dict.fromkeys(_CAUSES.get(reason, _FAILING) for reason in (removal.reasons if removal else ()))
    return "; ".join([*causes, "if they are to go, give the same command with --allow-removal"])


def _what(removal: "Removal") -> str:
    """How many files, of what kind, from where: a sentence's subject."""
    reasons = (f"{count} {_REASONS.get(reason, reason)}" for reason, count in removal.reasons.items())
    folders = [f"{shown(path)} ({count})" for path, count in removal.folders.items()]
    if removal.more_folders:
        folders.append(counted(removal.more_folders, "more folder"))
    some = ", ".join(map(shown, removal.names[:3])) + (", ..." if removal.files > 3 else "")
    told = "; ".join((", ".join(reasons), "in " + ", ".join(folders), some))
    return f"{removal.files} of {counted(removal.of, 'file')} ({told})"


def tell_remove(report: "RemoveReport", returning: Mapping[bytes, int], *, as_json: bool) -> None:
    """Tells of a removal.

    Args:
        report: It.
        returning: How many of the files the next run of each indexed folder would bring back.
        as_json: As an object for programs.
    """
    if as_json:
        emit(report.to_json())
        return
    for path in report.unknown:
        note(f"not in the collection: {shown(path)}")
    would = "would be removed" if report.dry_run else "removed"
    if report.dry_run:
        _tell_names(would, _shown(report.files))
    elif len(report.names) > 1 or report.removed > 1:
        for path, count in report.names.items():
            say(f"{shown(path)}: {counted(count, 'file')}")
    say(f"{counted(report.removed, 'file')} {would}")
    for root, count in returning.items():
        note(
            f"{counted(count, 'file')} {_are(count)} still in the indexed folder {shown(root)}: "
            f"its next index run brings {them(count)} back, unless an --exclude leaves {them(count)} out"
        )


def _shown(paths: Iterable[bytes]) -> list[str]:
    return [shown(path) for path in paths]


def parts_text(parts: Iterable[str]) -> str:
    """What a collection keeps of each picture, in words."""
    names = [_PARTS.get(part, part) for part in parts]
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def them(count: int) -> str:
    """What some files are called that were told of."""
    return "it" if count == 1 else "them"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
