"""The strokes of an SVG picture: text that is measured, wrapped and safe, boxes, arrows. What they mean is the picture's business."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from xml.sax.saxutils import escape, quoteattr

LINE: Final = 17
PAD: Final = 24
_SIZE: Final = 13
_WIDE: Final = frozenset("mwMW@%—…")
_NARROW: Final = frozenset("ijltfrI.,:;'|!()[] ")

_ASIAN: Final = 0x2E7F
"""Letters beyond this are as wide as they are high."""


class Pen:
    """Writes the markup of one picture."""

    def __init__(self) -> None:
        self._out: list[str] = []

    @property
    def markup(self) -> str:
        """What was drawn so far."""
        return "\n".join(self._out)

    def text(self, x: float, y: float, text: str, kind: str) -> None:
        """One line."""
        marked = f" class={quoteattr(kind)}" if kind else ""
        self._out.append(f'<text{marked} x="{x:g}" y="{y:g}">{safe(text)}</text>')

    def lines(self, x: float, y: float, lines: Iterable[str], kind: str = "quiet") -> None:
        """Several, one under the other."""
        for at, line in enumerate(lines):
            self.text(x, y + at * LINE, line, kind)

    def box(self, kind: str, x: float, y: float, width: float, height: float) -> None:
        """A box with round corners."""
        self._out.append(
            f'<rect class={quoteattr(kind)} x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8" stroke-width="1.6"/>'
        )

    def path(self, kind: str, path: str) -> None:
        """A line."""
        self._out.append(f'<path class="{kind}" d="{path}"/>')

    def arrow(self, path: str, tip: tuple[float, float], toward: str, kind: str, head: str) -> None:
        """A line with a head, which points `down`, `right` or `left`."""
        x, y = tip
        wings = {
            "down": f"{x - 5:g} {y - 8:g} {x + 5:g} {y - 8:g}",
            "right": f"{x - 8:g} {y - 5:g} {x - 8:g} {y + 5:g}",
            "left": f"{x + 8:g} {y - 5:g} {x + 8:g} {y + 5:g}",
        }[toward]
        self._out.append(f'<path class="{kind}" d="{path}"/><polygon class="{head}" points="{x:g} {y:g} {wings}"/>')


def width_of(text: str) -> float:
    """How wide a text is at most, about; the readers' fonts differ."""
    return _SIZE * sum(_em(each) for each in text)


def _em(each: str) -> float:
    if each in _WIDE or ord(each) > _ASIAN:
        return 1.0
    return 0.36 if each in _NARROW else 0.72 if each.isupper() else 0.61


def wrap(text: str, width: float) -> list[str]:
    """Lines of at most this width, broken at spaces where there are any."""
    lines: list[str] = []
    for word in " ".join(text.split()).split(" "):
        if lines and width_of(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
            continue
        rest = word
        while width_of(rest) > width:
            fits = max(1, sum(width_of(rest[: at + 1]) <= width for at in range(len(rest))))
            lines.append(rest[:fits])
            rest = rest[fits:]
        if rest:
            lines.append(rest)
    return lines


def short(text: str, width: float) -> str:
    """One line of at most about this width."""
    lines = wrap(text, width)
    return lines[0] + "…" if len(lines) > 1 else "".join(lines)


def safe(text: str) -> str:
    """Escaped, without the characters that XML cannot hold."""
    return escape("".join(each if each.isprintable() or each == " " else "\ufffd" for each in text))
