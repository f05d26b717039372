"""Pickles of plain data, read without executing them.

Python's own reader calls whatever a pickle names; a file from elsewhere could do anything. Here the opcodes
are interpreted one by one (``pickletools`` only takes them apart); nothing is imported and nothing called.
Lists, tuples, dictionaries, numbers, texts and NumPy arrays are built, and any other name is an error.
Protocols 0 to 5 are read, of Python 2 and 3 and NumPy 1 and 2.
"""

import math
import pickletools
import struct
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from camseek.errors import GroundTruthError
from camseek.names import path_text

# The official files have less than a megabyte, and 100,000 values.
_LARGEST = 64_000_000
_MOST_VALUES = 1_000_000

_MARK = object()
_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
_VALUES = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    }
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})


def read_pickle(content: bytes, path: bytes) -> Any:
    """The plain values in a pickle.

    Args:
        content: The pickle.
        path: Its file, for messages.

    Returns:
        Dictionaries, lists (arrays and tuples become lists), numbers, texts (bytes stay bytes), booleans and
        None.

    Raises:
        GroundTruthError: It is no pickle, is cut short, or holds or does anything else; the message says at
            which byte.
    """
    if len(content) > _LARGEST:
        raise _error(path, f"it has {len(content)} bytes, more than any ground truth", 0)
    machine = _Machine()
    position = 0
    try:
        for opcode, argument, place in pickletools.genops(content):
            position = place or 0
            machine.step(opcode.name, argument)
        return _plain(machine.result(), _Budget())
    except _RefusedError as error:
        raise _error(path, str(error), position) from error
    except (ValueError, TypeError, LookupError, struct.error, OverflowError, RecursionError) as error:
        raise _error(path, f"it is no sound pickle ({error})", position) from error


class _RefusedError(Exception):
    """The pickle wants what is not done here."""


@dataclass(frozen=True, slots=True)
class _Name:
    """Something that a pickle names in a module; never imported."""

    module: str
    name: str


@dataclass(slots=True)
class _Type:
    """A NumPy element type as its code (``i8``), and its byte order."""

    code: str
    order: str = "<"

    def made(self) -> np.dtype[Any]:
        if self.code[:1] not in "biufSU" or not (self.code[1:] or "1").isdigit():
            raise _RefusedError(f"it holds an array of the element type {self.code!r}")
        return np.dtype(self.code).newbyteorder("<" if self.order == "|" else self.order)  # pyright: ignore[reportArgumentType]


@dataclass(slots=True)
class _Array:
    """An array, or its shell until its content follows."""

    content: list[Any] | None = None


def _array(shape: Any, kind: Any, data: Any, *, fortran: bool) -> list[Any]:
    """An array as nested lists."""
    if not isinstance(kind, _Type) or not isinstance(shape, tuple):
        raise _RefusedError("it holds an array of another form")
    sides = cast(tuple[Any, ...], shape)
    if any(type(side) is not int or side < 0 for side in sides):
        raise ValueError("an array's shape")
    if kind.code[:1] == "O" and isinstance(data, list):
        items = cast(list[Any], data)
        if len(sides) != 1 or sides[0] != len(items):
            raise _RefusedError("it holds an array of objects that is no plain list")
        return items
    values = np.frombuffer(_bytes(data), kind.made())
    if math.prod(sides) != len(values):
        raise ValueError(f"an array of shape {sides} with {len(values)} values")
    return values.reshape(sides, order="F" if fortran else "C").tolist()


def _bytes(value: Any) -> bytes:
    """Bytes; Python 2's are texts here."""
    if isinstance(value, str):
        return value.encode("latin-1")
    if not isinstance(value, bytes | bytearray):
        raise TypeError("bytes are something else")
    return bytes(value)


@dataclass(slots=True)
class _Machine:
    """The pickle's stack and memory."""

    stack: list[Any] = field(default_factory=list[Any])
    memory: dict[int, Any] = field(default_factory=dict[int, Any])

    def result(self) -> Any:
        if len(self.stack) != 1:
            raise ValueError("values are left over")
        return self.stack[0]

    def step(self, name: str, argument: Any) -> None:
        """Does one opcode."""
        push, pop = self.stack.append, self.stack.pop
        if name in _VALUES:
            push(argument)
        elif name in _CONSTANTS:
            push(_CONSTANTS[name])
        elif name in _PUTS:
            self.memory[argument] = self.stack[-1]
        elif name in _GETS:
            push(self.memory[argument])
        elif name in _TUPLES:
            count = _TUPLES[name]
            push(tuple(pop() for _ in range(count))[::-1])
        else:
            self._rarer(name, argument)

    def _rarer(self, name: str, argument: Any) -> None:
        push, pop = self.stack.append, self.stack.pop
        match name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                push(_MARK)
            case "MEMOIZE":
                self.memory[len(self.memory)] = self.stack[-1]
            case "EMPTY_LIST":
                push([])
            case "EMPTY_DICT":
                push({})
            case "TUPLE":
                push(tuple(self._since_mark()))
            case "LIST":
                push(self._since_mark())
            case "DICT":
                items = self._since_mark()
                push({})
                self._set(items)
            case "APPEND":
                self._extend([pop()])
            case "APPENDS":
                self._extend(self._since_mark())
            case "SETITEM":
                value, key = pop(), pop()
                self._set([key, value])
            case "SETITEMS":
                self._set(self._since_mark())
            case "GLOBAL":
                module, _, what = str(argument).partition(" ")
                push(_Name(module, what))
            case "STACK_GLOBAL":
                what, module = pop(), pop()
                push(_Name(str(module), str(what)))
            case "REDUCE":
                arguments, function = pop(), pop()
                push(_reduced(function, arguments))
            case "BUILD":
                state = pop()
                _build(self.stack[-1], state)
            case _:
                raise _RefusedError(f"it asks for {name}; only plain data is read")

    def _since_mark(self) -> list[Any]:
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise ValueError("a mark is missing")
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise TypeError("items without a list")
        cast(list[Any], self.stack[-1]).extend(items)

    def _set(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], dict) or len(items) % 2:
            raise TypeError("items without a dictionary")
        cast(dict[Any, Any], self.stack[-1]).update(zip(items[::2], items[1::2], strict=True))


def _reduced(function: Any, arguments: Any) -> Any:
    """What calling one of the few known functions would give; nothing is called."""
    if not isinstance(function, _Name) or not isinstance(arguments, tuple):
        raise _RefusedError("it calls something that is no name")
    given = cast(tuple[Any, ...], arguments)
    match function.module, function.name:
        case module, "_reconstruct" if module in _MULTIARRAY:
            if given[0] != _Name("numpy", "ndarray"):
                raise _RefusedError("it holds an array of a kind of its own")
            return _Array()
        case module, "scalar" if module in _MULTIARRAY:
            return _array((1,), given[0], given[1], fortran=False)[0]
        case module, "_frombuffer" if module in _NUMERIC:
            data, kind, shape, order = given
            return _Array(_array(shape, kind, data, fortran=order == "F"))
        case "numpy", "dtype":
            return _Type(str(given[0]))
        case "_codecs", "encode" if given[1:] == ("latin1",):
            return _bytes(given[0])
        case "__builtin__" | "builtins", "bytes" if not given:  # how protocols 0 to 2 write none
            return b""
        case module, name:
            raise _RefusedError(
                f"it calls {module}.{name}; a ground truth has no need of it, and it was not done"
            )


def _build(target: Any, state: Any) -> None:
    """Fills the shell of an array or of an element type."""
    if not isinstance(state, tuple):
        raise _RefusedError("it fills an object")
    given = cast(tuple[Any, ...], state)
    if isinstance(target, _Array):
        shape, kind, fortran, data = given[-4:]
        target.content = _array(shape, kind, data, fortran=bool(fortran))
    elif isinstance(target, _Type):
        # Version, byte order, then fields: only element types without any are plain.
        if len(given) < 5 or any(item is not None for item in given[2:5]):
            raise _RefusedError("it holds an array with fields")
        target.order = str(given[1])
        if target.order not in ("<", ">", "=", "|"):
            raise ValueError("an element type's byte order")
    else:
        raise _RefusedError("it fills an object")


@dataclass(slots=True)
class _Budget:
    """How many values may still come: what is named twice counts twice, so that a small file stays small."""

    left: int = _MOST_VALUES

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise _RefusedError(f"it unfolds to more than {_MOST_VALUES} values")


def _plain(value: Any, budget: _Budget) -> Any:
    budget.spend()
    if isinstance(value, _Array):
        if value.content is None:
            raise ValueError("an array without content")
        value = value.content
    if isinstance(value, list | tuple):
        return [_plain(item, budget) for item in cast(list[Any], value)]
    if isinstance(value, dict):
        items = cast(dict[Any, Any], value).items()
        return {_plain_key(key): _plain(item, budget) for key, item in items}
    if isinstance(value, bytearray):
        return bytes(value)
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    raise _RefusedError("it holds something that is no plain data")


def _plain_key(key: Any) -> Any:
    if not isinstance(key, str | int | bytes):
        raise _RefusedError("a dictionary's key is no text")
    return key


def _error(path: bytes, what: str, position: int) -> GroundTruthError:
    return GroundTruthError(
        f"{path_text(path)}, byte {position}: {what}",
        remedy="get the official file again, or write its content as JSON",
    )
