"""HTML and SVG elements. Plain text is escaped wherever it goes in; only `tag` makes markup."""

from __future__ import annotations

import html
from collections.abc import Iterable


class Html(str):
    """Markup that is safe as it is."""

    __slots__ = ()


Child = Html | str | int | Iterable["Child"] | None

_VOID = frozenset({"meta", "br"})
# Control characters would be dropped by the browser, or replaced: shown as their pictures, C1 as U+FFFD.
_VISIBLE = {c: 0x2400 + c for c in range(0x20) if chr(c) not in "\t\n"} | {0x7F: 0x2421}
_VISIBLE |= dict.fromkeys((*range(0x80, 0xA0), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF), 0xFFFD)


def escaped(text: str) -> Html:
    """`"<b>\\0" -> "&lt;b&gt;␀"`, for content and for quoted attributes."""
    return Html(html.escape(text.replace("\r\n", "\n").translate(_VISIBLE), quote=True))


def tag(name: str, /, *children: Child, **attributes: object) -> Html:
    """An element: `tag("p", "a < b", class_="note") -> <p class="note">a &lt; b</p>`.

    Args:
        name: of the element.
        children: markup as it is, text escaped, None for nothing, iterables one by one.
        attributes: `class_` is class, other underscores are hyphens; None leaves one out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{joined(children)}</{name}>")


def joined(children: Iterable[Child]) -> Html:
    """The children, one after the other."""
    return Html("".join(_one(child) for child in children))


def _one(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str | int):
        return escaped(str(child))
    return joined(child)
