"""A picture's file to what a collection stores of it: work that can travel."""

import threading
from collections.abc import Collection as Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jaxtyping import Float32

from camseek.backbones import Backbone, as_model, find_network, load_model
from camseek.config import Device, Limits, Settings
from camseek.encoding.activations import Activations
from camseek.encoding.encoder import Encoder
from camseek.encoding.whitening import Whitening
from camseek.errors import ModelError
from camseek.extraction.agreement import require_model
from camseek.extraction.extractor import Extraction, Extractor
from camseek.extraction.traces import possible, traces_of
from camseek.images import fingerprint, prepare
from camseek.numerics import F32, is_usable
from camseek.store import Collection, PictureRecord, Profile, as_stored

if TYPE_CHECKING:
    from typing import BinaryIO
else:
    # Run-time type checkers take BytesIO for none.
    BinaryIO = object


def held(encoder: Encoder, vectors: Float32[F32, "*shape K"]) -> Float32[F32, "*shape K"]:
    """Unwhitened vectors of pictures as a collection's whitening takes them.

    The one vector of an encoding that has no more is rounded as it lies in a collection without a whitening.
    So what a whitening is fitted on and applied to is the same, whether it comes from the collection or from
    the picture's file.
    """
    return as_stored(vectors) if encoder.encoding.one_vector else vectors


def describe_to_store(encoder: Encoder, activations: Activations) -> Float32[F32, " D"]:
    """The descriptor that a collection holds of a whole picture: of unit norm, or zero where featureless."""
    if encoder.whitening is None:
        return encoder.describe(activations)[0]
    return encoder.combine(held(encoder, encoder.parts(activations)))[0]


@dataclass(frozen=True, slots=True, eq=False)
class Describer:
    """What makes the records of a collection's pictures.

    It holds no collection, and travels to another process as its model's address, the settings and the
    limits. Threads may share one.

    Attributes:
        model: The network.
        settings: The collection's.
        limits: What this machine may spend on one picture.
        whitening: The collection's, as bytes, or None.
        keeps: What is stored of a picture beside its descriptor, of ``camseek.config.PARTS``.
        extractor: Reads pictures, as these say.
        encoder: Makes their descriptors, likewise.
    """

    model: Backbone
    settings: Settings
    limits: Limits
    whitening: bytes | None = None
    keeps: tuple[str, ...] = ()
    extractor: Extractor = field(init=False)
    encoder: Encoder = field(init=False)

    def __post_init__(self) -> None:
        settings = self.settings
        whitening = None if self.whitening is None else Whitening.from_bytes(self.whitening)
        weights, bias = self.model.classifier_weights, self.model.classifier_bias
        encoder = Encoder.of(settings, weights, bias, whitening)
        object.__setattr__(self, "extractor", Extractor.of(self.model, settings.size, self.limits))
        object.__setattr__(self, "encoder", encoder)

    def __reduce__(self) -> tuple[Any, ...]:
        return Describer, (self.model, self.settings, self.limits, self.whitening, self.keeps)

    def describe(self, seen: Extraction) -> Float32[F32, " D"]:
        """The descriptor of a whole picture: of unit norm, or zero where it is featureless."""
        return describe_to_store(self.encoder, seen.activations)

    def needs(self, known: Set[bytes]) -> int | None:
        """How much of a file it reads: None, which is all."""
        return None

    def record(
        self, file: BinaryIO, name: bytes | None = None, *, known: Set[bytes] = ()
    ) -> tuple[bytes, PictureRecord | None, tuple[str, ...]]:
        """What a collection stores of a picture.

        Args:
            file: The picture's file.
            name: Its name.
            known: SHA-256 of contents that need not be described again.

        Returns:
            The content's SHA-256; the record, None where the content is known; what was odd.

        Raises:
            PictureError: It cannot be used.
        """
        content = fingerprint(file)
        if content in known:
            return content, None, ()
        seen = self.extractor.extract_file(file, name, content)
        descriptor, picture = self.describe(seen), seen.picture
        record = PictureRecord(
            content=content,
            size=picture.size,
            format=picture.format,
            frames=picture.frames,
            descriptor=descriptor if is_usable(descriptor) else None,
            traces=traces_of(seen, possible(self.model, self.keeps), self.model),
        )
        warnings = picture.warnings
        if picture.frames > 1:
            warnings += (f"it has {picture.frames} frames; the first one is indexed",)
        return content, record, warnings


class Describers:
    """The describers of a collection, as its descriptors are at the moment; threads may share it.

    The model is loaded when it is first needed, and a second time, with one thread a pass, where pictures are
    read beside each other. Where the collection has gone over to another one meanwhile, that is looked for
    among those that are here.
    """

    def __init__(
        self, collection: Collection, model: Backbone | None, limits: Limits, device: Device | None = None
    ) -> None:
        """Puts a collection and a model together.

        Args:
            collection: The collection.
            model: The model it was made with; None for the one among those that are here.
            limits: What this machine may spend on one picture.
            device: What models run on that are loaded here; None for what is usual.

        Raises:
            SettingsError: The collection was made with another model.
        """
        self._collection = collection
        self._device = device
        self._limits = limits
        # By a network's checksum and its layer.
        self._models: dict[tuple[str, str], Backbone] = {}
        self._singles: dict[tuple[str, str], Backbone] = {}
        self._made: dict[bool, tuple[Profile, Describer]] = {}
        # Threads that work beside each other need the model at the same moment; one of them loads it.
        self._loading = threading.RLock()
        if model is not None:
            self.know(require_model(model, collection.address, collection.profile))

    def know(self, model: Any, layer: str | None = None) -> Backbone:
        """Takes a model that the collection is made with, or may be some day, as ``as_model``; loaded."""
        loaded = as_model(model, layer, self._device)
        with self._loading:
            self._models[loaded.checksum, loaded.layer] = loaded
        return loaded

    @property
    def model(self) -> Backbone:
        """The model of the descriptors that were last looked at; raises as ``model_of``."""
        return self.model_of(self._collection.profile)

    def model_of(self, profile: Profile) -> Backbone:
        """The model that descriptors of a profile are made with.

        Raises:
            ModelError: It is not here, or cannot be loaded.
        """
        with self._loading:
            known = self._models.get(_key(profile))
            if known is not None:
                return known
            place = find_network(profile.model_checksum, profile.model)
            if place is None:
                raise ModelError(
                    f"{self._collection.address} was made with the model {profile.model} "
                    f"({profile.model_checksum[:12]}), which is not among the models that are here",
                    remedy="give that model with --model, or import it first: camseek model import",
                )
            prepare()  # it starts while the model is loaded
            loaded = load_model(place, layer=profile.settings.layer, device=self._device)
            self.know(require_model(loaded, self._collection.address, profile))
            return loaded

    def profile(self) -> Profile:
        """What the descriptors are made with now: another process may have replaced them meanwhile."""
        with self._collection.snapshot():
            return self._collection.profile

    def of(self, profile: Profile, *, single: bool) -> Describer:
        """A describer for descriptors of a moment.

        Args:
            profile: Of that moment.
            single: One thread a pass, for pictures that are read beside each other.
        """
        with self._loading:
            known = self._made.get(single)
            if known is not None and known[0] is profile:
                return known[1]
            made = self._make(profile, single=single)
            self._made[single] = profile, made
            return made

    def _make(self, profile: Profile, *, single: bool) -> Describer:
        model = self.model_of(profile)
        if single:
            if _key(profile) not in self._singles:
                self._singles[_key(profile)] = model.with_threads(1)
            model = self._singles[_key(profile)]
        return Describer(model, profile.settings, self._limits, profile.whitening, profile.keeps)

    def single(self) -> Describer:
        """A describer of now, one thread a pass."""
        return self.of(self.profile(), single=True)

    def beside(self, profile: Profile) -> Describer:
        """A describer for another representation than the one in use, one thread a pass."""
        with self._loading:
            return self._make(profile, single=True)


def _key(profile: Profile) -> tuple[str, str]:
    return profile.model_checksum, profile.settings.layer
