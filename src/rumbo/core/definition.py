"""A journey as checked data: what `topology` makes of the author's YAML and `compile` turns into closures. It never runs anything.

Every sugar form of the language becomes one of the few conditions here. Names of events are *folded* (`interaction.folded`);
lengths of time are microseconds; expressions are source text that has already been checked.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from rumbo.core.instant import DAY, MINUTE, SECOND, Duration


class _Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class EventTest(_Data, frozen=True):
    """Which interactions: any of `names` (folded; none at all is any interaction), and `where` holds on them."""

    names: tuple[str, ...] = ()
    where: str | None = None
    label: str = ""
    """The names as the author wrote them, for people."""


# Conditions -----------------------------------------------------------------------------------------------------------


class Happened(_Data, frozen=True, tag="happened"):
    """At least so many such interactions, in the customer's whole life or in (now - within, now]."""

    events: EventTest
    at_least: int = 1
    within: Duration | None = None


class Comes(_Data, frozen=True, tag="comes"):
    """This very interaction is one of these: how flows read an event."""

    events: EventTest


class MessageIs(_Data, frozen=True, tag="message"):
    """The last message of a rule has (or, where `not_`, has not, `length` after it was sent) come to this status.

    `rule` is a trigger's id, or flow and step with a dot between.
    """

    rule: str
    status: Literal["sent", "delivered", "opened", "clicked"]
    not_: bool = False
    length: Duration = 0


class Idle(_Data, frozen=True, tag="idle"):
    """No such interaction for this long (and one before): true from the instant last + length on."""

    events: EventTest
    length: Duration


class Dwell(_Data, frozen=True, tag="dwell"):
    """At least this long on the pages named, in all sessions that are kept or in the last one; `*` ends a name that begins so.

    No pages: any.
    """

    length: Duration
    pages: tuple[str, ...] = ()
    last_session: bool = False


class InBand(_Data, frozen=True, tag="band"):
    """The score is in this band or a higher one."""

    score: str
    band: str


class Level(_Data, frozen=True, tag="level"):
    """The score's value, read now, is at least this."""

    score: str
    at_least: float


class InStage(_Data, frozen=True, tag="stage"):
    """The customer is in one of these stages now."""

    stages: tuple[str, ...]


class Reached(_Data, frozen=True, tag="reached"):
    """The customer has been in this stage or a later one (high-water)."""

    stage: str


class InSegment(_Data, frozen=True, tag="segment"):
    """The customer is in this segment now."""

    segment: str


class Where(_Data, frozen=True, tag="where"):
    """An expression over the interaction and the profile; unknown is no."""

    text: str


class All(_Data, frozen=True, tag="all"):
    """Every one holds."""

    of: tuple[Condition, ...]


class AnyOf(_Data, frozen=True, tag="any"):
    """At least one holds."""

    of: tuple[Condition, ...]


class Not(_Data, frozen=True, tag="not"):
    """It does not hold; unknown stays unknown."""

    of: Condition


Condition: TypeAlias = (
    Happened
    | Comes
    | MessageIs
    | Idle
    | Dwell
    | InBand
    | Level
    | InStage
    | Reached
    | InSegment
    | Where
    | All
    | AnyOf
    | Not
)


# Scores ---------------------------------------------------------------------------------------------------------------


class AtMost(_Data, frozen=True):
    """At most so many awards in any window of this length (by event time)."""

    count: int
    within: Duration


class Steps(_Data, frozen=True, tag="steps"):
    """Points lose worth in steps: after n = floor(age / every), max(0, 1 - rate n) or, geometric, (1 - rate)^n of them is left.

    A window of a length is one step that takes all.
    """

    rate: float
    every: Duration
    geometric: bool = False


class IdleStep(_Data, frozen=True):
    """After so long without an award: the points times `multiply`, or no more than `set`."""

    idle: Duration
    multiply: float | None = None
    set: float | None = None


class Idling(_Data, frozen=True, tag="idling"):
    """Points keep their worth until their group (or rule) has had no award for a while; steps from the shortest on."""

    steps: tuple[IdleStep, ...]


Decay: TypeAlias = Steps | Idling


class Points(_Data, frozen=True):
    """One rule of a score. `key` is stable across versions (the author's `id`, else made from the rule's own text).

    `points` is a number or an expression over the interaction that gives one. `decay` None is exponential by `half_life`, and
    without that none.
    """

    key: str
    events: EventTest
    points: float | str
    group: str = ""
    half_life: Duration | None = None
    when: Condition | None = None
    once: bool = False
    once_per: str | None = None
    at_most: AtMost | None = None
    decay: Decay | None = None


class Group(_Data, frozen=True):
    """Rules that share a cap (applied on read, so that accumulation stays commutative)."""

    name: str
    cap: float | None = None
    floor: float | None = None


class Band(_Data, frozen=True):
    """A named interval with hysteresis: entered at `enter` or more, left below `leave`."""

    name: str
    enter: float
    leave: float


class Trait(_Data, frozen=True):
    """One rule of a fit score: an expression over traits; `points` where it holds, `otherwise` where not, nothing where unknown."""

    key: str
    where: str
    points: float
    otherwise: float = 0.0


class Disqualify(_Data, frozen=True):
    """While the condition holds the score is reported as null, with the reason, and is in no band; points go on counting."""

    when: Condition
    reason: str


class Reset(_Data, frozen=True):
    """Points are multiplied, or brought down to `set`: on an interaction (`when` a guard), or as `when` becomes true."""

    events: EventTest | None = None
    when: Condition | None = None
    multiply: float = 1.0
    set: float | None = None
    group: str | None = None


class Score(_Data, frozen=True):
    """total = clamp(floor, cap, sum over groups of clamp(group.floor, group.cap, sum of rules)). Bands from low to high."""

    name: str
    rules: tuple[Points, ...]
    groups: tuple[Group, ...] = ()
    bands: tuple[Band, ...] = ()
    cap: float | None = None
    floor: float | None = 0.0
    min_delta: float | None = None
    """Also emit when the value moved by this much since it was last emitted."""
    event_ids: int = 1
    """Of each rule, the ids of so many events are kept: what `contributors` quotes."""
    traits: tuple[Trait, ...] = ()
    """A fit score has these in place of `rules`."""
    grades: bool = False
    """Its bands are grades, from the lowest to the highest."""
    disqualify: tuple[Disqualify, ...] = ()
    resets: tuple[Reset, ...] = ()


# Stages ---------------------------------------------------------------------------------------------------------------


class Segment(_Data, frozen=True):
    """A named condition with membership: entered and left at the instant, on an interaction or by time alone."""

    name: str
    when: Condition


class Back(_Data, frozen=True):
    """A move backwards that is allowed: to `stage` when it holds, not again within `cooldown`, not before `min_dwell`."""

    stage: str
    when: Condition
    cooldown: Duration = DAY
    min_dwell: Duration = 0


class Stage(_Data, frozen=True):
    """A place in the lifecycle.

    A `side` stage (lapsed, churned) stands outside the order: it is entered from any ordered stage (or only from those in
    `sources`) when `when` holds, and left when `until` holds (counted from the entry on), to the highest ordered stage whose
    `when` holds. An ordered stage with `until` is left the same way, downwards, after `min_dwell`.
    `stuck_cohort` (`p90`) reads the limit from the cohort's frozen figures, `stuck_after` where there is none.
    `content` is what downstream shows to whoever is in it; no rule reads it.
    """

    name: str
    when: Condition | None = None
    side: bool = False
    sources: tuple[str, ...] = ()
    until: Condition | None = None
    back: tuple[Back, ...] = ()
    stuck_after: Duration | None = None
    min_dwell: Duration = 0
    stuck_cohort: str | None = None
    content: dict[str, Any] | None = None


class Flaps(_Data, frozen=True):
    """At most so many flips (a move against the direction of the one before) within this length; the next one is held."""

    flips: int = 3
    within: Duration = 7 * DAY


class SetStage(_Data, frozen=True):
    """An interaction that says the stage with authority: the expression `stage` over it gives the name."""

    events: EventTest
    stage: str
    expires_after: Duration | None = None


class Authority(_Data, frozen=True):
    """Who may say where a customer is (a CRM, a person): it wins over the conditions until released or expired."""

    sets: tuple[SetStage, ...] = ()
    releases: tuple[EventTest, ...] = ()


# Triggers -------------------------------------------------------------------------------------------------------------


class OnEvent(_Data, frozen=True, tag="event"):
    """Each such interaction."""

    events: EventTest


class OnCondition(_Data, frozen=True, tag="condition"):
    """Each time that the condition becomes true (rising edge)."""

    when: Condition


class OnStage(_Data, frozen=True, tag="stage"):
    """A stage entered or left."""

    stage: str
    change: Literal["entered", "left"] = "entered"


class OnBand(_Data, frozen=True, tag="band"):
    """A score's band entered from below, or left downwards."""

    score: str
    band: str
    change: Literal["entered", "left"] = "entered"


class OnSegment(_Data, frozen=True, tag="segment"):
    """A segment entered or left."""

    segment: str
    change: Literal["entered", "left"] = "entered"


class Absence(_Data, frozen=True, tag="absence"):
    """No such interaction within `length` after `since` (a stage entry, an interaction, or - None - its own last one)."""

    of: EventTest
    length: Duration
    since: OnStage | EventTest | None = None


class SequenceStep(_Data, frozen=True):
    """One step of a sequence. `strict`: the very next interaction must be it; `unless`: none of these before it."""

    events: EventTest
    strict: bool = False
    unless: EventTest | None = None


class Sequence(_Data, frozen=True, tag="sequence"):
    """Such interactions one after the other, the last at most `within` after the first: in (first, first + within].

    `per` (an expression over the interaction) keeps sequences of each of its values apart; an interaction without a value
    takes part in none. `skip`: after a match what began before its end is dropped (`past_last`), or goes on (`none`).
    """

    steps: tuple[SequenceStep, ...]
    within: Duration
    per: str | None = None
    skip: Literal["past_last", "none"] = "past_last"


class Threshold(_Data, frozen=True, tag="threshold"):
    """A score or a trait of the customer crosses a number: from below to it or more (`up`), or from it or more to below."""

    of: Literal["score", "trait"]
    name: str
    limit: float
    direction: Literal["up", "down"] = "up"


class OnDate(_Data, frozen=True, tag="date"):
    """The date (or instant) in a trait of the customer, and an offset, in the customer's zone.

    Whole days of `offset` (signed) are calendar days there, what is left is exact. `at` is the second of the day; without it
    the trait's own time, midnight for a date. `yearly`: each year, from that date on.
    """

    trait: str
    offset: Duration = 0
    at: int | None = None
    yearly: bool = False


class Anomaly(_Data, frozen=True, tag="anomaly"):
    """Far fewer (`drop`) or far more (`rise`) such interactions in a period than is usual for this customer (`core.anomaly`)."""

    of: EventTest
    per: Duration = DAY
    change: Literal["drop", "rise"] = "drop"
    deviations: float = 3.0
    half_life: Duration = 14 * DAY
    warm_up: int = 14
    """Whole periods before anything is compared."""


On: TypeAlias = OnEvent | OnCondition | OnStage | OnBand | OnSegment | Absence | Sequence | Threshold | OnDate | Anomaly


class Choice(_Data, frozen=True, tag="choice"):
    """A parameter that depends on the interaction: the case whose key equals the expression's value, else `otherwise`."""

    by: str
    cases: dict[str, Any]
    otherwise: Any = None


class Action(_Data, frozen=True):
    """What is asked of downstream. `params` are copied out, each `Choice` resolved."""

    kind: str
    params: dict[str, Any] = {}
    choices: dict[str, Choice] = {}
    channel: str | None = None
    purpose: str | None = None
    expires_after: Duration | None = None
    priority: int = 5


class QuietHours(_Data, frozen=True):
    """No action in [begin, end), seconds of the day; in the customer's zone where `zone` is None. `begin` after `end` goes over midnight.

    `do`: keep it until they are over, drop it, or keep it only where it does not expire before.
    """

    begin: int
    end: int
    zone: str | None = None
    do: Literal["hold", "drop", "before_expiry"] = "hold"


class Cap(_Data, frozen=True):
    """At most so many in any window of this length, or (None) on any calendar day in the customer's zone.

    `by` says what is counted together: the rule's own actions, all of its purpose, all of its channel, or all actions; with
    `kind`, `purpose` or `channel` (and `by` all) those that have them.
    """

    count: int
    within: Duration | None = None
    by: Literal["rule", "purpose", "channel", "all"] = "rule"
    kind: str | None = None
    purpose: str | None = None
    channel: str | None = None
    count_on: Literal["emitted", "delivered"] = "emitted"


class HoldOut(_Data, frozen=True):
    """This share of customers, the same ones each time, gets nothing, so that the effect can be measured."""

    experiment: str
    share: float


class Limits(_Data, frozen=True):
    """What a policy allows."""

    quiet_hours: QuietHours | None = None
    caps: tuple[Cap, ...] = ()
    hold_out: HoldOut | None = None


class Trigger(_Data, frozen=True):
    """When to act, and how.

    `when` is a guard read at the firing instant. `again`: each time, once in the customer's life, or once for each entry
    of the stage that an absence counts from. `cooldown` is the gate between two emissions.
    """

    id: str
    on: On
    action: Action
    when: Condition | None = None
    again: Literal["always", "once", "per_entry"] = "always"
    cooldown: Duration | None = None
    mode: Literal["live", "shadow"] = "live"
    limits: Limits = Limits()


# What a customer may be asked -------------------------------------------------------------------------------------------

Sort = Literal["marketing", "service", "transactional"]


class ConsentRule(_Data, frozen=True):
    """An interaction that says a consent. Each part but the events is an expression over it; None: every purpose, every channel."""

    events: EventTest
    status: str
    purpose: str | None = None
    channel: str | None = None
    source: str | None = None
    proof: str | None = None
    expires: str | None = None


class MessageRule(_Data, frozen=True):
    """An interaction that says what became of a message: `action` is an expression over it that gives the id of our action."""

    events: EventTest
    action: str
    status: Literal["delivered", "opened", "clicked"]


class Preferred(_Data, frozen=True):
    """What `channel: preferred` means: the customer's trait where it names one of `channels`, else `otherwise`."""

    trait: str
    otherwise: str
    channels: tuple[str, ...]


class Contact(_Data, frozen=True):
    """What a customer may be asked, whatever the journey. `purposes` are told apart by their sort; consent is asked of marketing."""

    purposes: dict[str, Sort] = {}
    consent: tuple[ConsentRule, ...] = ()
    listed: tuple[EventTest, ...] = ()
    """Interactions that put the customer on the suppression list."""
    unlisted: tuple[EventTest, ...] = ()
    preferred: Preferred | None = None
    caps: tuple[Cap, ...] = ()
    """For every action, whatever its rule."""
    hold_out: HoldOut | None = None
    """For every action of a marketing purpose."""
    messages: tuple[MessageRule, ...] = ()
    kinds: tuple[str, ...] = ("message",)
    """Kinds of actions that are messages."""


# What is derived --------------------------------------------------------------------------------------------------------


class Sessions(_Data, frozen=True):
    """Runs of such interactions of which no two neighbours are more than `gap` apart.

    `page` is an expression over one of them that names a page; one without a value is no view.
    """

    events: EventTest
    gap: Duration = 30 * MINUTE
    page: str = "event.properties.path"


class Scanners(_Data, frozen=True):
    """When a click (or an open) may be a scanner's, and what shows that it is a human's.

    `message`, `link` name the message and the link of one; `honeypot` and `known` hold on a click that no human makes. It is put aside for
    `length`; a `human` interaction after it, and another one more than `dwell` after that, releases it.
    """

    click: EventTest
    delivered: EventTest | None = None
    message: str | None = None
    link: str | None = None
    honeypot: str | None = None
    known: str | None = None
    human: EventTest | None = None
    after_delivery: Duration = 3 * SECOND
    links: int = 3
    within: Duration = 5 * SECOND
    length: Duration = MINUTE
    dwell: Duration = 5 * SECOND


SurveyKind = Literal["nps", "csat", "ces"]
SCALES: Final[dict[SurveyKind, tuple[int, int, tuple[tuple[int, str], ...]]]] = {
    "nps": (0, 10, ((9, "promoter"), (7, "passive"), (0, "detractor"))),
    "csat": (1, 5, ((4, "satisfied"), (1, "not_satisfied"))),
    "ces": (1, 7, ((5, "easy"), (1, "not_easy"))),
}
"""Each kind's least and largest score, and its classes with the least score of each, from the best on."""


class AnswerRule(_Data, frozen=True):
    """An interaction that is an answer to a survey. Each part but the events is an expression over it; None: comments are not kept."""

    events: EventTest
    kind: str
    survey: str = "event.properties.survey"
    score: str = "event.properties.score"
    comment: str | None = None


class FrictionRule(_Data, frozen=True):
    """One kind of friction: `count` such interactions in less than `within`; with `until`, one that none of those followed in that time.

    `place` is an expression over one of them: the element, form, page, topic or way of paying.
    """

    kind: str
    events: EventTest
    place: str
    weight: float
    count: int
    within: Duration
    until: EventTest | None = None


class Friction(_Data, frozen=True):
    """Where customers have trouble. `stuck` is the weight of being in a stage for longer than its `stuck_after`; None: not told."""

    rules: tuple[FrictionRule, ...] = ()
    stuck: float | None = None


class Derived(_Data, frozen=True):
    """What the topology derives from interactions and tells of them, whatever the journey."""

    sessions: Sessions | None = None
    scanners: Scanners | None = None
    answers: tuple[AnswerRule, ...] = ()
    friction: Friction | None = None


# Accounts ---------------------------------------------------------------------------------------------------------------


class RollUp(_Data, frozen=True):
    """A score of an account, of what was last said of its contacts' score: the largest, or the sum; no more than `cap`.

    It is said when it has moved by `min_delta` since it was last said; 0: whenever it is another one.
    """

    score: str
    by: Literal["max", "sum"] = "max"
    cap: float | None = None
    min_delta: float = 0.0


class Accounts(_Data, frozen=True):
    """Which contacts make the stage and the scores of an account, and how.

    `account` is an expression over an interaction that gives the account, `leave` what ends belonging to it. Contacts count whose trait
    `role` is one of `roles` (compared as names are; none: all of them). An account is in a stage once so many of them are there or beyond:
    `needs` where it names the stage, else `contacts`; the first stage needs one.
    """

    journey: str
    account: str = "event.account"
    leave: EventTest | None = None
    role: str = "role"
    roles: tuple[str, ...] = ()
    contacts: int = 1
    needs: dict[str, int] = {}
    scores: tuple[RollUp, ...] = ()


# Flows ------------------------------------------------------------------------------------------------------------------


class Wait(_Data, frozen=True, tag="wait"):
    """For a length, until a local time of day, or until a condition holds, but no longer than `length`: then on with `otherwise`.

    `second` of the day is in the customer's zone where `zone` is None. Targets are a step, `next` or `leave`.
    """

    length: Duration | None = None
    second: int | None = None
    zone: str | None = None
    until: Condition | None = None
    otherwise: str = "next"


class BranchTo(_Data, frozen=True, tag="branch"):
    """Go on where the first condition that holds says."""

    cases: tuple[tuple[Condition, str], ...]
    otherwise: str = "next"


class Variant(_Data, frozen=True):
    """A share of customers, and where they go on."""

    name: str
    share: float
    go: str = "next"


class Split(_Data, frozen=True, tag="split"):
    """The same variant each time, by a hash of experiment and customer. Shares are 1 together."""

    experiment: str
    variants: tuple[Variant, ...]


class Act(_Data, frozen=True, tag="act"):
    """Ask for an action, through every gate, and go on whatever they say."""

    action: Action
    cooldown: Duration | None = None
    limits: Limits = Limits()
    mode: Literal["live", "shadow"] = "live"


class SetTrait(_Data, frozen=True, tag="set"):
    """Set a trait of the customer to an expression's value."""

    trait: str
    to: str


class Go(_Data, frozen=True, tag="go"):
    """Go on elsewhere."""

    to: str


class Goal(_Data, frozen=True, tag="goal"):
    """The flow has reached what it is for."""

    name: str


class Leave(_Data, frozen=True, tag="leave"):
    """The flow ends here."""


class FlowStep(_Data, frozen=True):
    """A step by its name, which is stable across versions where the author gives it one."""

    name: str
    do: Wait | BranchTo | Split | Act | SetTrait | Go | Goal | Leave


class Enter(_Data, frozen=True):
    """What begins an instance: called as a trigger is. `per` is an expression that keys it; none: the customer.

    `again`: once in the customer's life; when the last of its key is over; that, and `cooldown` since; once a key; always.
    """

    on: On
    when: Condition | None = None
    per: str | None = None
    again: Literal["once", "after_exit", "cooldown", "per_key", "always"] = "after_exit"
    cooldown: Duration = 0

    @property
    def remembers(self) -> bool:
        """Whether instances that are over must be remembered."""
        return self.again in {"once", "cooldown", "per_key"}


class Flow(_Data, frozen=True):
    """A sequence of steps. `exit` and `goal` end an instance at the instant, also in the middle of a wait.

    `in_flight` is for instances of another major version: `finish` goes on by the names of steps with the due instants as they
    stand, `migrate` recomputes them, `abort` ends it. `moved` maps names of older steps.
    """

    id: str
    enter: Enter
    steps: tuple[FlowStep, ...]
    exit: Condition | None = None
    goal: Condition | None = None
    in_flight: Literal["finish", "migrate", "abort"] = "finish"
    moved: dict[str, str] = {}


class Late(_Data, frozen=True):
    """What becomes of an interaction before its customer's clock: it counts as it comes, or it is put in its place (`core.refold`).

    Refolds reach back over so many inputs of the customer, and so long.
    """

    policy: Literal["process", "refold"] = "process"
    events: int = 500
    within: Duration = 90 * DAY


class Journey(_Data, frozen=True):
    """A whole definition: one per customer and journey id. `version` is `major.minor`; ids hang on the major only."""

    id: str
    version: str
    scores: tuple[Score, ...] = ()
    stages: tuple[Stage, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    allow_skip: bool = True
    segments: tuple[Segment, ...] = ()
    """Each after those that it names."""
    unstable: Flaps = Flaps()
    authority: Authority = Authority()
    flows: tuple[Flow, ...] = ()

    @property
    def first(self) -> str:
        """The stage that everyone begins in; empty where there are no stages."""
        return next((stage.name for stage in self.stages if not stage.side), "")

    @property
    def major(self) -> str:
        """The part of the version that decision ids hang on."""
        return self.version.split(".", 1)[0]
