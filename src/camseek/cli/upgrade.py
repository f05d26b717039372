"""``upgrade``: a collection goes over to another network, and back."""

from typing import TYPE_CHECKING

import click

from camseek.cli.options import (
    ModelType,
    WordType,
    collection_option,
    device_options,
    json_option,
    limits_options,
    open_engine,
    renewal_options,
)
from camseek.cli.output import emit, note, printable, say, shown
from camseek.cli.progress import progress
from camseek.cli.verbs import Resumable
from camseek.words import counted

if TYPE_CHECKING:
    from camseek.config import Limits
    from camseek.engine import Engine
    from camseek.indexing.upgrading import UpgradeReport
    from camseek.store import Beside, CollectionInfo


@click.command(cls=Resumable)
@collection_option(positional=True)
@click.option(
    "--model", metavar="MODEL", type=ModelType(), help="The network to go over to, by name or folder."
)
@click.option(
    "--layer", type=WordType(), help="Its layer for the feature maps. [default: the model's own choice]"
)
@renewal_options(
    on="Fit the new whitening on the pictures of this folder. [default: that of the present one]"
)
@click.option("--status", is_flag=True, help="Say what is unfinished, or kept to go back to.")
@click.option("--undo", is_flag=True, help="Go back to what was in use before, in one step.")
@click.option("--forget", is_flag=True, help="Let go of what was in use before: there is no way back then.")
@click.option("--discard", is_flag=True, help="Throw away what is unfinished.")
@device_options
@limits_options
@json_option
def upgrade(
    collection: str,
    model: str | None,
    layer: str | None,
    on: str | None,
    allow_removal: bool,
    cluster: str | None,
    status: bool,
    undo: bool,
    forget: bool,
    discard: bool,
    limits: "Limits",
    as_json: bool,
) -> None:
    """Have COLLECTION described by another network, with --model, while searches go on.

    Every picture is encoded with it beside what is there, and when all is done the collection goes over to it
    in one step. Others may index and add meanwhile. A run that was stopped goes on where it ended when the
    same is asked for again. What was in use before is kept until --forget: --undo goes back to it.
    """
    chosen = {"--model": model is not None, "--status": status, "--undo": undo}
    chosen |= {"--forget": forget, "--discard": discard}
    if sum(chosen.values()) != 1:
        raise click.UsageError(f"say one of {', '.join(chosen)}")
    if model is None and (layer, on) != (None, None):
        raise click.UsageError("--layer and --on go with --model")
    if allow_removal and not (model or undo):
        raise click.UsageError("--allow-removal goes with --model or --undo")
    if cluster is not None and not (model or undo):
        raise click.UsageError("--ray goes with --model or --undo")
    with open_engine(collection, limits=limits) as engine:
        if status:
            _tell_status(engine.info(), as_json=as_json)
        elif forget or discard:
            _let_go(engine, forget=forget, as_json=as_json)
        else:
            with progress() as shown_progress:
                if model is None:
                    report = engine.undo_upgrade(
                        allow_removal=allow_removal, cluster=cluster, progress=shown_progress
                    )
                else:
                    report = engine.upgrade(
                        model,
                        layer=layer,
                        on=on,
                        allow_removal=allow_removal,
                        cluster=cluster,
                        progress=shown_progress,
                    )
            _tell(report, as_json=as_json)


def beside_text(beside: "Beside | None", pictures: int) -> str:
    """What is beside the representation in use, for people; empty where nothing is."""
    if beside is None:
        return ""
    profile = beside.refit.profile
    name = f"{printable(profile.model)}, layer {printable(profile.settings.layer)}, "
    name += counted(profile.dimensions, "dimension")
    if beside.kept:
        return f"{name}, kept: camseek upgrade --undo goes back to it, --forget lets it go"
    verb = "upgrade" if beside.refit.kinds else "fit"
    return (
        f"{name}, unfinished, {beside.done:,} of {counted(pictures, 'picture')}: camseek {verb} goes on "
        "when the same is asked for, camseek upgrade --discard throws it away"
    )


def _tell_status(told: "CollectionInfo", *, as_json: bool) -> None:
    if as_json:
        beside = told.beside.to_json() if told.beside else None
        emit(
            {
                "collection": told.address,
                "model": told.profile.model,
                "model_checksum": told.profile.model_checksum,
                "layer": told.profile.settings.layer,
                "pictures": told.pictures,
                "beside": beside,
            }
        )
        return
    profile = told.profile
    say(
        f"in use: {printable(profile.model)}, layer {printable(profile.settings.layer)}, "
        f"{counted(profile.dimensions, 'dimension')}"
    )
    beside = beside_text(told.beside, told.pictures)
    say(f"beside: {beside}" if beside else "nothing is unfinished, and nothing is kept")


def _let_go(engine: "Engine", *, forget: bool, as_json: bool) -> None:
    engine.forget_upgrade() if forget else engine.discard_upgrade()
    info = engine.info()
    if as_json:
        emit({"collection": info.address, "bytes": info.bytes})
        return
    say("what was in use before is gone" if forget else "what was unfinished is gone")


def _tell(report: "UpgradeReport", *, as_json: bool) -> None:
    profile = report.profile
    are = "dimension is" if profile.dimensions == 1 else "dimensions are"
    if report.limited is not None:
        said = "samples" if report.limited == "samples" else "layer's channels"
        note(f"{profile.dimensions} {are} all that the {said} give; there were {report.before.dimensions}")
    if report.skipped:
        note(f"{counted(len(report.skipped), 'picture')} gave no sample for the whitening")
    for item in report.removed:
        note(f"removed: {shown(item.path)}: {printable(item.reason)}")
    if as_json:
        emit(report.to_json())
        return
    say(
        f"{printable(profile.model)}, layer {printable(profile.settings.layer)}, "
        f"{counted(profile.dimensions, 'dimension')}; before: {printable(report.before.model)}, layer "
        f"{printable(report.before.settings.layer)}, which is kept"
    )
    if profile.whitening_note is not None:
        say(f"whitening: {printable(str(profile.whitening_note))}")
    resumed = ", an earlier run was finished" if report.resumed else ""
    of = counted(report.pictures, "picture")
    say(f"{report.encoded:,} of {of} encoded in {report.seconds:.1f} s{resumed}")
    if report.featureless:
        say(f"{report.featureless:,} featureless, {report.newly_featureless:,} of them since now")
