"""HTML and SVG elements. All plain text is escaped; only `tag` makes markup."""

from __future__ import annotations

import html
from collections.abc import Iterable


class Html(str):
    """Markup that needs no escaping."""

    __slots__ = ()


Child = Html | str | int | Iterable["Child"] | None

_VOID = frozenset({"meta", "br"})
# Browsers drop or replace control characters, so they are shown as control pictures, C1 ones as U+FFFD.
_VISIBLE = {c: 0x2400 + c for c in range(0x20) if chr(c) not in "\t\n"} | {0x7F: 0x2421}
_VISIBLE |= dict.fromkeys((*range(0x80, 0xA0), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF), 0xFFFD)


def escaped(text: str) -> Html:
    """`"<b>\\0" -> "&lt;b&gt;␀"`, for content and for quoted attributes."""
    return Html(html.escape(text.replace("\r\n", "\n").translate(_VISIBLE), quote=True))


def tag(name: str, /, *children: Child, **attributes: object) -> Html:
    """An element: `tag("p", "a < b", class_="note") -> <p class="note">a &lt; b</p>`.

    Args:
        name: name of the element.
        children: markup is kept, text is escaped, None adds nothing, iterables are expanded.
        attributes: `class_` becomes class, other underscores become hyphens; None omits the attribute.
    """
    attribute_text = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{attribute_text}>")
    return Html(f"<{name}{attribute_text}>{joined(children)}</{name}>")


def joined(children: Iterable[Child]) -> Html:
    """Concatenates the children."""
    return Html("".join(_one(child) for child in children))


def _one(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str | int):
        return escaped(str(child))
    return joined(child)
