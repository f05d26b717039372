"""Another network for a collection on a stand-in of a server: pictures, turns of it, and what is seen."""

from dataclasses import replace

import numpy as np

from camseek.config import Settings
from camseek.store import SKETCH_TRACE, Profile, Refit, Signature

WIDE, NEW = 16, 4
PROFILE = Profile(
    model="other",
    model_checksum="cd" * 32,
    settings=Settings(layer="head"),
    dimensions=NEW,
    keeps=("sketch",),
)
OTHER = Refit(asked="upgrade", profile=PROFILE, kinds=(SKETCH_TRACE,))
HEAD = "name/!/head"


def content(number):
    return number.to_bytes(32, "big")


def vector(number, length):
    made = np.random.default_rng(1000 * length + number).standard_normal(length).astype(np.float32)
    return made / np.linalg.norm(made)


def bring(collection, picture, numbers):
    """Brings pictures with points and sketches; the third is featureless.

    Args:
        collection: The collection.
        picture: Makes one of a number and a descriptor.
        numbers: Theirs.
    """
    with collection.write("index") as writer:
        network, length = collection.profile.model, collection.profile.dimensions
        if not collection.profile.keeps:
            writer.keep(("points", "sketch"))
        root = writer.root(b"/photos")
        for number in numbers:
            traces = {"points-1": b"points %d" % number, SKETCH_TRACE: sketch(network, number)}
            descriptor = None if number == 3 else vector(number, length)
            made = replace(picture(number, descriptor), traces=traces)
            writer.point(b"/photos/%d" % number, writer.insert(made), Signature(1, 2, 3), root)


def sketch(network, number):
    return b"%s %d" % (network.encode(), number)


def numbers_of(collection, records):
    """The number of each picture, by its record."""
    found = collection.catalogue.pictures(list(records))
    return {record: int.from_bytes(picture.content, "big") for record, picture in found.items()}


def put(collection, writer, records, network="other", length=NEW):
    for record, number in numbers_of(collection, records).items():
        descriptor = None if number == 3 else vector(number, length)
        writer.refitter.put(record, descriptor, {SKETCH_TRACE: sketch(network, number)})


def go_on(collection, some=None):
    """A turn, or all that is left of an upgrade, which is begun where none is."""
    with collection.write("upgrade") as writer:
        if writer.refitter.unfinished() is None:
            writer.refitter.begin(OTHER)
        put(collection, writer, writer.refitter.pending()[:some])
    if some is None:
        with collection.write("upgrade") as writer:
            writer.refitter.finish(keep=True)


def undo(collection):
    with collection.write("upgrade") as writer:
        profile = writer.refitter.kept().profile
        put(collection, writer, writer.refitter.pending(), profile.model, profile.dimensions)
        writer.refitter.finish(keep=True)


def forget(collection):
    with collection.write("upgrade") as writer:
        writer.refitter.discard()
        writer.compact()


def which(found):
    """Length and number of a picture's vector."""
    row = np.array([vector(number, len(found)) for number in range(20)])
    best = int(np.argmax(row @ found))
    np.testing.assert_allclose(row[best], found, atol=2**-10)
    return len(found), best


def held(collection):
    """What searches see: the network, and of each picture its descriptor and traces."""
    with collection.snapshot():
        records = collection.catalogue.records().tolist()
        described = collection.vectors.records()
        vectors = collection.vectors.of(described)
        by_record = dict(zip(described.tolist(), map(which, vectors), strict=True))
        told = collection.profile
        numbers = numbers_of(collection, records)
    traces = [collection.traces.get(kind, records) for kind in ("points-1", SKETCH_TRACE)]
    return (told.model, told.dimensions, told.keeps), {
        numbers[record]: (by_record.get(record), *(found.get(record) for found in traces))
        for record in records
    }


def faults(collection):
    """Less that the sketches and points of these tests are none."""
    return [fault for fault in collection.catalogue.check() if "are damaged" not in fault]


def wanted(model, numbers):
    """What ``held`` should give."""
    length = NEW if model == "other" else WIDE
    return (model, length, ("points", "sketch")), {
        n: (None if n == 3 else (length, n), b"points %d" % n, sketch(model, n)) for n in numbers
    }
