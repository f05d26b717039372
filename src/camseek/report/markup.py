"""HTML from elements that escape whatever is not HTML already."""

import html
import re
from typing import Self

_VOID = frozenset({"img", "input", "link", "meta"})

# Names on a disk may hold anything but NUL and a slash. Control characters are shown as pictures of
# themselves. Halves of surrogate pairs (bytes that are not UTF-8, as Python carries them) cannot be encoded,
# and directional overrides can make a name read as another one: both show as U+FFFD.
_CONTROL = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}
_HIDDEN = re.compile("[\x80-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()

    @classmethod
    def joined(cls, parts: "list[Markup]") -> Self:
        """Pieces of HTML one after the other."""
        return cls("\n".join(parts))


def visible(text: str) -> str:
    """Text with a visible sign for each character that would not show, or cannot be encoded."""
    return _HIDDEN.sub("\ufffd", text.translate(_CONTROL))


def escape(text: str) -> Markup:
    """Plain text as HTML, good between tags and inside a quoted attribute; HTML stays as it is."""
    return text if isinstance(text, Markup) else Markup(html.escape(visible(text), quote=True))


def element(tag: str, *children: str, **attributes: str | int | bool | None) -> Markup:
    """An element with its children.

    Args:
        tag: The element's name.
        children: ``Markup`` goes in as it is, every other text is escaped.
        attributes: Values, always escaped; True stands for an attribute without a value, None and False leave
            it out. ``class_`` is ``class``, and an underscore inside a name is a hyphen.
    """
    opening = tag + "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID:
        return Markup(f"<{opening}>")
    return Markup(f"<{opening}>{''.join(escape(child) for child in children)}</{tag}>")


def _attribute(name: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
