"""What a collection keeps of a picture beside its descriptor: its parts, packed."""

from collections.abc import Callable, Collection, Iterable

from camseek.backbones import Backbone
from camseek.config import PARTS
from camseek.extraction.extractor import Extraction
from camseek.extraction.fine import stored_fine
from camseek.extraction.points import stored_points
from camseek.images import Picture
from camseek.store import FINE, POINTS, SKETCH, TRACES

_OF_PIXELS: dict[str, Callable[[Picture, Backbone], bytes]] = {
    POINTS: lambda picture, model: stored_points(picture).pack(picture.size),
    # A network of its own, which runs where the model does.
    FINE: lambda picture, model: stored_fine(picture, model.device),
}


def needs_pass(parts: Collection[str]) -> bool:
    """Whether a picture must go through the network for parts of it, of ``camseek.config.PARTS``."""
    return not _OF_PIXELS.keys() >= set(parts)


def possible(model: Backbone, parts: Iterable[str]) -> tuple[str, ...]:
    """Those of some parts that can be made with a model: one without axes of a sketch has none."""
    return tuple(part for part in parts if part != SKETCH or model.sketcher is not None)


def traces_of(seen: Extraction | Picture, parts: Iterable[str], model: Backbone) -> dict[str, bytes]:
    """The traces of a whole picture, by their kinds.

    Args:
        seen: As the network saw it, or as it sees it for parts that need no pass.
        parts: Which parts of it are kept, of ``camseek.config.PARTS``.
        model: The network.

    Raises:
        ValueError: A part that needs a pass, of a picture that had none, or that the model cannot make.
    """
    return {TRACES[part]: _made(seen, part, model) for part in parts}


def _made(seen: Extraction | Picture, part: str, model: Backbone) -> bytes:
    if part in _OF_PIXELS:
        return _OF_PIXELS[part](seen.picture if isinstance(seen, Extraction) else seen, model)
    if part not in PARTS or not isinstance(seen, Extraction) or model.sketcher is None:
        raise ValueError(f"there is no {part} of this picture")
    return model.sketcher.sketch(seen.activations, seen.grid).pack()
