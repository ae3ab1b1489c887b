"""A flow as part of a journey's picture: its steps in a column, ways to another step than the next one beside it, its end beneath.

It draws what `drawing` says and decides nothing.
"""

from __future__ import annotations

from typing import Final

from rumbo.serve.model import FlowDrawing, StepDrawing
from rumbo.serve.pen import LINE, PAD, Pen, short, wrap

_BOX: Final = 420
_LANE: Final = 16
_GAP: Final = 34
_ROWS: Final = 4
"""Ways out of one box begin on so many rows, so that lines to different steps stay apart."""


class FlowPicture:
    """One flow, laid out from `top` on; `bottom` and `width` say what it took."""

    def __init__(self, flow: FlowDrawing, top: float, pen: Pen) -> None:
        self._flow, self._pen = flow, pen
        self._tops: dict[str | None, tuple[float, float]] = {}
        """Step (null: the end) -> where its box begins, and how high it is."""
        after = [step.step for step in flow.steps][1:]
        self._next: dict[str, str | None] = dict(zip((step.step for step in flow.steps), [*after, None], strict=True))
        top = self._head(top)
        for step in flow.steps:
            top = self._step(step, top)
        self.bottom = self._end(top)
        self.width = PAD + _BOX + self._jumps() + PAD

    def _head(self, top: float) -> float:
        flow = self._flow
        self._pen.text(PAD, top, short(f"Flow {flow.flow}", _BOX), "name")
        said = [f"begins: {flow.enter}; again: {flow.again}"]
        said += [f"{name}, at any step: {when}" for name, when in (("exit", flow.exit), ("goal", flow.goal)) if when]
        lines = [line for each in said for line in wrap(each, _BOX)]
        self._pen.lines(PAD, top + LINE + 4, lines)
        return top + LINE * (len(lines) + 1) + 4

    def _step(self, step: StepDrawing, top: float) -> float:
        lines = wrap(step.text, _BOX - 28)
        height = 36 + LINE * len(lines)
        self._pen.box("side" if step.kind == "wait" else "box", PAD, top, _BOX, height)
        self._pen.text(PAD + 14, top + 23, short(step.step, _BOX - 28), "name")
        self._pen.lines(PAD + 14, top + 42, lines)
        self._tops[step.step] = (top, height)
        if any(way.origin == step.step and way.target == self._next[step.step] for way in self._flow.ways):
            middle, end = PAD + _BOX / 2, top + height + _GAP
            self._pen.arrow(f"M{middle:g} {top + height:g}V{end - 7:g}", (middle, end), "down", "way", "tip")
        return top + height + _GAP

    def _end(self, top: float) -> float:
        self._pen.box("box", PAD, top, _BOX, 32)
        self._pen.text(PAD + 14, top + 21, "over", "quiet")
        self._tops[None] = (top, 32)
        return top + 32

    def _jumps(self) -> float:
        """Ways to another step than the next: one lane for each step that they lead to. How wide the lanes are."""
        jumps = [way for way in self._flow.ways if way.target != self._next[way.origin]]
        targets = list(dict.fromkeys(way.target for way in jumps))
        right = PAD + _BOX
        for at, target in enumerate(targets):
            lane = right + _LANE * (at + 1) + 8
            into = self._tops[target][0] + 10
            origins = dict.fromkeys(way.origin for way in jumps if way.target == target)
            rows = [self._tops[origin][0] + 17 + 5 * (at % _ROWS) for origin in origins]
            for row in rows:
                self._pen.path("back", f"M{right:g} {row:g}H{lane:g}")
            self._pen.path("back", f"M{lane:g} {min(*rows, into):g}V{max(*rows, into):g}")
            self._pen.arrow(f"M{lane:g} {into:g}H{right + 7:g}", (right, into), "left", "back", "back-tip")
        return _LANE * (len(targets) + 1) + 8 if targets else 0


def sentences(flow: FlowDrawing) -> list[str]:
    """The flow in words, for those who do not see the picture."""
    said = [f"Flow {flow.flow} begins: {flow.enter}."]
    said += [f"Step {step.step}: {step.text}." for step in flow.steps]
    said += [f"Its {name}, at any step: {when}." for name, when in (("exit", flow.exit), ("goal", flow.goal)) if when]
    return said
