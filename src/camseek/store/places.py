"""Names as a collection stores them: whole, or from its folder on.

What lies in a relative root is stored by its way from the collection's folder: a dot, how many folders up,
and the way from there (``.1/photos/a.jpg`` lies beside the collection). Where both are moved together, every
name is right again. All other names are stored whole.
"""

import os
import re
from collections.abc import Iterable

from camseek.names import is_given

_RELATIVE = re.compile(rb"\.([0-9]{1,4})(?:/(.*))?", re.DOTALL)


class Places:
    """Turns names into stored ones, and back.

    Attributes:
        roots: Stored names of the relative roots, the innermost first.
    """

    def __init__(self, folder: bytes, roots: Iterable[bytes] = ()) -> None:
        """Puts a collection's folder and its relative roots together.

        Args:
            folder: The collection's folder. Its links are followed: what lies beside it lies beside the place
                that they lead to.
            roots: Stored names of the relative roots.
        """
        self._folder = os.path.realpath(folder)
        # What lies in several is stored from the innermost on.
        spans = ((self.whole(root).rstrip(b"/") + b"/", root) for root in roots)
        self._spans = sorted(spans, key=lambda span: len(span[0]), reverse=True)
        self.roots = tuple(root for _, root in self._spans)

    def whole(self, stored: bytes) -> bytes:
        """The name of a stored one."""
        if not is_relative(stored):
            return stored
        parts = _RELATIVE.fullmatch(stored)
        # What nobody stored lies in the folder, too, and never in the working folder.
        up, way = (int(parts[1]), parts[2] or b"") if parts else (0, stored)
        return os.path.normpath(os.path.join(self._folder, b"../" * up + way.lstrip(b"/")))

    def stored(self, name: bytes) -> bytes:
        """How a name is stored."""
        return self.forms(name)[0]

    def forms(self, name: bytes) -> list[bytes]:
        """How a name is stored, then how it would be if fewer roots were relative; itself last."""
        if not self._spans or is_given(name):
            return [name]
        return [
            root + (name + b"/")[len(whole) - 1 : -1]
            for whole, root in self._spans
            if (name + b"/").startswith(whole)
        ] + [name]

    def way_to(self, root: bytes) -> bytes:
        """The stored name of a root that is to be relative; its links are followed, as the folder's are."""
        parts = os.path.relpath(os.path.realpath(root), self._folder).split(b"/")
        up = parts.count(b"..")
        return b"/".join([b".%d" % up, *(part for part in parts[up:] if part != b".")])

    def beneath(self, name: bytes) -> list[bytes]:
        """The stored names that are those of ``name``, or with which what lies beneath it begins."""
        folder = name.rstrip(b"/") + b"/"
        inside = [root for whole, root in self._spans if whole.startswith(folder) and whole != folder]
        return list(dict.fromkeys([name, self.stored(name), *inside]))


def is_relative(stored: bytes) -> bool:
    """Whether a stored name is told from the collection's folder on."""
    return stored.startswith(b".")
