"""Where a customer is in one journey, as it is kept in the profile. It holds; what steps a journey changes it. It never grows without a cap.

Field order is the format, as in the profile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec

from rumbo.core.decision import Cause, Gate
from rumbo.core.instant import Instant

SEEN_CAP: Final = 64
HISTORY_CAP: Final = 20


class ScoreState(msgspec.Struct, array_like=True, gc=False):
    """One score. `lanes`: accumulator (value, anchor) for each group and half-life; `rules`: the same for each rule, with the ids of its last events."""

    lanes: dict[str, list[Any]] = {}
    rules: dict[str, list[Any]] = {}
    band: int = -1
    """Index of the band entered last and not left; -1 below all."""
    emitted: float = 0.0
    """The value in the last `score.changed`."""
    out: str = ""
    """Why the score is not reported; empty: it is."""
    seen: dict[str, list[Any]] | None = None
    """For rules with `once_per` the values awarded, for rules with `at_most` the times: bounded by `SEEN_CAP`. None: there were none."""

    def remember(self) -> dict[str, list[Any]]:
        """`seen`, begun where there is none."""
        if self.seen is None:
            self.seen = {}
        return self.seen


class Held(msgspec.Struct, array_like=True, gc=False):
    """An action that a gate keeps until `release_at`: what was decided then, so that it can be asked for later."""

    rule: str
    occurrence: str
    release_at: Instant
    expires_at: Instant
    channel: str | None
    params: dict[str, Any]
    causes: list[Cause]
    since: Instant
    gate: Gate


class FlowState(msgspec.Struct, array_like=True, gc=False):
    """One instance of a flow. `origin` is the occurrence that began it; `due` when its wait is over by time, 0 for never."""

    flow: str
    major: str
    key: str
    origin: str
    entered_at: Instant
    step: str = ""
    since: Instant = 0
    """When it came to the step."""
    due: Instant = 0
    visits: dict[str, int] = {}


class Memory(msgspec.Struct, array_like=True, gc=False):
    """What conditions, absences, segments and patterns remember of a customer in one journey. Only where the journey has such."""

    held: dict[str, bool] = {}
    """Triggers on a condition: present while it holds (rising edge)."""
    since: dict[str, list[Any]] = {}
    """Absence triggers: [start, occurrence] while they count."""
    segments: dict[str, Instant] = {}
    """Segments that the customer is in, and since when."""
    matches: dict[str, list[list[Any]]] = {}
    """Sequence triggers: the partial matches, [key, first, last, event id of each step so far], in order of arrival."""
    followed: dict[str, list[Any]] = {}
    """What triggers that follow a figure or a date remember of it, by kind and trigger (`core.threshold`, `core.date`, `core.anomaly`)."""
    told: dict[str, Instant] = {}
    """Absence triggers: the latest start of a silence that has called them."""


class Course(msgspec.Struct, array_like=True, gc=False):
    """How a customer has come to their stage, but upwards: moves back, orders, flips. Only for those who have."""

    moved: dict[str, Instant] = {}
    """Backward edges: when each was last taken."""
    base: dict[str, int] = {}
    """Latches cleared by a move backwards: counter value below which a stage's criterion does not count."""
    lock: list[Any] = []
    """Where somebody has set the stage: [since, expires (0: never), what was suggested last]; empty: nobody has."""
    flips: list[Instant] = []
    """The last moves against the direction of the one before: no more than `unstable.flips`."""
    unstable: Instant = 0
    """Until when flips are held; 0: they are not."""


class Tasks(msgspec.Struct, array_like=True, gc=False):
    """What is under way for a customer in one journey. Only for those for whom something is, or was."""

    holds: list[Held] = []
    """Actions that wait for their gate, in the order held."""
    flows: list[FlowState] = []
    """Instances of flows, in the order begun."""
    flown: dict[str, Instant] = {}
    """Flow and key -> when the last instance ended, where that decides whether there may be another."""


_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


class JourneyState(msgspec.Struct, array_like=True, gc=False):
    """Where a customer is in one journey. Empty `stage`: not yet begun.

    What most customers have nothing of stands apart, and is None until there is something. It is read by its own name
    (`state.flows`), and changed in what `remember`, `steer` and `undertake` hand out.
    """

    stage: str = ""
    high_water: str = ""
    entered_at: Instant = 0
    entry: str = ""
    """What the current stage entry came from (an event's id or a due instant): the occurrence of rules that hang on it."""
    history: list[tuple[str, Instant]] = []
    scores: dict[str, ScoreState] = {}
    fired: dict[str, Instant] = {}
    """Trigger id -> when it was last emitted (cool-down, once)."""
    memory: Memory | None = None
    course: Course | None = None
    tasks: Tasks | None = None

    def remember(self) -> Memory:
        """What is remembered, begun where there is nothing yet."""
        found = self.memory
        if found is None:
            found = self.memory = Memory()
        return found

    def steer(self) -> Course:
        """How they came to their stage, begun where there is nothing yet."""
        found = self.course
        if found is None:
            found = self.course = Course()
        return found

    def undertake(self) -> Tasks:
        """What is under way, begun where there is nothing yet."""
        found = self.tasks
        if found is None:
            found = self.tasks = Tasks()
        return found

    @property
    def held(self) -> Mapping[str, bool]:
        """`Memory.held`."""
        return self.memory.held if self.memory is not None else _NONE

    @property
    def since(self) -> Mapping[str, list[Any]]:
        """`Memory.since`."""
        return self.memory.since if self.memory is not None else _NONE

    @property
    def told(self) -> Mapping[str, Instant]:
        """`Memory.told`."""
        return self.memory.told if self.memory is not None else _NONE

    @property
    def segments(self) -> Mapping[str, Instant]:
        """`Memory.segments`."""
        return self.memory.segments if self.memory is not None else _NONE

    @property
    def matches(self) -> Mapping[str, list[list[Any]]]:
        """`Memory.matches`."""
        return self.memory.matches if self.memory is not None else _NONE

    @property
    def followed(self) -> Mapping[str, list[Any]]:
        """`Memory.followed`."""
        return self.memory.followed if self.memory is not None else _NONE

    @property
    def moved(self) -> Mapping[str, Instant]:
        """`Course.moved`."""
        return self.course.moved if self.course is not None else _NONE

    @property
    def base(self) -> Mapping[str, int]:
        """`Course.base`."""
        return self.course.base if self.course is not None else _NONE

    @property
    def lock(self) -> Sequence[Any]:
        """`Course.lock`."""
        return self.course.lock if self.course is not None else ()

    @property
    def flips(self) -> Sequence[Instant]:
        """`Course.flips`."""
        return self.course.flips if self.course is not None else ()

    @property
    def unstable(self) -> Instant:
        """`Course.unstable`."""
        return self.course.unstable if self.course is not None else 0

    @property
    def holds(self) -> Sequence[Held]:
        """`Tasks.holds`."""
        return self.tasks.holds if self.tasks is not None else ()

    @property
    def flows(self) -> Sequence[FlowState]:
        """`Tasks.flows`."""
        return self.tasks.flows if self.tasks is not None else ()

    @property
    def flown(self) -> Mapping[str, Instant]:
        """`Tasks.flown`."""
        return self.tasks.flown if self.tasks is not None else _NONE
