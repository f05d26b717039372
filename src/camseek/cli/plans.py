"""Options for what a search does beyond comparing stored descriptors."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from camseek.cli.options import Amount, Count, NameType, WordType

if TYPE_CHECKING:
    from camseek.backbones import Backbone
    from camseek.searching import Plan

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--first",
        type=click.Choice(["descriptors", "words", "joined"]),
        help="What all pictures are ranked by: the network's descriptors, the visual words of their points, "
        "or both, each as far as it stands out. [default: in searches joined, where COLLECTION keeps points "
        "and no other option of the plan is given; else descriptors]",
    ),
    click.option(
        "--verify",
        type=Count(min=0),
        metavar="N",
        help="Compare where the points of the first N pictures lie with where the query's do: outlines and "
        "verdicts; 0 for none. [default: in searches 100 with words and joined, else 0]",
    ),
    click.option(
        "--late-interaction",
        type=Count(min=0),
        metavar="N",
        help="Compare the first N pictures with the query cell by cell, by their stored sketches; 0 for not. "
        "[default: in searches 300 with --first joined, where COLLECTION keeps sketches, else 0]",
    ),
    click.option(
        "--expand-verified",
        type=Count(min=0),
        metavar="N",
        help="Where several hits are verified, search again with what the N of them show of which most "
        "points agree; 0 for not. [default: in searches 10 with --first joined, verified, else 0]",
    ),
    click.option(
        "--false-alarms",
        type=Amount(min=0, max=1),
        metavar="SHARE",
        help="Say that a picture shows the thing only where so few of the searches for what is not there "
        "had such a first hit when it was measured, 0.01 or more. [default: from a probability of 90 % on]",
    ),
    click.option(
        "--aggregation",
        type=click.Choice(["offline", "online", "predefined"]),
        help="The classes that are summed: each picture's own, stored (offline); the query's, for every "
        "picture of the shortlist (online); those of --class-list (predefined). "
        "[default: offline, or as other options ask]",
    ),
    click.option("--classes", type=Count(min=1), help="How many classes are summed, N_C. [default: 64]"),
    click.option(
        "--class-list",
        metavar="FILE",
        type=NameType(),
        help="Classes, one a line, by number or name, as camseek classes --list writes them: predefined "
        "aggregation.",
    ),
    click.option(
        "--attend",
        metavar="CLASS",
        type=WordType(),
        multiple=True,
        help="Attend to this class, by name or number, in place of the query's (repeatable): online "
        "aggregation.",
    ),
    click.option(
        "--expand",
        type=Count(min=0),
        default=0,
        metavar="N",
        help="Search again with the sum of the first N results (query expansion).",
    ),
    click.option("--expand-with-query", is_flag=True, help="The query has a part in that sum (CroW's form)."),
    click.option(
        "--rerank",
        type=Count(min=0),
        default=0,
        metavar="R",
        help="Compare the first R pictures region by region; reads their files.",
    ),
)

PLAN_NAMES = (
    "first",
    "verify",
    "late_interaction",
    "expand_verified",
    "false_alarms",
    "aggregation",
    "classes",
    "class_list",
    "attend",
    "expand",
    "expand_with_query",
    "rerank",
)
"""What these options are called: an evaluation hands them to ``read_plan`` as a search does."""


def shortlist_option(default: str) -> Callable[[Function], Function]:
    """``--shortlist``."""
    return click.option(
        "--shortlist",
        type=Count(min=1),
        help="How many pictures are described anew for --aggregation online and predefined; reads their "
        f"files. [default: {default}]",
    )


def plan_options(command: Function) -> Function:
    """``--first`` to ``--rerank``."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_plan(
    *,
    first: str | None,
    verify: int | None,
    late_interaction: int | None,
    expand_verified: int | None,
    false_alarms: float | None,
    aggregation: str | None,
    classes: int | None,
    class_list: str | None,
    attend: Sequence[str],
    expand: int,
    expand_with_query: bool,
    rerank: int,
    shortlist: int | None,
    top: int | None = None,
) -> "Callable[[Backbone, Collection[str]], Plan]":
    """The plan that the options ask for, once the model says which classes are meant by names.

    Args:
        first: As given, None for whatever the others mean.
        verify: As given, None for as many as usual.
        late_interaction: As given, None for as many as usual.
        expand_verified: As given, None for as many as usual.
        false_alarms: As given, None for what is usual.
        aggregation: As given, None for whatever the others mean.
        classes: As given.
        class_list: Name of a file.
        attend: Names or numbers.
        expand: As given.
        expand_with_query: As given.
        rerank: As given.
        shortlist: As given, None for the default.
        top: How many hits are wanted: so many at least are described anew, 100 by default. None for a ranking
            of all, which describes all by default.

    Returns:
        What makes the plan, given the model and what the collection keeps of each picture (nothing where
        there is none), and raises ``SettingsError`` where a class is unknown.

    Raises:
        click.UsageError: Options that do not go together.
        SettingsError: The list of classes cannot be read.
    """
    from camseek.config import PARTS
    from camseek.errors import SettingsError
    from camseek.extraction.classes import resolve_classes, resolve_list
    from camseek.searching.wishes import Wishes

    if attend and class_list:
        raise click.UsageError("--attend and --class-list both choose the classes; give one")
    given: Any = {"first": first, "aggregation": aggregation}
    # Any class stands for those that are named, and any collection for the one that is not open yet.
    wishes = Wishes(
        **given,
        verify=verify,
        late_interaction=late_interaction,
        expand_verified=expand_verified,
        false_alarms=false_alarms,
        classes=classes,
        predefined=(0,) * bool(class_list),
        attend=(0,) * bool(attend),
        expand=expand,
        expand_with_query=expand_with_query,
        rerank=rerank,
        shortlist=shortlist,
    )
    if shortlist is not None and wishes.meant == "offline":
        raise click.UsageError("--shortlist goes with --aggregation online or predefined")
    try:
        wishes.plan(PARTS, top)
    except SettingsError as error:
        raise click.UsageError(f"{error.message}; {error.remedy}") from error
    listed = read_class_list(class_list) if class_list else []

    def named(model: "Backbone", keeps: "Collection[str]") -> "Plan":
        return replace(
            wishes,
            attend=tuple(resolve_classes(model, attend)) if attend else (),
            predefined=tuple(resolve_list(model, listed)) if listed else (),
        ).plan(keeps, top)

    return named


def read_class_list(path: str) -> "list[tuple[str, str | None]]":
    """The classes that a file names.

    Raises:
        SettingsError: It cannot be read, is no text, or names none.
    """
    from camseek.errors import SettingsError
    from camseek.extraction.classes import parse_class_list

    remedy = "name a file as camseek classes --list writes it"
    try:
        with open(path, encoding="utf-8") as file:
            found = parse_class_list(file.read())
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}", remedy=remedy) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text", remedy=remedy) from error
    if not found:
        raise SettingsError(f"{path} names no class", remedy=remedy)
    return found
