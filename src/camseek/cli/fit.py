"""``fit`` and ``enrich``: what a collection has of its pictures, made anew."""

from typing import TYPE_CHECKING

import click

from camseek.cli.changes import parts_text
from camseek.cli.options import (
    Count,
    collection_option,
    json_option,
    limits_options,
    model_option,
    open_engine,
    ray_option,
    renewal_options,
)
from camseek.cli.output import emit, note, printable, say, shown
from camseek.cli.progress import progress
from camseek.cli.verbs import Resumable
from camseek.config import PARTS
from camseek.words import counted

if TYPE_CHECKING:
    from camseek.config import Limits
    from camseek.indexing.refitting import FitReport


@click.command(cls=Resumable)
@collection_option(positional=True)
@renewal_options(
    on="Fit on the pictures of this folder: held-out ones of the same theme. [default: COLLECTION's own]"
)
@click.option(
    "--dimensions",
    type=Count(min=1),
    help="Length of the new descriptors; at most the channels, and the samples less one. "
    "[default: 512, or as many as there can be]",
)
@click.option(
    "--sample-classes",
    type=Count(min=1),
    help="N_pca: first classes of each picture, or of the collection's class list, whose class vectors are "
    "samples (cam). [default: 1]",
)
@click.option(
    "--max-samples",
    type=Count(min=2),
    help="Fit on so many samples at most; of more pictures some are drawn. [default: 20000]",
)
@click.option("--remove", is_flag=True, help="Take the whitening out again.")
@model_option
@limits_options
@json_option
def fit(
    collection: str,
    on: str | None,
    dimensions: int | None,
    sample_classes: int | None,
    max_samples: int | None,
    remove: bool,
    allow_removal: bool,
    cluster: str | None,
    model: str | None,
    limits: "Limits",
    as_json: bool,
) -> None:
    """Fit PCA-whitening for COLLECTION, and encode every picture of it anew with that.

    Searches go on with what is there until all is done. A run that was stopped goes on where it ended when
    the same is asked for again; with other options, or after it has ended, it starts from the pictures.
    """
    from camseek.indexing.fitting import DEFAULT_MAX_SAMPLES

    if remove and (on, dimensions, sample_classes, max_samples) != (None,) * 4:
        raise click.UsageError("--remove fits nothing: leave the options of a fit out")
    with (
        open_engine(collection, model=model, limits=limits) as engine,
        progress() as shown_progress,
    ):
        if remove:
            report = engine.unfit(allow_removal=allow_removal, cluster=cluster, progress=shown_progress)
        else:
            if on is None:
                note(
                    "fitted on the collection's own pictures; the paper fits on held-out pictures of the "
                    "same theme (Paris6k for Oxford5k, and the other way round): give some with --on FOLDER"
                )
            report = engine.fit(
                on=on,
                dimensions=dimensions,
                sample_classes=sample_classes,
                max_samples=max_samples or DEFAULT_MAX_SAMPLES,
                allow_removal=allow_removal,
                cluster=cluster,
                progress=shown_progress,
            )
    _tell(report, as_json=as_json)


@click.command(cls=Resumable)
@collection_option(positional=True)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(PARTS),
    help="Do not keep a part (repeatable): points, or fine or sketch, which go with them. What there is "
    "of it is dropped.",
)
@ray_option(folders="the folders of COLLECTION")
@model_option
@limits_options
@json_option
def enrich(
    collection: str,
    without: tuple[str, ...],
    cluster: str | None,
    model: str | None,
    limits: "Limits",
    as_json: bool,
) -> None:
    """Have COLLECTION keep all that hits are found and verified by.

    A collection of an earlier camseek gains what is new: pictures that lack it are read again. A run that was
    stopped goes on where it ended.
    """
    with (
        open_engine(collection, model=model, limits=limits) as engine,
        progress() as shown_progress,
    ):
        report = engine.enrich(without=without, cluster=cluster, progress=shown_progress)
    for item in report.skipped:
        note(f"not enriched: {shown(item.path)}: {printable(item.reason)}")
    if as_json:
        emit(report.to_json())
        return
    kept = parts_text(report.keeps) or "nothing"
    say(f"keeps {kept} beside the descriptor of {counted(report.pictures, 'picture')}")
    dropped = f", {counted(report.dropped, 'part')} dropped" if report.dropped else ""
    if report.enriched or report.dropped:
        say(f"{report.enriched:,} enriched{dropped} in {report.seconds:.1f} s")
    elif not report.skipped:
        say("nothing was missing")


def _tell(report: "FitReport", *, as_json: bool) -> None:
    are = "dimension is" if report.dimensions == 1 else "dimensions are"
    if report.limited == "samples":
        note(
            f"{report.dimensions} {are} all that {report.dimensions + 1} samples give, and that "
            "many make all the samples equally unlike: fit on more pictures, or ask for fewer --dimensions"
        )
    elif report.limited == "channels":
        note(f"{report.dimensions} {are} all that the layer's channels give")
    for item in report.skipped:
        note(f"no sample: {shown(item.path)}: {printable(item.reason)}")
    for item in report.removed:
        note(f"removed: {shown(item.path)}: {printable(item.reason)}")
    if as_json:
        emit(report.to_json())
        return
    say(f"whitening: {printable(str(report.note))}" if report.note else "no whitening")
    if report.resumed:
        say("an earlier run was finished")
    if report.left_out:
        say(f"{counted(report.left_out, 'sample')} of zeros left out")
    rate = f" in {report.seconds:.1f} s" if report.re_encoded else ""
    say(f"{report.re_encoded:,} of {counted(report.pictures, 'picture')} encoded anew{rate}")
    if report.featureless:
        say(
            f"{report.featureless} featureless, {report.newly_featureless} of them since now: the network "
            "sees nothing in them"
        )
