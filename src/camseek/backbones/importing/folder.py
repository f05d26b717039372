"""Writing a model's folder: whole, or not at all."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from camseek.backbones.card import CARD_FILE, MOST_CLASS_BYTES, Classes, Input, ModelCard, ModelFile
from camseek.backbones.importing.network import Network
from camseek.backbones.library import EMBEDDED
from camseek.backbones.onnx_backbone import check_whole, load_tried, note_tried
from camseek.backbones.proof import make_proof
from camseek.errors import ModelError
from camseek.files import read_regular, reason_of
from camseek.job import processors
from camseek.names import shown

MODEL_FILE, CLASSES_FILE = "model.onnx", "classes.txt"
_IMAGENET = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """What a network's pixels are: ``(x - mean) / std`` of 0 to 255, in the network's order of channels.

    Attributes:
        mean: Mean of each channel.
        std: Divisor of each channel.
        channel_order: ``"RGB"`` or ``"BGR"``.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channel_order: str = "RGB"


# What torchvision's networks were trained with, in units of 0 to 255.
TORCHVISION = Normalisation(
    mean=(255 * 0.485, 255 * 0.456, 255 * 0.406), std=(255 * 0.229, 255 * 0.224, 255 * 0.225)
)
# Caffe's: blue first. The research code took the means in the order of red first from them.
CAFFE = Normalisation(mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0), channel_order="BGR")
RESEARCH = replace(CAFFE, mean=(123.68, 116.779, 103.939))


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import made.

    Attributes:
        folder: The model's folder.
        card: Its card.
        notes: What was assumed or seen, for people.
    """

    folder: Path
    card: ModelCard
    notes: tuple[str, ...]


def write_model(
    network: Network,
    folder: Path,
    *,
    name: str,
    source: str,
    normalisation: Normalisation,
    classes: Sequence[str] | None,
    force: bool = False,
) -> Imported:
    """Writes a model's folder, tries the model there, and notes what it gives in the card.

    Args:
        network: The network.
        folder: Where the model's folder comes to be.
        name: The model's name.
        source: What it was made from, for the card.
        normalisation: What its pixels are.
        classes: The classes' names; None for ImageNet's where there are 1000, and numbers otherwise.
        force: Take the place of a model that is there.

    Raises:
        ModelError: The folder is there already, cannot be written, or the model does not work.
    """
    with new_folder(folder, force=force) as part:
        notes = fill_folder(
            network, part, name=name, source=source, normalisation=normalisation, classes=classes
        )
        card = ModelCard.read(part)
        note_tried(card)
    return Imported(folder=folder, card=card, notes=tuple(notes))


def fill_folder(
    network: Network,
    part: Path,
    *,
    name: str,
    source: str,
    normalisation: Normalisation,
    classes: Sequence[str] | None,
) -> list[str]:
    """Writes a model into an empty folder and tries it there; gives what was assumed or seen.

    Raises:
        ModelError: The model does not work.
        OSError: The folder cannot be written.
    """
    notes = list(network.notes)
    (part / MODEL_FILE).write_bytes(network.content)
    named = _write_classes(part, network.classes, classes, notes)
    card = ModelCard(
        name=name,
        version="1",
        description=f"Imported by camseek from {source}.",
        sources=(source,),
        licence="unknown",
        attribution="unknown: see where the network comes from",
        model=ModelFile(file=MODEL_FILE, sha256=hashlib.sha256(network.content).hexdigest()),
        input=Input(
            name=network.input,
            mean=normalisation.mean,
            std=normalisation.std,
            channel_order=normalisation.channel_order,
            multiple=network.multiple,
            size=network.size,
        ),
        layers=network.layers,
        classifier=network.classifier,
        scores=network.scores,
        classes=named,
        default_layer=network.default_layer,
    )
    _write_card(part, card)
    check_whole(part / MODEL_FILE)
    loaded = load_tried(part, ModelCard.read(part), card.default_layer, processors())
    _write_card(part, replace(card, proof=make_proof(loaded, tolerance=network.tolerance)))
    ModelCard.read(part)
    return notes


def _write_card(folder: Path, card: ModelCard) -> None:
    text = json.dumps(card.to_json(), indent=2, ensure_ascii=False) + "\n"
    (folder / CARD_FILE).write_text(text, encoding="utf-8")


def _write_classes(folder: Path, count: int, given: Sequence[str] | None, notes: list[str]) -> Classes | None:
    """The classes' names: the user's, ImageNet's for 1000, or numbers."""
    if not count:
        if given is not None:
            notes.append("class names are left out: a plain backbone has no classes")
        return None
    if given is not None:
        names, source, order = list(given), "the user's file", "As the network's scores."
        if len(names) != count:
            raise ModelError(
                f"the class file names {len(names)} classes, and the network has {count}",
                remedy="give --classes a file of one name a line, in the order of the scores",
            )
    elif count == _IMAGENET:
        embedded = ModelCard.read(EMBEDDED).classes
        names = (EMBEDDED / CLASSES_FILE).read_text(encoding="utf-8").splitlines()
        source = embedded.source if embedded is not None else ""
        order = embedded.order if embedded is not None else ""
        notes.append("1000 classes are taken for ImageNet's, sorted by WordNet id; --classes gives others")
    else:
        names = [f"class {number}" for number in range(count)]
        source, order = "numbers", "As the network's scores."
        notes.append(f"the {count} classes have numbers for names; --classes gives names")
    content = ("\n".join(names) + "\n").encode()
    (folder / CLASSES_FILE).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return Classes(file=CLASSES_FILE, sha256=digest, count=count, source=source, order=order)


def read_class_names(path: Path) -> list[str]:
    """Class names from a UTF-8 file, one a line.

    Raises:
        ModelError: It cannot be read, is not UTF-8, or a name is empty or not printable.
    """
    try:
        names = read_regular(path, MOST_CLASS_BYTES).decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    except OSError as error:
        raise ModelError(f"cannot read {path}: {reason_of(error)}", remedy="check the name") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is not UTF-8", remedy="save it as UTF-8, one name a line") from error
    names = [name.strip() for name in names]
    if names and not names[-1]:
        names.pop()
    for number, name in enumerate(names, 1):
        if not name or not name.isprintable():
            raise ModelError(
                f"line {number} of {path} is no class name: {shown(name)}", remedy="give one name a line"
            )
    return names


def require_new(folder: Path, *, force: bool, source: Path | None = None) -> None:
    """Refuses, before the work, a folder that is there already.

    Args:
        folder: The folder.
        force: Whether a model that is there may be replaced.
        source: The file that is imported, which lies elsewhere if its folder is replaced.

    Raises:
        ModelError: It is, and holds something; or ``force`` would replace more than an imported model.
    """
    try:
        there = folder.is_dir() and any(folder.iterdir())
    except OSError as error:
        raise _unwritable(folder, error) from error
    if not there and not (os.path.lexists(folder) and not folder.is_dir()):
        return
    if not (folder / CARD_FILE).is_file():
        raise ModelError(f"{folder} is there already, and no model", remedy="choose another place")
    if not force:
        raise ModelError(
            f"there is a model in {folder} already", remedy="give another --name, or --force to replace it"
        )
    # What is replaced is thrown away, all of it.
    if strangers := sorted({path.name for path in folder.iterdir()} - _OWN):
        raise ModelError(
            f"{folder} holds more than an imported model: {', '.join(strangers[:5])}",
            remedy="choose another place, or move those files",
        )
    if source is not None and any(_is_same(source, path) for path in folder.iterdir()):
        raise ModelError(f"{source} lies in the folder to be replaced", remedy="choose another place")


_OWN = {CARD_FILE, MODEL_FILE, CLASSES_FILE}


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


@contextmanager
def new_folder(folder: Path, *, force: bool) -> Generator[Path]:
    """A folder beside the wanted one, which takes its place when all is written."""
    require_new(folder, force=force)
    part: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name[:100]}.", suffix=".part", dir=folder.parent))
        yield part
        part.chmod(0o777 & ~_umask())
        _put(part, folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)


def _umask() -> int:
    """The mask of new files, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _put(part: Path, folder: Path) -> None:
    """Moves the finished folder to its place; an older model leaves only when the new one stands."""
    if not folder.is_dir():
        part.rename(folder)
        return
    old = part.with_name(part.name + ".old")
    folder.rename(old)
    try:
        part.rename(folder)
    except OSError:
        with contextlib.suppress(OSError):
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> ModelError:
    return ModelError(
        f"cannot write the model to {folder}: {error.strerror or error}",
        remedy="choose a place that is writable and has space (--into, or CAMSEEK_MODELS)",
    )
