"""What a journey has defined so far: the names that conditions, triggers and expressions may use."""

from __future__ import annotations

from typing import Final

from rumbo.core.definition import Condition, Contact, Derived, EventTest, Stage
from rumbo.core.expression import Environment, ExpressionError, Signature, Type, parse, problems, verdict
from rumbo.core.interaction import folded
from rumbo.topology.fields import Fields
from rumbo.topology.problem import Notes
from rumbo.topology.yaml import Yaml

_EVENT: dict[str, Type] = {
    "event.id": "string", "event.name": "string", "event.customer": "string", "event.account": "string",
    "event.anonymous": "bool", "event.time": "timestamp", "event.properties": "dyn", "event.context": "dyn", "event.traits": "dyn",
    "traits": "dyn",
}  # fmt: skip
_EVENT_FUNCTIONS = {
    "count": Signature(("string", "duration"), "number", optional=1),
    "idle": Signature(("string",), "duration"),
}
EVENT_ENVIRONMENT = Environment(_EVENT, _EVENT_FUNCTIONS)
"""What an expression on an interaction alone may name."""

TRAITS_ENVIRONMENT = Environment({"traits": "dyn"}, {})
"""What an expression on the customer's traits alone may name."""


_TRY: Final = "try it: rumbo eval 'EXPRESSION' --event JSON"


class Words:
    """The author's own names, and the notes that problems go to."""

    def __init__(self, notes: Notes, contact: Contact | None = None, derived: Derived | None = None) -> None:
        self.notes, self.contact, self.derived = notes, contact or Contact(), derived or Derived()
        self.defines: dict[str, Yaml] = {}
        self.bands: dict[str, tuple[str, ...]] = {}
        """Score -> its bands from low to high."""
        self.stages: dict[str, Stage] = {}
        self.stage_names: tuple[str, ...] = ()
        self.segment_names: tuple[str, ...] = ()
        self.built: dict[str, Condition | None] = {}
        self.messages: list[tuple[str, str, int, str]] = []
        """Rules whose messages conditions ask about: name, status, line, where."""
        self.building: list[str] = []
        self.weights: dict[int, int] = {}
        """How many parts a condition has, by its identity; `kept` keeps it alive."""
        self.kept: list[Condition] = []
        self._known: tuple[tuple[object, ...], Environment] | None = None
        """The environment made last, and of what."""
        self.events: dict[str, tuple[str, int]] = {}
        """Folded event name -> as it was written first, and where."""

    def event_names(self, names: tuple[str, ...], line: int) -> tuple[str, ...]:
        """Folded names; remembered for the tracking plan."""
        for name in names:
            self.events.setdefault(folded(name), (name, line))
        return tuple(dict.fromkeys(folded(name) for name in names))

    def expression(  # noqa: PLR0913  what it may name, each by its word
        self,
        text: str,
        line: int,
        where: str,
        *,
        wants: Type = "bool",
        event_only: bool = False,
        traits_only: bool = False,
    ) -> str:
        """Check an expression; the text, whatever was found."""
        try:
            node = parse(text)
        except ExpressionError as error:
            self.notes.error(line, f"{where}: `{_short(text)}`: {error.message}", error.hint or _TRY)
            return text
        env = TRAITS_ENVIRONMENT if traits_only else self._environment(event_only=event_only)
        found = problems(node, env, wants=wants, nearest=self.notes.nearest)
        for problem in found:
            self.notes.error(line, f"{where}: {problem.message}", problem.hint or _TRY)
        if wants == "bool" and not found:
            self._decided(text, line, where, found=verdict(node))
        return text

    def _decided(self, text: str, line: int, where: str, *, found: bool | None) -> None:
        """An expression that is decided before anything happens is probably not meant."""
        if found is True:
            self.notes.warn(line, f"{where}: `{_short(text)}` always holds", "leave it out, or compare a field")
        elif found is False:
            self.notes.warn(
                line,
                f"{where}: `{_short(text)}` can never hold",
                "two parts of it contradict each other, or a constant decides it",
            )

    def _environment(self, *, event_only: bool) -> Environment:
        if event_only:
            return EVENT_ENVIRONMENT
        asked = self.bands, self.stage_names, self.segment_names
        if self._known is None or any(one is not other for one, other in zip(asked, self._known[0], strict=True)):
            scores, stages = tuple(self.bands), self.stage_names
            functions = {
                **_EVENT_FUNCTIONS,
                "score": Signature(("string",), "number", choices=scores),
                "band": Signature(("string",), "string", choices=scores),
                "entered": Signature(("string",), "bool", choices=stages),
                "segment": Signature(("string",), "bool", choices=self.segment_names),
            }
            self._known = asked, Environment({**_EVENT, "stage": "string"}, functions)
        return self._known[1]


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "…"  # noqa: PLR2004  as much as a line of a terminal bears


def event_test(node: Yaml, where: str, words: Words, known: tuple[str, ...] = ()) -> EventTest:
    """`X`, `[X, Y]` or `{event: X, where: …}`."""
    if isinstance(node.value, str):
        return EventTest(words.event_names((node.value,), node.line), None, node.value)
    if isinstance(node.value, list):
        names = tuple(item.value for item in node.value if isinstance(item.value, str))
        if len(names) != len(node.value) or not names:
            words.notes.error(
                node.line, f"{where}: a list of event names is needed", "for example [Page Viewed, Screen Viewed]"
            )
        return EventTest(words.event_names(names, node.line), None, " or ".join(names))
    fields = Fields(node, where, ("event", "where", *known), words.notes)
    return event_fields(fields, where, words)


def event_fields(fields: Fields, where: str, words: Words) -> EventTest:
    """The `event` and `where` of a mapping that has more besides."""
    names = fields.names("event")
    if not names:
        words.notes.error(
            fields.line, f"{where}: `event` is missing", "name the event, for example event: Order Completed"
        )
    text = fields.text("where")
    if text is not None:
        words.expression(text, fields.at("where"), where, event_only=True)
    return EventTest(words.event_names(names, fields.at("event")), text, " or ".join(names))
