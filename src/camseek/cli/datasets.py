"""``datasets``: the public data sets, how to get them, and whether a copy is whole."""

from typing import TYPE_CHECKING

import click

from camseek.cli.options import DatasetType, NameType, json_option
from camseek.cli.output import emit, note, printable, say, shown
from camseek.cli.progress import progress
from camseek.cli.verbs import Verbs
from camseek.words import counted

if TYPE_CHECKING:
    from camseek.datasets import Checked, Dataset

_FAILED = 1


@click.group("datasets", cls=Verbs, invoke_without_command=True)
@json_option
@click.pass_context
def datasets(context: click.Context, as_json: bool) -> None:
    """Say which public data sets camseek knows, where to get them, and whether a copy is whole.

    Without a further word it lists them. Nothing is downloaded.
    """
    if context.invoked_subcommand is None:
        _list(as_json)


@datasets.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the data sets."""
    _list(as_json)


@datasets.command("show")
@click.argument("name", type=DatasetType())
@json_option
def show_command(name: str, as_json: bool) -> None:
    """Say what the data set NAME is, where to get it, how its folder must look and how it is scored."""
    from camseek.datasets import dataset

    found = dataset(name)
    if as_json:
        emit(found.to_json())
        return
    for line in _shown(found):
        say(line)


@datasets.command("check")
@click.argument("name", type=DatasetType())
@click.argument("folder", type=NameType(), required=False)
@json_option
def check_command(name: str, folder: str | None, as_json: bool) -> int:
    """Read all of the data set NAME in FOLDER and name every file that is missing or damaged.

    A ground-truth file of your own in place of both is checked with its pictures. It ends with 1 if anything
    is missing or damaged; why figures would mean little (no query has positives, say) is told as well.
    """
    import os

    from camseek.datasets import check_dataset, check_truth, dataset
    from camseek.job import processors

    if folder is None and not os.path.isfile(name):
        raise click.UsageError(f"name the folder of {name} as well, or a ground-truth file that is there")
    with progress() as shown_progress:
        if folder is None:
            found = check_truth(name, workers=processors(), progress=shown_progress)
        else:
            found = check_dataset(dataset(name), folder, workers=processors(), progress=shown_progress)
    if as_json:
        emit(found.to_json())
    else:
        _say_checked(found)
    return 0 if found.sound else _FAILED


def _list(as_json: bool) -> None:
    from camseek.datasets import known_datasets

    known = known_datasets()
    if as_json:
        emit({"datasets": [item.to_json() for item in known.values()]})
        return
    rows = [("name", "pictures", "distractors", "queries", "what")]
    rows += [
        (
            item.name,
            f"{item.pictures:,}",
            f"{item.distractors:,}" if item.distractors else "-",
            f"{item.queries:,}",
            item.title,
        )
        for item in known.values()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *numbers, title in rows:
        told = "  ".join(number.rjust(width) for number, width in zip(numbers, widths[1:4], strict=True))
        say(f"{name.ljust(widths[0])}  {told}  {title}")
    say("")
    say("camseek datasets show NAME tells where to get one and how its folder must look")


def _shown(item: "Dataset") -> list[str]:
    counts = counted(item.pictures, "picture")
    if item.distractors:
        counts += f" and {counted(item.distractors, 'distractor')}"
    parts = [
        ("what it is", item.about),
        ("size", f"{counts}, {counted(item.queries, 'query', 'queries')}"),
        ("protocol", item.protocol),
        ("terms", item.terms),
        ("checked", item.checked),
        ("from memory", item.memory),
    ]
    lines = [f"{item.name}: {item.title}"]
    for heading, text in parts[:2]:
        lines += ["", *_wrapped(heading, text)]
    lines += ["", "pages", *(f"  {page}" for page in item.pages)]
    lines += ["", "files", *(f"  {file}" for file in item.downloads)]
    lines += ["", "the folder", *(f"  {line}" for line in item.tree.rstrip("\n").split("\n"))]
    for heading, text in parts[2:]:
        lines += ["", *_wrapped(heading, text)]
    lines += [
        "",
        f"is it whole?  camseek datasets check {item.name} FOLDER",
        f"measure:      camseek evaluate {item.name}=FOLDER",
    ]
    return lines


def _wrapped(heading: str, text: str) -> list[str]:
    return [heading, click.wrap_text(text, 96, initial_indent="  ", subsequent_indent="  ")]


def _say_checked(found: "Checked") -> None:
    for fault in found.known:
        note(f"known: {shown(fault.path)}: {fault.message}")
    for doubt in found.doubts:
        note(f"doubtful: {printable(doubt)}")
    for fault in found.faults:
        say(f"{fault.code:<12}  {printable(str(fault))}")
    counts = f"{counted(found.pictures, 'picture')}, {counted(found.queries, 'query', 'queries')}"
    if found.distractors:
        counts += f", {counted(found.distractors, 'distractor')}"
    say(f"{'whole' if found.sound else counted(len(found.faults), 'fault')}: {counts}")
