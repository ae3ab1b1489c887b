"""A journey as an SVG picture: ordered stages in a column, ways back on its left, side stages on its right, rules and flows beneath.

Our own layout, since a journey is a column with few exceptions. It draws what `drawing` says and decides nothing. Colours follow
the reader's light or dark scheme; `title` and `desc` say in words what is seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from rumbo.serve.model import JourneyDrawing, StageDrawing
from rumbo.serve.pen import LINE, PAD, Pen, safe, short, wrap
from rumbo.serve.svg_flow import FlowPicture, sentences

_BOX: Final = 220
_LANE: Final = 210
_TEXT: Final = 300
_SIDE: Final = 280

_STYLE: Final = """
  .paper { fill: #ffffff } .box { fill: #eef4fb; stroke: #2c5d8f } .side { fill: #fbf3e6; stroke: #93631a }
  .way { fill: none; stroke: #2c5d8f; stroke-width: 1.6 } .aside { fill: none; stroke: #93631a; stroke-width: 1.4; stroke-dasharray: 5 4 }
  .back { fill: none; stroke: #8b3a62; stroke-width: 1.6; stroke-dasharray: 5 4 } .tip { fill: #2c5d8f } .aside-tip { fill: #93631a } .back-tip { fill: #8b3a62 }
  text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1c2733 } .name { font-weight: 600; font-size: 14px } .head { font-weight: 600; font-size: 17px } .quiet { fill: #4c5b6b }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #10171f } .box { fill: #1a2a3b; stroke: #7fb2e5 } .side { fill: #2d2416; stroke: #dfae62 }
    .way { stroke: #7fb2e5 } .aside { stroke: #dfae62 } .back { stroke: #e79bbf } .tip { fill: #7fb2e5 } .aside-tip { fill: #dfae62 } .back-tip { fill: #e79bbf }
    text { fill: #e6edf3 } .quiet { fill: #a9b6c3 }
  }
"""


class _Box(NamedTuple):
    """Where a stage stands."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height


def svg(journeys: Sequence[JourneyDrawing]) -> str:
    """One picture of one or several journeys, as a whole document."""
    parts: list[str] = []
    top = width = 0.0
    for journey in journeys:
        picture = _Picture(journey)
        parts.append(f'<g transform="translate(0 {top:g})">\n{picture.text}\n</g>')
        top, width = top + picture.height, max(width, picture.width)
    title = ", ".join(f"Journey {each.journey} {each.version}" for each in journeys)
    said = " ".join(sentence for each in journeys for sentence in _sentences(each))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{top:g}" viewBox="0 0 {width:g} {top:g}" role="img" aria-labelledby="title desc">\n'
        f'<title id="title">{safe(title)}</title>\n<desc id="desc">{safe(said)}</desc>\n<style>{_STYLE}</style>\n'
        f'<rect class="paper" width="100%" height="100%"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _sentences(journey: JourneyDrawing) -> Iterator[str]:
    ordered = [stage.stage for stage in journey.stages if not stage.side]
    if ordered:
        yield f"The stages of {journey.journey} in order: {', '.join(ordered)}."
    for kind, words in (("backward", "goes back to"), ("forward", "leads to")):
        for edge in journey.edges:
            if edge.kind == kind and edge.when is not None:
                yield f"{edge.origin} {words} {edge.target}: {edge.when}."
    for stage in journey.stages:
        if stage.side:
            yield f"Beside them stands {stage.stage}: {stage.when}."
    for trigger in journey.triggers:
        yield f"Trigger {trigger.trigger}: {trigger.when}; asks for {trigger.action}."
    for rule in journey.accounts:
        yield f"Accounts, {rule.of}: {rule.rule}."
    for flow in journey.flows:
        yield from sentences(flow)


class _Picture:
    """One journey, laid out; `text` is its markup."""

    def __init__(self, journey: JourneyDrawing) -> None:
        self._journey, self._pen = journey, Pen()
        self._lane = _LANE if any(edge.kind == "backward" for edge in journey.edges) else 0
        sides = [stage for stage in journey.stages if stage.side]
        self._trunk = PAD + self._lane + _BOX + _TEXT
        self.width: float = self._trunk + (20 * len(sides) + 16 + _SIDE if sides else 0) + PAD
        self._pen.text(PAD, 40, f"{journey.journey} {journey.version}", "head")
        self._boxes: dict[str, _Box] = {}
        below = self._stages(64)
        beside = self._sides(sides, 64)
        self._backs()
        bottom = self._rules(max(below, beside) + 12)
        for flow in journey.flows:
            picture = FlowPicture(flow, bottom + 32, self._pen)
            bottom, self.width = picture.bottom, max(self.width, picture.width)
        self.height = bottom + PAD

    @property
    def text(self) -> str:
        """The markup."""
        return self._pen.markup

    def _stages(self, top: float) -> float:
        left = PAD + self._lane
        before: _Box | None = None
        for stage in (each for each in self._journey.stages if not each.side):
            if before is not None:
                top = self._forward(before, stage)
            box = self._box(stage, (left, top), _BOX, "box")
            before, top = box, box.bottom
        return top

    def _forward(self, before: _Box, stage: StageDrawing) -> float:
        """The arrow down to a stage, what it takes beside it; where the stage begins."""
        lines = wrap(stage.when or "", _TEXT + _BOX / 2 - 30)
        bottom = before.bottom + max(40, LINE * len(lines) + 22)
        middle = before.x + before.width / 2
        self._pen.arrow(f"M{middle:g} {before.bottom:g}V{bottom - 7:g}", (middle, bottom), "down", "way", "tip")
        for at, line in enumerate(lines):
            self._pen.text(middle + 14, before.bottom + 24 + at * LINE, line, "quiet")
        return bottom

    def _box(
        self, stage: StageDrawing, corner: tuple[float, float], width: float, kind: str, said: Sequence[str] = ()
    ) -> _Box:
        x, y = corner
        called = [f"▸ {each.trigger}" for each in self._journey.triggers if each.stage == stage.stage]
        lines = [*said, *(line for each in called for line in wrap(each, width - 28))]
        box = _Box(x, y, width, 36 + LINE * len(lines))
        self._pen.box(kind, x, y, width, box.height)
        self._pen.text(x + 14, y + 23, short(stage.stage, width - 28), "name")
        for at, line in enumerate(lines):
            self._pen.text(x + 14, y + 42 + at * LINE, line, "quiet")
        self._boxes[stage.stage] = box
        return box

    def _sides(self, sides: Sequence[StageDrawing], top: float) -> float:
        left = self._trunk + 20 * len(sides) + 16
        for at, stage in enumerate(sides):
            back = next(
                (edge.when for edge in self._journey.edges if edge.kind == "return" and edge.origin == stage.stage),
                None,
            )
            said = wrap(f"when {stage.when}", _SIDE - 28)
            said += wrap(
                f"until {back}, then to the highest stage that holds" if back else "nobody comes back", _SIDE - 28
            )
            box = self._box(stage, (left, top), _SIDE, "side", said)
            self._aside(stage, box, at)
            top = box.bottom + 28
        return top

    def _aside(self, stage: StageDrawing, box: _Box, at: int) -> None:
        """Every stage that it is entered from, joined by one trunk."""
        trunk, origins = (
            self._trunk + 20 * at + 8,
            [edge.origin for edge in self._journey.edges if edge.kind == "aside" and edge.target == stage.stage],
        )
        rows = [self._boxes[origin].y + 18 + 5 * at for origin in origins]
        if not rows:
            return
        end = box.y + 18
        for origin, row in zip(origins, rows, strict=True):
            self._pen.path("aside", f"M{self._boxes[origin].x + _BOX:g} {row:g}H{trunk:g}")
        self._pen.path("aside", f"M{trunk:g} {min(*rows, end):g}V{max(*rows, end):g}")
        self._pen.arrow(f"M{trunk:g} {end:g}H{box.x - 7:g}", (box.x, end), "right", "aside", "aside-tip")

    def _backs(self) -> None:
        """Ways back run on the left, each in a lane of its own, with what it takes in words."""
        backs = [edge for edge in self._journey.edges if edge.kind == "backward"]
        taken = 0.0
        for at, edge in enumerate(backs):
            origin, target = self._boxes[edge.origin], self._boxes[edge.target]
            lane = origin.x - 16 - 10 * (at % 3)
            end = target.bottom - 9
            self._pen.arrow(
                f"M{origin.x:g} {origin.y + 12:g}H{lane:g}V{end:g}H{target.x - 7:g}",
                (target.x, end),
                "right",
                "back",
                "back-tip",
            )
            row = max((origin.y + end) / 2, taken)
            lines = wrap(edge.when or "", _LANE - 48)
            for number, line in enumerate(lines):
                self._pen.text(PAD, row + number * LINE, line, "quiet")
            taken = row + len(lines) * LINE + 6

    def _rules(self, top: float) -> float:
        journey = self._journey
        scores = [
            (
                each.score,
                "; ".join(
                    [
                        *each.rules,
                        *(f"{band.band} from {band.enter:g}, left below {band.leave:g}" for band in each.bands),
                    ]
                ),
            )
            for each in journey.scores
        ]
        segments = [(each.segment, each.when) for each in journey.segments]
        triggers = [
            (each.trigger, _asked(each.when, each.action, each.mode, each.cooldown)) for each in journey.triggers
        ]
        accounts = [(each.of, each.rule) for each in journey.accounts]
        for head, rows in (("Scores", scores), ("Segments", segments), ("Triggers", triggers), ("Accounts", accounts)):
            if rows:
                top = self._list(head, rows, top + 24)
        return top

    def _list(self, head: str, rows: Iterable[tuple[str, str]], top: float) -> float:
        self._pen.text(PAD, top, head, "name")
        top += 6
        for name, said in rows:
            top += LINE + 2
            self._pen.text(PAD, top, short(name, 180), "")
            for at, line in enumerate(wrap(said, self.width - 2 * PAD - 200)):
                top += LINE if at else 0
                self._pen.text(PAD + 200, top, line, "quiet")
        return top + 8


def _asked(when: str, action: str, mode: str, cooldown: str | None) -> str:
    marks = [*(["shadow"] if mode == "shadow" else []), *([f"at most once in {cooldown}"] if cooldown else [])]
    return f"{when} → {action}" + (f" ({', '.join(marks)})" if marks else "")
