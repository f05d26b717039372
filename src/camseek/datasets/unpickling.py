"""Pickles of plain data, read without executing them.

Python's own reader calls whatever a pickle names; a file from elsewhere could do anything. Readers that only
limit what may be named still hash, print and repeat what the file asks for, which takes years with 400 bytes.
Here the opcodes are interpreted one by one (``pickletools`` only takes their arguments apart); nothing is
imported and nothing called. Lists, tuples, dictionaries, numbers, texts and NumPy arrays are built, each
after a look at what it will take, and any other name is an error. Protocols 0 to 5 are read, of Python 2 and
3 and NumPy 1 and 2.
"""

import io
import math
import pickletools
import struct
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from camseek.datasets.reading import (
    Budget,
    RefusalError,
    check_depth,
    check_plain,
    damaged,
    forbidden,
    refused,
    unsupported,
)
from camseek.names import path_text

# Each opcode is a value at most, or says where one goes.
_MOST_STEPS = 600_000
_LARGEST_NUMBER = 128  # bits
_LONGEST_LINE = 400  # of a number in decimal digits; converting takes the square of them
_MOST_SIDES = 8

_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}
_MARK = object()
_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
_INTEGERS = frozenset({"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"})
_VALUES = _INTEGERS | {
    *("FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_DECIMAL = frozenset({"INT", "LONG", "FLOAT", "PUT", "GET"})


def read_pickle(content: bytes, path: bytes) -> Any:
    """The plain values in a pickle.

    Args:
        content: The pickle.
        path: Its file, for messages.

    Returns:
        Dictionaries, lists (arrays and tuples become lists), numbers, texts (bytes stay bytes), booleans and
        None.

    Raises:
        DamagedTruthError: It is no pickle, or is cut short.
        UnsupportedTruthError: It holds something else than plain data.
        ForbiddenTruthError: It calls something, or unfolds to more than any ground truth. The messages say
            at which byte.
    """
    reader = _Opcodes(content)
    machine = _Machine(Budget())
    try:
        check_plain(content)
        for _ in range(_MOST_STEPS):
            opcode, argument = reader.next()
            if opcode == "STOP":
                return _plain(machine.result(), Budget())
            machine.step(opcode, argument)
        raise forbidden(f"it takes more than {_MOST_STEPS:,} steps")
    except RefusalError as error:
        raise _refused(path, reader.place, error) from error
    except (ValueError, TypeError, LookupError, struct.error, OverflowError, Warning) as error:
        raise _refused(path, reader.place, damaged(f"it is no sound pickle ({_short(error)})")) from error


def _refused(path: bytes, place: int, error: RefusalError) -> Exception:
    return refused(f"{path_text(path)}, byte {place}", error)


def _short(error: Exception) -> str:
    return str(error)[:200]


class _Opcodes:
    """The opcodes of a pickle with their arguments, one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._file = io.BytesIO(content)
        self.place = 0

    def next(self) -> tuple[str, Any]:
        """The next one's name and argument."""
        self.place = self._file.tell()
        opcode = _OPCODES.get(self._file.read(1).decode("latin-1"))
        if opcode is None:
            raise ValueError("an unknown opcode" if self.place < len(self._content) else "it is cut short")
        if opcode.arg is None:
            return opcode.name, None
        if opcode.name in _DECIMAL:
            start = self.place + 1
            if self._content.find(b"\n", start, start + _LONGEST_LINE) < 0:
                raise ValueError("a number without an end")
        return opcode.name, opcode.arg.reader(self._file)


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
        if self.code[:1] not in "biufSU" or not (self.code[1:] or "1").isdigit() or len(self.code) > 10:
            raise unsupported(f"it holds an array of the element type {self.code[:20]!r}")
        return np.dtype(self.code).newbyteorder("<" if self.order == "|" else self.order)  # pyright: ignore[reportArgumentType]


@dataclass(slots=True)
class _Array:
    """An array, or its shell until its content follows."""

    content: list[Any] | None = None


def _text(value: Any, what: str) -> str:
    """A text where nothing else may be; bytes are Python 2's."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if not isinstance(value, str):
        raise ValueError(f"{what} is no text")
    return value


def _array(shape: Any, kind: Any, data: Any, budget: Budget, *, fortran: bool) -> list[Any]:
    """An array as nested lists."""
    if not isinstance(kind, _Type) or not isinstance(shape, tuple):
        raise unsupported("it holds an array of another form")
    sides = cast(tuple[Any, ...], shape)
    if len(sides) > _MOST_SIDES or any(type(side) is not int or side < 0 for side in sides):
        raise ValueError("an array's shape")
    if kind.code[:1] == "O" and isinstance(data, list):
        items = cast(list[Any], data)
        if len(sides) != 1 or sides[0] != len(items):
            raise unsupported("it holds an array of objects that is no plain list")
        return items
    # Rows are lists even where they are empty.
    budget.spend(sum(math.prod(sides[:number]) for number in range(len(sides) + 1)))
    values = np.frombuffer(_bytes(data, budget), kind.made())
    if math.prod(sides) != len(values):
        raise ValueError(f"an array of shape {sides} with {len(values)} values")
    return values.reshape(sides, order="F" if fortran else "C").tolist()


def _bytes(value: Any, budget: Budget) -> bytes:
    """Bytes; Python 2's are texts here."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, bytearray | str):
        raise TypeError("bytes are something else")
    budget.spend_text(len(value))
    return value.encode("latin-1") if isinstance(value, str) else bytes(value)


@dataclass(slots=True)
class _Machine:
    """The pickle's stack and memory."""

    budget: Budget
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
            if name in _INTEGERS and argument.bit_length() > _LARGEST_NUMBER:
                raise forbidden(f"it holds a number of {argument.bit_length():,} bits")
            push(argument)
        elif name in _CONSTANTS:
            push(_CONSTANTS[name])
        elif name in _PUTS:
            # Whole numbers are hashed by their remainder: large ones could be made to collide.
            if not 0 <= argument < 2**32:
                raise ValueError("a place in memory")
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
            case "PROTO" | "FRAME":
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
                push(_Name(_text(module, "a module's name"), _text(what, "a name")))
            case "REDUCE":
                arguments, function = pop(), pop()
                push(_reduced(function, arguments, self.budget))
            case "BUILD":
                state = pop()
                _build(self.stack[-1], state, self.budget)
            case _:
                raise unsupported(f"it asks for {name}; only plain data is read")

    def _since_mark(self) -> list[Any]:
        place = len(self.stack) - 1
        while place >= 0 and self.stack[place] is not _MARK:
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
        # Texts alone: numbers can be made to collide, and what holds values hashes all of them.
        if not all(isinstance(key, str | bytes) for key in items[::2]):
            raise unsupported("a dictionary's key is no text")
        cast(dict[Any, Any], self.stack[-1]).update(zip(items[::2], items[1::2], strict=True))


def _reduced(function: Any, arguments: Any, budget: Budget) -> Any:
    """What calling one of the few known functions would give; nothing is called."""
    if not isinstance(function, _Name) or not isinstance(arguments, tuple):
        raise forbidden("it calls something that is no name")
    given = cast(tuple[Any, ...], arguments)
    match function.module, function.name:
        case module, "_reconstruct" if module in _MULTIARRAY:
            if given[0] != _Name("numpy", "ndarray"):
                raise unsupported("it holds an array of a kind of its own")
            return _Array()
        case module, "scalar" if module in _MULTIARRAY:
            return _array((1,), given[0], given[1], budget, fortran=False)[0]
        case module, "_frombuffer" if module in _NUMERIC:
            data, kind, shape, order = given
            return _Array(_array(shape, kind, data, budget, fortran=order == "F"))
        case "numpy", "dtype":
            return _Type(_text(given[0], "an element type"))
        case "_codecs", "encode" if given[1:] == ("latin1",):
            return _bytes(given[0], budget)
        case "__builtin__" | "builtins", "bytes" if not given:  # how protocols 0 to 2 write none
            return b""
        case module, name:
            raise forbidden(
                f"it calls {module[:100]}.{name[:100]}; a ground truth has no need of it, and it was not done"
            )


def _build(target: Any, state: Any, budget: Budget) -> None:
    """Fills the shell of an array or of an element type."""
    if not isinstance(state, tuple):
        raise unsupported("it fills an object")
    given = cast(tuple[Any, ...], state)
    if isinstance(target, _Array):
        shape, kind, fortran, data = given[-4:]
        target.content = _array(shape, kind, data, budget, fortran=bool(fortran))
    elif isinstance(target, _Type):
        # Version, byte order, then fields: only element types without any are plain.
        if len(given) < 5 or any(item is not None for item in given[2:5]):
            raise unsupported("it holds an array with fields")
        target.order = _text(given[1], "a byte order")
        if target.order not in ("<", ">", "=", "|"):
            raise ValueError("an element type's byte order")
    else:
        raise unsupported("it fills an object")


def _plain(value: Any, budget: Budget, depth: int = 0) -> Any:
    """The value in plain lists: what is named twice is there twice, and paid for twice."""
    check_depth(depth)
    if isinstance(value, _Array):
        if value.content is None:
            raise ValueError("an array without content")
        value = value.content
    if isinstance(value, str | bytes | bytearray):
        budget.spend_text(len(value))
        return bytes(value) if isinstance(value, bytearray) else value
    budget.spend()
    if isinstance(value, list | tuple):
        return [_plain(item, budget, depth + 1) for item in cast(list[Any], value)]
    if isinstance(value, dict):
        items = cast(dict[Any, Any], value).items()
        for key, _ in items:
            budget.spend_text(len(key))
        return {key: _plain(item, budget, depth + 1) for key, item in items}
    if value is None or isinstance(value, bool | int | float):
        return value
    raise unsupported("it holds something that is no plain data")
