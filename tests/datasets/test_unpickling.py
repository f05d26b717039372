import collections
import contextlib
import os
import pickle
import pickletools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camseek.datasets.unpickling import read_pickle
from camseek.errors import DamagedTruthError, ForbiddenTruthError, GroundTruthError, UnsupportedTruthError

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=5),
    max_leaves=30,
)


def read(content: bytes) -> Any:
    return read_pickle(content, b"/gnd.pkl")


@given(PLAIN, st.integers(0, 5))
def test_plain_values_come_back(value: Any, protocol: int) -> None:
    assert read(pickle.dumps(value, protocol)) == value


def test_tuples_become_lists_and_shared_values_stay() -> None:
    shared = [1, 2]
    assert read(pickle.dumps({"a": (shared, shared), "b": shared}, 4)) == {"a": [[1, 2], [1, 2]], "b": [1, 2]}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int64),
        np.arange(6, dtype=">i2").reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([], np.int32),
        np.array([1.5, -2.0], np.float32),
        np.array([True, False]),
        np.array(["all_souls", "a"]),
        np.array(["all_souls", "a"], object),
        np.array(3),
        np.float64(2.5),
        np.int64(-7),
    ],
    ids=str,
)
def test_arrays_become_lists(array: Any, protocol: int) -> None:
    assert read(pickle.dumps({"x": array}, protocol))["x"] == array.tolist()


@pytest.mark.parametrize("module", [b"numpy.core", b"numpy._core"])
def test_arrays_of_numpy_1_and_2(module: bytes) -> None:
    content = pickle.dumps([np.arange(3)], 2)
    assert read(content.replace(b"numpy._core", module)) == [[0, 1, 2]]


def test_a_pickle_of_python_2() -> None:
    """As Python 2 wrote it: texts are byte strings, and an array's content is one too."""
    data = np.array([3, 5], "<i8").tobytes()
    content = b"".join(
        [
            b"\x80\x02}q\x00(",
            b"U\x06imlistq\x01]q\x02(U\x01aq\x03U\x01bq\x04e",
            b"U\x04easyq\x05cnumpy.core.multiarray\n_reconstruct\nq\x06cnumpy\nndarray\nq\x07K\x00\x85",
            b"U\x01bq\x08\x87Rq\t(K\x01K\x02\x85cnumpy\ndtype\nq\nU\x02i8K\x00K\x01\x87Rq\x0b(K\x03U\x01<",
            b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
            b"U" + bytes([len(data)]) + data + b"q\x0ctbu.",
        ]
    )
    assert read(content) == {"imlist": ["a", "b"], "easy": [3, 5]}
    assert pickle.loads(content, encoding="latin-1")["easy"].tolist() == [3, 5]


class Malicious:
    """What a pickle of it would do: call ``function`` with ``arguments``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_is_executed(tmp_path: Path, protocol: int) -> None:
    made = tmp_path / "made"
    content = pickle.dumps({"imlist": Malicious(os.system, f"touch {made}")}, protocol)
    with pytest.raises(GroundTruthError, match=r"byte \d+: not permitted: it calls (posix|nt)\.system;"):
        read(content)
    assert not made.exists()
    pickle.loads(content)
    assert made.exists(), "the pickle is one that would have done it"


@pytest.mark.parametrize(
    "value",
    [
        Malicious(eval, "1"),
        Malicious(open, "/dev/null"),
        Malicious(print),
        collections.OrderedDict(a=1),
        {1, 2},
        1j,
        slice(1),
        os.system,
        Path("/"),
        {(1, 2): 3},
        np.array([(1, 2)], [("a", "i4"), ("b", "i4")]),
        np.array([{"a": 1}, [os.system]], object),
        np.array(["2020-01-01"], "M8[D]"),
        np.ma.masked_array([1], [True]),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_anything_else_is_refused(value: Any, protocol: int) -> None:
    with pytest.raises(GroundTruthError, match=r"gnd\.pkl, byte"):
        read(pickle.dumps([value], protocol))


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_is_cut_short(protocol: int) -> None:
    content = pickle.dumps({"imlist": ["a", "b"], "gnd": [{"easy": np.arange(4)}]}, protocol)
    for length in range(len(content)):
        with pytest.raises(GroundTruthError):
            read(content[:length])


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_pickle_is_read_or_refused(place: int, value: int) -> None:
    content = bytearray(pickle.dumps({"imlist": ["a", "b"], "gnd": [{"easy": np.arange(4)}]}, 2))
    content[place % len(content)] = value
    with contextlib.suppress(GroundTruthError):
        read(bytes(content))


@given(st.binary(max_size=60))
def test_no_pickle_at_all(content: bytes) -> None:
    with pytest.raises(GroundTruthError):
        read(b"<html>" + content)


def test_a_small_pickle_that_unfolds_to_much() -> None:
    value: Any = [0] * 10
    for _ in range(12):
        value = [value] * 10
    with pytest.raises(GroundTruthError, match="unfolds"):
        read(pickle.dumps(value))


def test_a_list_within_itself() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(GroundTruthError):
        read(pickle.dumps(value))


def opcodes(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


def array_of(shape: bytes, data: bytes) -> bytes:
    """An array of bytes with the shape that some opcodes leave."""
    head = b"cnumpy.core.numeric\n_frombuffer\n(B" + struct.pack("<I", len(data)) + data
    return opcodes(head, b"cnumpy\ndtype\nX\x02\x00\x00\x00u1\x85R", shape, b"X\x01\x00\x00\x00CtR")


def laughs(pushed: bytes, levels: int) -> bytes:
    """A pair of pairs of pairs: 2 to the power of the levels, in four opcodes each."""
    return pushed + b"".join(b"q%ch%c\x86" % (level, level) for level in range(levels))


TOO_MUCH = "not permitted: it unfolds to more than 500,000 values"
COLLIDING = b"".join(b"\x8a\x14" + (n * (2**61 - 1)).to_bytes(20, "little") + b"N" for n in range(1, 9))
HOSTILE = {
    "the same list a million times": (opcodes(b"(]q\0", b"h\0" * 200_000, b"lq\1h\1h\1\x87"), TOO_MUCH),
    "the same text again and again": (
        opcodes(b"(B", struct.pack("<I", 8_000_000), bytes(8_000_000), b"q\0", b"h\0" * 5_000, b"l"),
        TOO_MUCH,
    ),
    "pairs of pairs": (opcodes(laughs(b"K\1", 40)), TOO_MUCH),
    "pairs of pairs as a key": (opcodes(b"}", laughs(b"K\1", 40), b"Ns"), "key is no text"),
    "pairs of pairs as a name": (opcodes(laughs(b"K\1", 40), b"\x8c\1x\x93"), "name is no text"),
    "pairs of pairs as an element type": (
        opcodes(b"cnumpy\ndtype\n", laughs(b"K\1", 40), b"\x85R"),
        "type is no text",
    ),
    "keys that collide": (opcodes(b"}(", COLLIDING, b"u"), "key is no text"),
    "places that collide": (b"Np" + str(2**61 - 1).encode() + b"\n.", "place in memory"),
    "an array again and again": (
        opcodes(
            *(b"cnumpy\ndtype\nX\x02\0\0\0u1\x85Rq\1B", struct.pack("<I", 100_000), bytes(100_000)),
            *(b"q\2(", b"cnumpy.core.numeric\n_frombuffer\n(h\2h\1J\xa0\x86\1\0\x85X\1\0\0\0CtR" * 10, b"l"),
        ),
        TOO_MUCH,
    ),
    "an array of a million empty rows": (array_of(b"J\0\xca\x9a;K\0\x86", b""), TOO_MUCH),
    "an array of too many sides": (array_of(b"(" + b"K\1" * 60_000 + b"t", b"x"), "shape"),
    "an array as large as memory": (array_of(b"\x8a\x09" + b"\xff" * 8 + b"\0\x85", b"x"), TOO_MUCH),
    "elements as large as memory": (
        array_of(b"K\1\x85", b"x").replace(b"X\2\0\0\0u1", b"X\x0b\0\0\0S2147483640"),
        "element type|sound",
    ),
    "a number of a million bits": (opcodes(b"\x8b", struct.pack("<I", 125_000), b"\1" * 125_000), "bits"),
    "a decimal number without end": (b"L" + b"1" * 1_000_000 + b"\n.", "without an end"),
    "a real number without end": (b"F1." + b"1" * 1_000_000 + b"\n.", "without an end"),
    "lists within lists": (opcodes(b"]" * 100_000, b"a" * 99_999), "64 levels"),
    "too many steps": (opcodes(b"(", b"N" * 700_000, b"l"), "600,000 steps"),
    "marks alone": (opcodes(b"(" * 500_000), "left over"),
    "a length beyond the file": (b"\x8d" + b"\xff" * 7 + b"\x7f" + b"x.", "no sound pickle"),
    "a file of gzip": (b"\x1f\x8b" + bytes(20), "not supported: it is compressed"),
}


@pytest.mark.parametrize(("content", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_what_would_unfold_is_refused_before_it_does(content: bytes, reason: str) -> None:
    with pytest.raises(GroundTruthError, match=reason):
        read(content)


def test_the_three_words() -> None:
    with pytest.raises(DamagedTruthError, match=r"^/gnd\.pkl, byte 5: damaged: ") as damaged:
        read(pickle.dumps([1, 2], 2)[:5])
    with pytest.raises(UnsupportedTruthError, match="not supported: it asks for EMPTY_SET") as unsupported:
        read(pickle.dumps({1}, 4))
    with pytest.raises(ForbiddenTruthError, match=r"not permitted: it calls builtins\.print") as forbidden:
        read(pickle.dumps(Malicious(print), 4))
    codes = [error.value.code for error in (damaged, unsupported, forbidden)]
    assert codes == ["ground_truth_damaged", "ground_truth_not_supported", "ground_truth_not_permitted"]
    assert all(error.value.remedy for error in (damaged, unsupported, forbidden))


def test_an_array_whose_shape_is_a_lie() -> None:
    content = pickle.dumps(np.arange(3, dtype=np.int8), 2)
    assert content.count(b"K\x03\x85") == 1
    with pytest.raises(GroundTruthError, match="shape"):
        read(content.replace(b"K\x03\x85", b"K\x04\x85"))


def test_every_opcode_that_is_done_exists() -> None:
    from camseek.datasets import unpickling

    known = {opcode.name for opcode in pickletools.opcodes}
    named = unpickling._VALUES | set(unpickling._CONSTANTS) | set(unpickling._TUPLES) | unpickling._PUTS
    assert named <= known
