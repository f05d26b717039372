"""Options for how an evaluation is done, which ``evaluate`` and ``audit`` share."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from camseek.cli.options import Count, EncodingType, NameType, SizeType, WordType, settings
from camseek.cli.plans import PLAN_NAMES, plan_options, read_plan, shortlist_option
from camseek.cli.progress import progress

if TYPE_CHECKING:
    from camseek.backbones import Backbone
    from camseek.config import Encoding, Limits, RegionReading, Settings
    from camseek.datasets import GroundTruth
    from camseek.extraction.extractor import Reading
    from camseek.lab.protocol import Protocol

Function = TypeVar("Function", bound=Callable[..., Any])

_REST = (
    click.option(
        "--layer", type=WordType(), help="The model's layer for the feature maps. [default: the model's]"
    ),
    click.option(
        "--ap",
        "ap_form",
        type=click.Choice(["mean", "trapezoid"]),
        help="Average precision: the mean of the precisions at the positives' ranks, or the trapezoidal "
        "area. [default: the ground truth's own]",
    ),
    click.option(
        "--whitening-on",
        metavar="FOLDER|TRUTH",
        type=NameType(),
        help="Whiten, fitted on the pictures of this folder or of another ground truth's database.",
    ),
    click.option(
        "--dimensions",
        type=Count(min=1),
        help="Length of whitened descriptors. [default: 512, or as many as there can be]",
    ),
    click.option(
        "--sample-classes",
        type=Count(min=1),
        help="N_pca: first classes of each picture, or of --class-list, whose vectors the whitening is "
        "fitted on (cam). [default: 1]",
    ),
)


def protocol_options(*, size: str, reading: str) -> Callable[[Function], Function]:
    """``--size`` to ``--sample-classes``, and those of a search's plan.

    Args:
        size: What ``--size`` is where it is not given.
        reading: What ``--region-reading`` is where it is not given.
    """
    first = (
        click.option(
            "--size",
            type=SizeType(),
            help=f"Scale pictures to it: 640, smaller:720 or 1024x720. [default: {size}]",
        ),
        click.option(
            "--region-reading",
            "reading",
            type=click.Choice(["crop", "cells", "whole"]),
            help="Encode a query region's pixels alone, crop the maps of the whole picture, or ignore "
            f"regions. [default: {reading}]",
        ),
    )

    def decorate(command: Function) -> Function:
        command = plan_options(shortlist_option("all")(command))
        for option in reversed((*first, *_REST)):
            command = option(command)
        return command

    return decorate


def named_encodings(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> "dict[str, Encoding]":
    """Encodings by the names that they were asked for with."""
    kind = EncodingType()
    return {value.strip(): kind.convert(value, parameter, context) for value in values}


def read_protocols(
    truth: "GroundTruth",
    model: "Callable[[], Backbone]",
    encodings: "Mapping[str, Encoding]",
    options: dict[str, Any],
    *,
    existing: "Settings | None" = None,
    default_reading: "RegionReading" = "crop",
    limits: "Limits | None" = None,
) -> "dict[str, Protocol]":
    """The protocols that the options ask for, one for each encoding; fits whitening.

    Args:
        truth: What is measured.
        model: Gives the model, loaded with the layer.
        encodings: By their names; none for the default, or that of ``existing``.
        options: What ``protocol_options`` give.
        existing: A collection's settings, where one is measured.
        default_reading: How query regions are read where the user does not say.
        limits: What one picture may cost; None for the defaults.

    Raises:
        click.UsageError: Options that do not go together.
        CamseekError: A class is unknown, or the whitening cannot be fitted.
    """
    from dataclasses import replace

    from camseek.extraction.extractor import RegionRules
    from camseek.lab.protocol import Protocol

    place = options["whitening_on"]
    reading: Reading = options["reading"] or default_reading
    if (options["dimensions"], options["sample_classes"]) != (None, None) and place is None:
        raise click.UsageError("--dimensions and --sample-classes go with --whitening-on")
    if place is not None and existing is not None:
        raise click.UsageError("a collection has its own whitening: leave out --whitening-on")
    base = settings(encoding=None, size=options["size"], layer=options["layer"], existing=existing)
    plan = read_plan(**{name: options[name] for name in (*PLAN_NAMES, "shortlist")})(model(), ())
    anew = existing is None and plan.aggregation != "offline"
    if anew and not encodings:
        base = replace(base, encoding=base.encoding.class_weighted())
    wanted = encodings or {str(base.encoding): base.encoding}
    if anew and (others := [name for name, item in wanted.items() if item.name != "cam"]):
        raise click.UsageError(
            f"{', '.join(others)}: only --encoding cam sums classes, as --aggregation {plan.aggregation} asks"
        )
    protocols = {
        name: Protocol(
            settings=replace(base, encoding=encoding),
            plan=plan,
            rules=RegionRules(reading=reading),
            ap_form=options["ap_form"],
        )
        for name, encoding in wanted.items()
    }
    if place is None:
        return protocols
    from camseek.job import Job
    from camseek.lab.measuring.held_out import fit_each, held_out

    pictures = held_out(_pictures(place), truth)
    shown: AbstractContextManager[Any] = progress()
    with shown as told:
        found = fit_each(
            model(),
            pictures,
            # A list decides the samples too (paper section 4.3).
            [replace(item.settings, predefined=plan.predefined) for item in protocols.values()],
            dimensions=options["dimensions"],
            sample_classes=options["sample_classes"] or 1,
            job=Job.of(limits, None, told),
        )
    return {
        name: replace(protocol, whitening=whitening, whitening_note=fitted_on)
        for (name, protocol), (whitening, fitted_on) in zip(protocols.items(), found, strict=True)
    }


def _pictures(place: str) -> "bytes | GroundTruth":
    from camseek.datasets import open_truth
    from camseek.names import absolute

    return absolute(place) if os.path.isdir(place) else open_truth(place)
