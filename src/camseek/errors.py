"""Every error camseek raises for what users bring: pictures, folders, models, collections.

::

    CamseekError
    ├── PictureError               one picture cannot be used; batch work goes on past it
    │   ├── UnreadableFileError      it cannot be opened or read now: what it holds is unknown
    │   │   └── NotPermittedError      its permissions forbid it
    │   ├── NotAPictureError         its content is no picture format known here
    │   ├── UnsupportedPictureError  it is a picture, of a kind that is not read here
    │   ├── DamagedPictureError      it is a picture, but broken or cut short
    │   ├── TooSmallError            it has fewer pixels than say anything
    │   ├── TooLargeError            it has more pixels than the limit, or takes too much memory
    │   ├── TooSlowError             decoding it takes more time than the limit
    │   ├── DecoderCrashedError      the decoder crashed on it
    │   └── FailedPictureError       something else failed on its way: it is tried again next time
    ├── RegionError                a region is empty, reversed or outside its picture
    ├── FeaturelessError           a query on which the network sees nothing
    ├── ModelError                 a model's files are missing or do not fit together
    │   ├── DamagedModelError        they are broken or cut short
    │   ├── UnsupportedModelError    they are of a kind that is not read here
    │   └── ForbiddenModelError      they would do, take or reach for more than any model needs
    ├── SettingsError              settings that cannot be, or do not fit the collection
    ├── GroundTruthError           a ground truth that is missing or cannot be used
    │   ├── DamagedTruthError        its file is broken or cut short
    │   ├── UnsupportedTruthError    its file is of a kind that is not read here
    │   └── ForbiddenTruthError      its file would do or take more than any ground truth needs
    ├── DecoderError               no process can be started to decode pictures in
    ├── ClusterError               a cluster of machines cannot be used
    ├── SourceError                the folder or files to index cannot be used
    │   └── UnreadPicturesError      pictures of a collection cannot be read again
    ├── OutputError                a report cannot be written
    ├── CancelledError             whoever started the work has stopped it
    └── CollectionError
        ├── NoCollectionError        there is no collection there
        ├── CollectionBusyError      another process is writing to it
        │   └── CollectionChangedError   its descriptors were replaced while they were being used
        ├── CorruptCollectionError   its file is damaged
        ├── CollectionVersionError   another version of camseek made it
        └── StorageError             the disk is full, read-only or failing
            └── ServerError              the server that keeps it does not answer, or does not let one in

A caller's bug raises ``ValueError`` or ``TypeError`` instead.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar


class CamseekError(Exception):
    """Something a user brought cannot be used.

    Attributes:
        code: A stable word for programs (``"busy"``).
        message: What is wrong, and where.
        remedy: What to do about it.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions travel as their arguments, and know nothing of keywords.
        return partial(type(self), remedy=self.remedy), (self.message,), self.__dict__


class PictureError(CamseekError):
    """One picture cannot be used.

    Attributes:
        settled: Whether that is the file's own fault, and will be so tomorrow. What is not settled says
            nothing of the file: what was known of it is kept, and it is tried again.
    """

    code = "picture"
    settled: ClassVar[bool] = True


class UnreadableFileError(PictureError):
    """The file cannot be opened or read now; what it holds is unknown."""

    code = "unreadable"
    settled = False


def out_of_memory() -> UnreadableFileError:
    """The error of a picture for which memory ran out: it says nothing of the file, which is tried again."""
    return UnreadableFileError(
        "there is not enough memory for it now",
        remedy="free some memory, or use a smaller --max-megapixels",
    )


class NotPermittedError(UnreadableFileError):
    """Permissions forbid to open or read the file; what it holds is unknown."""

    code = "not_permitted"


class NotAPictureError(PictureError):
    """The content is no picture format known here."""

    code = "not_a_picture"


class UnsupportedPictureError(PictureError):
    """It is a picture, whole for all that is known, but of a kind that is not read here."""

    code = "not_supported"


class DamagedPictureError(PictureError):
    """It is a picture, but broken or cut short."""

    code = "damaged"


class TooSmallError(PictureError):
    """The picture has fewer pixels than the network can say anything about."""

    code = "too_small"


class TooLargeError(PictureError):
    """The picture has more pixels than the limit, or takes more memory than a picture may."""

    code = "too_large"


class TooSlowError(PictureError):
    """Decoding the picture takes more time than the limit."""

    code = "too_slow"


class DecoderCrashedError(PictureError):
    """The decoder crashed on the picture, in a process of its own."""

    code = "decoder_crashed"


class FailedPictureError(PictureError):
    """Something that nobody foresaw failed on the picture's way; it is tried again next time."""

    code = "failed"
    settled = False


def is_settled(code: str) -> bool:
    """Whether a picture's error of this code is the file's own fault (``PictureError.settled``)."""
    return code not in {kind.code for kind in _kinds_of(PictureError) if not kind.settled}


def _kinds_of(kind: type[PictureError]) -> Iterator[type[PictureError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _kinds_of(one)


class RegionError(CamseekError):
    """A region is none, empty, reversed, too small or outside its picture, in pixels or in per cent."""

    code = "region"


class FeaturelessError(CamseekError):
    """The network sees nothing in the query: its descriptor would be zero."""

    code = "featureless"


class ModelError(CamseekError):
    """A model's files are missing or do not fit together."""

    code = "model"


class DeviceError(CamseekError):
    """Networks cannot run on what was asked for."""

    code = "device"


class DamagedModelError(ModelError):
    """A model's file is broken or cut short."""

    code = "model_damaged"


class UnsupportedModelError(ModelError):
    """A model's file may be sound, but is of a kind that is not read here."""

    code = "model_not_supported"


class ForbiddenModelError(ModelError):
    """A model's file would do, take or reach for more than any model needs; it was not done."""

    code = "model_not_permitted"


class SettingsError(CamseekError):
    """Settings that cannot be, or that do not fit the collection."""

    code = "settings"


class GroundTruthError(CamseekError):
    """A ground truth that is missing or cannot be used."""

    code = "ground_truth"


class DamagedTruthError(GroundTruthError):
    """A ground truth's file is broken or cut short."""

    code = "ground_truth_damaged"


class UnsupportedTruthError(GroundTruthError):
    """A ground truth's file may be sound, but is of a kind that is not read here."""

    code = "ground_truth_not_supported"


class ForbiddenTruthError(GroundTruthError):
    """A ground truth's file would do or take more than any ground truth needs; it was not done."""

    code = "ground_truth_not_permitted"


class DecoderError(CamseekError):
    """No process can be started to decode pictures in."""

    code = "decoder"


class ClusterError(CamseekError):
    """A cluster of machines cannot be used: none answers, or its workers cannot do the work."""

    code = "cluster"


class SourceError(CamseekError):
    """The folder or files to index cannot be used."""

    code = "source"


class UnreadPicturesError(SourceError):
    """Pictures of a collection cannot be read again: their files are gone or others now, or this may pass.

    Attributes:
        files: A name of each, as it is stored, and why.
        passing: Whether all of them are there as they were, and cannot be read just now.
    """

    def __init__(
        self, message: str, *, remedy: str, files: tuple[tuple[bytes, str], ...] = (), passing: bool = False
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.files = files
        self.passing = passing


class ManifestError(SourceError):
    """A IIIF manifest is none, or has no pictures, or too many."""

    code = "manifest"


class OutputError(CamseekError):
    """A report cannot be written."""

    code = "output"


class CancelledError(CamseekError):
    """Whoever started the work has stopped it; what was done is kept."""

    code = "cancelled"


class CollectionError(CamseekError):
    """A collection cannot be used."""

    code = "collection"


class NoCollectionError(CollectionError):
    """There is no collection there."""

    code = "no_collection"


class CollectionBusyError(CollectionError):
    """Another process is writing to the collection."""

    code = "busy"


class CollectionChangedError(CollectionBusyError):
    """The collection changed so much (``camseek fit``, ``upgrade``) that what was read does not fit it."""

    code = "changed"


class CollectionOvertakenError(CollectionChangedError):
    """Others wrote while all descriptors were about to be replaced: they are as before."""


class CorruptCollectionError(CollectionError):
    """The collection's file is damaged."""

    code = "corrupt"


class CollectionVersionError(CollectionError):
    """Another version of camseek made the collection."""

    code = "version"


class StorageError(CollectionError):
    """The disk is full, read-only or failing."""

    code = "storage"


class ServerError(StorageError):
    """The server that keeps the collection does not answer, or does not let one in."""

    code = "server"
