"""What pictures are called before others than their owner: never by the folders above those indexed."""

from collections.abc import Iterable

from camseek.names import GIVEN, is_given, name_text


class Naming:
    """Names of files from the folder on that was indexed."""

    def __init__(self, roots: Iterable[bytes]) -> None:
        """Takes the indexed folders."""
        # What lies in several is told from the outermost on, so that a folder has one name.
        self._roots = sorted({root.rstrip(b"/") for root in roots}, key=len)

    def shown(self, path: bytes) -> str:
        """A file's name; of one that no folder brought its last part alone."""
        if is_given(path):
            return name_text(path[len(GIVEN) :])
        for root in self._roots:
            if path.startswith(root + b"/"):
                return name_text(root.rpartition(b"/")[2] + path[len(root) :])
        return name_text(path.rpartition(b"/")[2])

    def root(self, path: bytes) -> str:
        """A root's own name."""
        return name_text(path.rstrip(b"/").rpartition(b"/")[2]) or "/"
