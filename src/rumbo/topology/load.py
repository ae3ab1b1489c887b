"""A folder of YAML to a checked topology: every problem of every file at once, each with file, line, what and cure."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rumbo.core.definition import Accounts, Contact, Derived, Journey, Late
from rumbo.core.instant import DAY
from rumbo.core.tracking import TrackingPlan, tracking_plan
from rumbo.errors import DefinitionError
from rumbo.intake import FlatMap, SourceFormat
from rumbo.output import OutputTopics
from rumbo.topology.accounts import accounts
from rumbo.topology.contact import contact
from rumbo.topology.declared import declared_plan, undeclared
from rumbo.topology.derived import derived
from rumbo.topology.examples import Example, build_examples
from rumbo.topology.fields import Fields
from rumbo.topology.journey import build_journey
from rumbo.topology.model import LATENESS, Source, Topology
from rumbo.topology.problem import Notes, Problem
from rumbo.topology.yaml import Yaml, read_yaml

FILE = "topology.yaml"
EXAMPLES = "examples.yaml"
_KEYS = (
    "topology",
    "sources",
    "journeys",
    "start",
    "clock",
    "late",
    "zone",
    "keys",
    "outputs",
    "output_mode",
    "dlq",
    "duplicates",
    "contact",
    "plan",
    "journal",
    "sessions",
    "scanners",
    "answers",
    "friction",
    "accounts",
)
_SOURCE = ("topic", "format", "key", "lateness", "map", "max_bytes", "max_age")
_OUTPUTS = tuple(OutputTopics.__struct_fields__)
MOST_JOURNEYS: Final = 64
MOST_EVENTS: Final = 5_000
MOST_WITHIN: Final = 400 * DAY
WITHIN: Final = Late().within
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")


class Loaded:
    """What a folder holds: the topology (None if it cannot be meant), its examples, every problem."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[Problem] = []
        self.texts: dict[str, str] = {}
        self._files: list[tuple[Notes, Yaml]] = []
        self._journeys: list[Yaml | None] = []
        self.topology = self._topology()
        self.examples = self._examples()
        self.problems.sort()

    @property
    def errors(self) -> list[Problem]:
        """The problems that keep it from running."""
        return [each for each in self.problems if each.severity == "error"]

    def _read(self, name: str, *, needed: bool = True) -> tuple[Yaml | None, Notes]:
        path = self.folder / name
        notes = Notes(str(path))
        if self.folder.is_file():
            notes = Notes(str(self.folder))
            if needed:
                notes.error(1, "this is a file", f"a topology is a folder with {FILE}: give the folder")
            return None, notes
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            if needed:
                notes.error(1, "there is no such file", f"a topology is a folder with {FILE}; try `rumbo init`")
            return None, notes
        except (OSError, UnicodeDecodeError) as error:
            notes.error(1, f"cannot be read: {error}", "it must be a UTF-8 text that this user may read")
            return None, notes
        self.texts[name] = text
        return read_yaml(text, notes), notes

    def _topology(self) -> Topology | None:
        node, notes = self._read(FILE)
        if node is None:
            self.problems += notes.problems
            return None
        fields = Fields(node, "topology", _KEYS, notes)
        files = fields.names("journeys")
        if not files:
            notes.error(node.line, "topology: `journeys` is missing", "for example journeys: [journey.yaml]")
        if len(files) > MOST_JOURNEYS:
            notes.error(
                fields.at("journeys"), f"topology: more than {MOST_JOURNEYS} journeys", "a topology for each team is easier to run"
            )  # fmt: skip
            files = files[:MOST_JOURNEYS]
        terms = contact(fields.node("contact"), notes)
        signals = derived(fields, notes)
        journeys = tuple(filter(None, (self._journey(file, terms, signals) for file in files)))
        belonging = accounts(fields, journeys, self._named(), notes)
        made = self._made(fields, journeys, (terms, signals, belonging), notes)
        for name in sorted(name for name, count in Counter(each.id for each in journeys).items() if count > 1):
            notes.error(
                fields.at("journeys"), f"two journeys are called '{name}'", "ids must differ: decisions hang on them"
            )
        self.problems += notes.problems
        self._files.append((Notes(notes.file), node))
        self._plan(fields, tracking_plan(journeys, terms, signals, belonging))
        return made if not self.errors else None

    def _journey(self, file: str, terms: Contact, signals: Derived) -> Journey | None:
        node, notes = self._read(file)
        made = build_journey(node, notes, terms, signals) if node is not None else None
        self.problems += notes.problems
        self._journeys.append(node)
        if node is not None:
            self._files.append((Notes(notes.file), node))
        return made

    def _plan(self, fields: Fields, need: TrackingPlan) -> None:
        """Hold what is needed against the declared tracking plan, where there is one."""
        file = fields.text("plan")
        if file is None:
            return
        node, notes = self._read(file)
        plan = declared_plan(node, notes) if node is not None else None
        self.problems += notes.problems
        if plan is not None:
            undeclared(need, plan, self._files)
            self.problems += [problem for notes, _ in self._files for problem in notes.problems]

    def _made(
        self,
        fields: Fields,
        journeys: tuple[Journey, ...],
        said: tuple[Contact, Derived, Accounts | None],
        notes: Notes,
    ) -> Topology | None:
        name = fields.needed("topology", "give the topology a name")
        if name and not _NAME.fullmatch(name):
            notes.error(
                fields.at("topology"), f"topology: '{name}' is not a name", "small letters, digits and -, at most 63"
            )
        sources = tuple(_source(node, at, notes) for at, node in enumerate(fields.items("sources")))
        if not sources:
            notes.error(fields.line, "topology: `sources` is missing", "for example sources: [{topic: web}]")
        zone = fields.text("zone", "UTC") or "UTC"
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            notes.error(fields.at("zone"), f"topology: '{zone}' is no time zone", "for example Europe/Madrid")
        payload, limit = _dlq(fields, notes)
        return Topology(
            name=name, sources=sources or (Source("-"),), journeys=journeys,
            start=fields.choice("start", ("earliest", "latest"), "earliest"),  # type: ignore[arg-type]  # one of the choices
            clock=fields.choice("clock", ("live", "log"), "live"),  # type: ignore[arg-type]  # one of the choices
            zone=zone,
            keys=fields.choice("keys", ("count", "strict"), "count"),  # type: ignore[arg-type]  # one of the choices
            outputs=_outputs(fields, notes),
            mode=fields.choice("output_mode", ("structured", "binary", "plain"), "structured"),  # type: ignore[arg-type]  # the same
            dlq_payload=payload, dlq_limit=limit,  # type: ignore[arg-type]  # one of the choices
            ring=fields.whole("duplicates", 64, least=1, most=4096),
            contact=said[0], derived=said[1], accounts=said[2],
            late=_late(fields, notes),
            journal=fields.whole("journal", 0, least=0, most=1000),
            texts=self.texts,
        )  # fmt: skip

    def _named(self) -> list[str]:
        """The journeys' names as they are written."""
        found = [node.value.get("journey") for node in self._journeys if node is not None and isinstance(node.value, dict)]  # fmt: skip
        return [each.value for each in found if each is not None and isinstance(each.value, str)]

    def _written(self) -> list[Yaml] | None:
        """The journeys as they are written; None where there is none that can be read."""
        found = [node for node in self._journeys if node is not None]
        return found if found and len(found) == len(self._journeys) else None

    def _examples(self) -> tuple[Example, ...]:
        node, notes = self._read(EXAMPLES, needed=False)
        made = build_examples(node, self._written(), notes) if node is not None else ()
        self.problems += notes.problems
        return made


def load(folder: Path | str) -> Topology:
    """The topology in a folder. Raises DefinitionError with every problem."""
    found = Loaded(Path(folder))
    if found.topology is None or found.errors:
        raise DefinitionError(str(folder), [str(each) for each in found.errors])
    return found.topology


def _source(node: Yaml, at: int, notes: Notes) -> Source:
    if isinstance(node.value, str):
        node = Yaml({"topic": node}, node.line, {"topic": node.line})
    where = f"sources[{at}]"
    fields = Fields(node, where, _SOURCE, notes)
    topic = fields.needed("topic", "the name of the raw topic")
    if topic and not _TOPIC.fullmatch(topic):
        notes.error(
            fields.at("topic"),
            f"{where}: '{topic}' is not a topic's name",
            "letters, digits, `.`, `_` and `-`, at most 249",
        )
    form = fields.choice("format", ("auto", "segment", "cloudevents", "flat"), "auto")
    reading = SourceFormat(
        format=form,  # type: ignore[arg-type]  # one of the choices
        map=_map(fields, where, form, notes),
        max_bytes=fields.whole("max_bytes", 32_768, least=64, most=1_000_000),
        max_age=fields.length("max_age"),
    )
    lateness = fields.length("lateness", LATENESS, zero=True)
    keyed = fields.choice("key", ("customer", "any"), "customer") == "customer"
    return Source(topic, reading, keyed, LATENESS if lateness is None else lateness)


def _map(fields: Fields, where: str, form: str, notes: Notes) -> FlatMap | None:
    node = fields.node("map")
    if node is None:
        if form == "flat":
            notes.error(
                fields.line,
                f"{where}: a flat source needs a `map`",
                "map: {identity: user.id, event: action, time: ts, id: id}",
            )
        return None
    inner = Fields(node, f"{where}.map", FlatMap.__struct_fields__, notes)
    return FlatMap(
        inner.needed("identity", "the path of the customer's id"), inner.needed("event", "the path of the event's name"),
        inner.text("time"), inner.text("id"), inner.text("account"), inner.text("properties"),
    )  # fmt: skip


def _outputs(fields: Fields, notes: Notes) -> OutputTopics:
    node = fields.node("outputs")
    if node is None:
        return OutputTopics()
    inner = Fields(node, "outputs", _OUTPUTS, notes)
    named = {key: inner.text(key) for key in _OUTPUTS if inner.has(key)}
    for key, topic in named.items():
        if topic is not None and not _TOPIC.fullmatch(topic):
            notes.error(
                inner.at(key),
                f"outputs: '{topic}' is not a topic's name",
                "letters, digits, `.`, `_` and `-`, at most 249",
            )
    return OutputTopics(**{key: topic for key, topic in named.items() if topic is not None})


def _late(fields: Fields, notes: Notes) -> Late:
    """What becomes of late events: a word, or the word with how far a refold reaches back."""
    node, policies = fields.node("late"), ("process", "refold")
    if node is None or not isinstance(node.value, dict):
        word = fields.choice("late", policies, "process")
        _alone(fields, word, notes)
        return Late(word)  # type: ignore[arg-type]  # one of the choices
    inner = Fields(node, "late", ("policy", "events", "within"), notes)
    policy = inner.choice("policy", policies, "refold")
    _alone(fields, policy, notes)
    for key in ("events", "within"):
        if policy == "process" and inner.has(key):
            notes.error(
                inner.at(key), f"late: `{key}` is for `policy: refold`", "leave it out, or write policy: refold"
            )
    within = inner.length("within", WITHIN) or WITHIN
    if within > MOST_WITHIN:
        notes.error(inner.at("within"), "late: `within` is at most 400d", "for example within: 90d")
    return Late(policy, inner.whole("events", Late().events, least=1, most=MOST_EVENTS), within)  # type: ignore[arg-type]  # one of the choices


def _alone(fields: Fields, policy: str | None, notes: Notes) -> None:
    """Both take back what was decided and step anew, each from a base of its own: together something might be sent twice."""
    if policy == "refold" and fields.has("scanners"):
        notes.error(
            fields.at("scanners"),
            "scanners: clicks are not put aside where late events are put in their place (`late: refold`)",
            "write late: process, or leave `scanners` out and name what scanners do in the `where` of the clicks",
        )


def _dlq(fields: Fields, notes: Notes) -> tuple[str, float]:
    node = fields.node("dlq")
    if node is None:
        return "keep", 0.2
    inner = Fields(node, "dlq", ("payload", "limit"), notes)
    limit = inner.number("limit", 0.2)
    if limit is None or not 0 < limit <= 1:
        notes.error(inner.at("limit"), "dlq: `limit` is a share, above 0 and at most 1", "for example limit: 0.2")
        limit = 0.2
    return inner.choice("payload", ("keep", "drop"), "keep"), limit
