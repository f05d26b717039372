"""Where models lie: the embedded one, and those that were imported."""

import contextlib
import os
import re
from pathlib import Path

from camseek.arguments import meant
from camseek.backbones.card import CARD_FILE, ModelCard
from camseek.errors import ModelError
from camseek.places import models_folder

EMBEDDED_NAME = "efficientnet-lite0"
EMBEDDED = Path(__file__).parent / "data" / "efficientnet_lite0"
# Of a name that is told, characters.
_LONGEST = 200
_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(name: str) -> str:
    """A name that an imported model may have.

    Raises:
        ModelError: It is the embedded model's, or not made of letters, digits, dots, dashes and underscores.
    """
    if not _NAME.fullmatch(name):
        raise ModelError(
            f"{name!r} cannot be a model's name",
            remedy="give --name 1 to 100 letters, digits, dots, dashes and underscores",
        )
    if name == EMBEDDED_NAME:
        raise ModelError(f"{name} is the embedded model", remedy="give another --name")
    return name


def imported_models() -> dict[str, Path]:
    """The imported models' folders by name, in the order of the names."""
    try:
        places = sorted(models_folder().iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ModelError(
            f"cannot read the models in {models_folder()}: {error.strerror}",
            remedy="make the folder readable, or set CAMSEEK_MODELS to another",
        ) from error
    return {
        place.name: place
        for place in places
        if _NAME.fullmatch(place.name) and place.name != EMBEDDED_NAME and (place / CARD_FILE).is_file()
    }


def find_network(checksum: str, name: str) -> Path | None:
    """The folder of a model, among those that are here, or None.

    Args:
        checksum: SHA-256 of its network's file.
        name: What its card calls it: of several with that network, the one of the name.

    Raises:
        ModelError: It is not the embedded one, and the imported ones cannot be listed.
    """
    embedded = ModelCard.read(EMBEDDED)
    if (embedded.model.sha256, embedded.name) == (checksum, name):
        return EMBEDDED  # whoever uses no other need have none
    found: list[tuple[bool, Path]] = []
    for place in (EMBEDDED, *imported_models().values()):
        # What cannot be read is no reason not to look at the others.
        with contextlib.suppress(ModelError):
            card = ModelCard.read(place)
            if card.model.sha256 == checksum:
                found.append((card.name != name, place))
    return min(found)[1] if found else None


def find_model(model: str | os.PathLike[str]) -> Path:
    """The folder of a model.

    Args:
        model: A folder that holds a card (this comes first), or the name of an imported model or of the
            embedded one.

    Raises:
        ModelError: There is no such model.
    """
    place, name = Path(model), os.fspath(model)
    with contextlib.suppress(OSError):  # a name that is longer than any file's
        if (place / CARD_FILE).is_file():
            return place
    if name == EMBEDDED_NAME:
        return EMBEDDED
    known = imported_models() if _NAME.fullmatch(name) else {}
    if name in known:
        return known[name]
    if os.path.isdir(place) or (len(name) < _LONGEST and not _NAME.fullmatch(name)):
        return place  # reading its card says what is wrong with it
    imported = ", ".join(known) or "none"
    raise ModelError(
        f"there is no model {name[:_LONGEST]}: no folder of that name, and imported are: {imported}"
        f"{meant(name, [*known, EMBEDDED_NAME])}",
        remedy="give a folder that holds card.json, or a name that camseek model list prints",
    )
