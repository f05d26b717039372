"""``model``: import, list, show and check models."""

from typing import TYPE_CHECKING, Any

import click

from camseek.cli.options import ModelType, NameType, WordType, json_option
from camseek.cli.output import emit, note, printable, say
from camseek.cli.verbs import Verbs
from camseek.words import counted

if TYPE_CHECKING:
    from camseek.backbones import ModelCard
    from camseek.backbones.importing import Normalisation

_ARCHITECTURES = "resnet18, 34, 50, 101 or 152, densenet121, 161, 169 or 201"


class _Three(click.ParamType[tuple[float, float, float]]):
    """``a,b,c``."""

    name = "a,b,c"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float, float]:
        """Reads three numbers."""
        try:
            first, second, third = (float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not three numbers such as 103.939,116.779,123.68", param, ctx)
        return first, second, third


class _Means(click.ParamType[Any]):
    """Three numbers, or the name of a network's habit."""

    name = "a,b,c|NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Reads ``torchvision``, ``caffe``, ``research`` or three numbers."""
        text = str(value)
        return text if text in ("torchvision", "caffe", "research") else _Three().convert(value, param, ctx)


@click.group(cls=Verbs)
def model() -> None:
    """Import networks, list them, and check what they give."""


@model.command("import")
@click.argument("classifier", metavar="CLASSIFIER", type=NameType())
@click.option("--name", type=WordType(), help="The model's name. [default: made of the file's]")
@click.option(
    "--into",
    metavar="FOLDER",
    type=NameType(),
    help="The folder to make, instead of one in the models' folder (CAMSEEK_MODELS).",
)
@click.option(
    "--classes", metavar="FILE", type=NameType(), help="The classes' names, one a line. [default: ImageNet's]"
)
@click.option(
    "--means",
    "--mean",
    type=_Means(),
    help="Subtracted from pixels of 0 to 255: three numbers (with --std), torchvision, caffe, or research "
    "(Caffe's in the wrong order, as the paper's code has them).",
)
@click.option("--std", type=_Three(), help="What pixels are then divided by. [default: 1,1,1 with --mean]")
@click.option(
    "--channel-order",
    type=click.Choice(["RGB", "BGR"]),
    help="The network's order; means are in it too. [default: RGB, of named means their own]",
)
@click.option(
    "--features",
    type=WordType(),
    metavar="LAYER",
    multiple=True,
    help="A tensor or node of an ONNX file whose maps become a layer too (repeatable).",
)
@click.option("--arch", type=WordType(), help=f"What a PyTorch state dict must be: {_ARCHITECTURES}.")
@click.option("--force", is_flag=True, help="Replace a model that is there.")
@json_option
def import_command(
    classifier: str,
    name: str | None,
    into: str | None,
    classes: str | None,
    means: Any,
    std: tuple[float, float, float] | None,
    channel_order: str | None,
    features: tuple[str, ...],
    arch: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Make a model of CLASSIFIER: ONNX, Keras weights of VGG-16-CAM (HDF5), or a PyTorch state dict.

    An ONNX classifier that ends in global average pooling and a linear layer gives class activation maps; of
    another network, --features names the maps to use without them.
    """
    from pathlib import Path

    from camseek.backbones.importing import import_model, read_class_names

    made = import_model(
        classifier,
        name=name,
        into=into,
        features=features,
        classes=None if classes is None else read_class_names(Path(classes)),
        normalisation=_normalisation(means, std, channel_order),
        architecture=arch,
        force=force,
    )
    if as_json:
        emit({"folder": str(made.folder), "notes": list(made.notes), "card": made.card.to_json()})
        return
    for text in made.notes:
        note(printable(text))
    say(f"{made.card.name}: {printable(str(made.folder))}")
    for line in _layer_lines(made.card):
        say(line)


@model.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """Print the models that --model knows by name."""
    from camseek.backbones import ModelCard, imported_models
    from camseek.backbones.library import EMBEDDED, EMBEDDED_NAME
    from camseek.errors import ModelError

    found: list[dict[str, Any]] = []
    for name, folder in {EMBEDDED_NAME: EMBEDDED, **imported_models()}.items():
        try:
            card = ModelCard.read(folder)
        except ModelError as error:  # one damaged model must not hide the others
            note(f"{printable(name)}: {printable(error.message)}")
            found.append({"name": name, "folder": str(folder), "error": error.message})
            continue
        layers = {
            key: {"channels": item.channels, "stride": item.stride} for key, item in card.layers.items()
        }
        found.append(
            {
                "name": name,
                "folder": str(folder),
                "embedded": folder == EMBEDDED,
                "classifier": card.classifier is not None,
                "classes": 0 if card.classes is None else card.classes.count,
                "default_layer": card.default_layer,
                "layers": layers,
            }
        )
        if not as_json:
            told = ", ".join(f"{key} {item['channels']}/{item['stride']}" for key, item in layers.items())
            kind = (
                "no classifier" if card.classes is None else counted(card.classes.count, "class", "classes")
            )
            say(f"{printable(name)}  {kind}  layers (channels/stride): {printable(told)}")
    if as_json:
        emit({"models": found})


@model.command("show")
@click.argument("name", metavar="NAME", type=ModelType())
@json_option
def show_command(name: str, as_json: bool) -> None:
    """Print the card of the model NAME, or of a model's folder."""
    from camseek.backbones import ModelCard, find_model

    folder = find_model(name)
    card = ModelCard.read(folder)
    if as_json:
        emit({"folder": str(folder), "card": card.to_json()})
        return
    taken, classes = card.input, card.classes
    size = f"{taken.size[0]} x {taken.size[1]} pixels alone" if taken.size else "any size"
    lines = [
        f"model        {card.name} (version {card.version})",
        f"folder       {folder}",
        f"about        {card.description}",
        f"sources      {', '.join(card.sources)}",
        f"licence      {card.licence}",
        f"attribution  {card.attribution}",
        f"input        {size}, in multiples of {taken.multiple}; {taken.channel_order}, "
        f"mean {_numbers(taken.mean)}, std {_numbers(taken.std)}",
        *_layer_lines(card),
        "classes      none: no classifier, no class activation maps"
        if classes is None
        else f"classes      {classes.count}, from {classes.source}",
        f"checksum     {card.model.sha256}",
        "proof        "
        + ("none" if card.proof is None else "on a pattern of {} x {}".format(*card.proof.size)),
    ]
    for line in lines:
        say(printable(line))


@model.command("check")
@click.argument("name", metavar="NAME", type=ModelType())
@click.argument("picture", metavar="[PICTURE]", required=False, type=NameType())
@json_option
def check_command(name: str, picture: str | None, as_json: bool) -> None:
    """Run the model NAME and compare what it gives with its card.

    Files are compared with their checksums, the graph with the card, and what it gives for a generated
    pattern with what it gave when the card was made. With PICTURE, it is run on that too, and its classes are
    printed.
    """
    from camseek.backbones import load_model
    from camseek.backbones.proof import compare
    from camseek.errors import ModelError

    loaded = load_model(name)
    proof = loaded.card.proof
    if proof is not None and (faults := compare(loaded, proof)):
        told = "; ".join(f"{output}: {fault}" for output, fault in sorted(faults.items()))
        raise ModelError(
            f"the model {loaded.card.name} does not give what its card holds: {told}",
            remedy="import it again, or get its files again",
        )
    seen = None if picture is None else _look(loaded, picture)
    if as_json:
        emit(
            {
                "model": loaded.card.name,
                "sound": True,
                "compared": [] if proof is None else sorted(proof.outputs),
                **({} if seen is None else {"picture": seen}),
            }
        )
        return
    if proof is None:
        note("its card holds no proof: only the files and the graph were compared")
    say(f"sound: {loaded.card.name}" + (f" ({', '.join(sorted(proof.outputs))})" if proof else ""))
    if seen is not None:
        for item in seen["classes"]:
            say(f"{item['probability']:6.1%}  {printable(item['name'])}")


def _look(loaded: Any, picture: str) -> dict[str, Any]:
    """What a model gives for a picture, compared with its card's shapes."""
    import numpy as np

    from camseek.config import Limits, Settings
    from camseek.encoding.activations import probabilities
    from camseek.extraction.reading import PictureReader
    from camseek.extraction.sources import opened

    settings = Settings()
    with opened(picture) as (_, file):
        pixels = PictureReader.of(loaded, settings.size, Limits()).read(file).pixels
    found = loaded.outputs(pixels)
    layers = {
        name: {"shape": list(values.shape), "mean": float(values.mean()), "maximum": float(values.max())}
        for name, values in found.items()
        if name != "scores"
    }
    classes: list[dict[str, Any]] = []
    if loaded.has_classifier:
        shares = probabilities(found["scores"])[0]
        classes = [
            {"class": int(index), "name": loaded.class_names[index], "probability": float(shares[index])}
            for index in np.argsort(-shares, kind="stable")[:5]
        ]
    return {"path": picture, "layers": layers, "classes": classes}


def _normalisation(
    means: Any, std: tuple[float, float, float] | None, order: str | None
) -> "Normalisation | None":
    """What the options say; None for the kind of file's own."""
    from dataclasses import replace

    from camseek.backbones.importing import CAFFE, RESEARCH, TORCHVISION, Normalisation

    if means is None:
        if std is not None or order is not None:
            raise click.UsageError("--std and --channel-order belong with --mean")
        return None
    named = {"torchvision": TORCHVISION, "caffe": CAFFE, "research": RESEARCH}
    if isinstance(means, str):
        if std is not None or order is not None:
            raise click.UsageError(f"--means {means} says --std and --channel-order itself")
        return named[means]
    made = Normalisation(mean=means, std=std or (1.0, 1.0, 1.0))
    return made if order is None else replace(made, channel_order=order)


def _layer_lines(card: "ModelCard") -> list[str]:
    return [
        printable(
            f"layer        {name}: {counted(layer.channels, 'channel')}, stride {layer.stride}"
            + (", signed" if layer.signed else "")
            + (" (default)" if name == card.default_layer else "")
            + (f", from {layer.source}" if layer.source not in (None, name) else "")
        )
        for name, layer in card.layers.items()
    ]


def _numbers(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:g}" for value in values)
