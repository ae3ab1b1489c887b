"""A journey, described: scores, segments, stages, policies, triggers and the conditions that they share."""

from __future__ import annotations

from typing import Final

from rumbo.topology.language.kinds import (
    CAP,
    CONDITION,
    EVENT,
    EVENTS,
    Anything,
    Choice,
    Either,
    Expression,
    Field,
    Flag,
    Length,
    Many,
    Named,
    Nothing,
    Number,
    Of,
    Shape,
    Single,
    Text,
    Whole,
)

_EVENT: Final = Field(
    "event", EVENTS, "the interaction, or any of several", "event: [Page Viewed, Screen Viewed]", needed=True
)
_WHERE: Final = Field(
    "where",
    Expression(),
    "only interactions on which it holds (unknown is no)",
    'where: "event.properties.total >= 100"',
)
_HALF_LIFE: Final = Either((Length(), Choice(("none",))))
_SHARE: Final = Either((Number(0, 1), Text("share in percent", r"^\d+(\.\d+)?%$")))
_QUANTILE: Final = Choice(("p50", "p75", "p90", "p95"))
_PURPOSE: Final = Field(
    "purpose", Text("purpose"), "what it is for; consent and downstream go by it", "purpose: education"
)
_EXPIRES: Final = Field("expires_after", Length(), "after that it is not worth doing", "expires_after: 3d")
_CHANGE: Final = Field("change", Choice(("entered", "left")), "which of the two", "change: left", "entered")


def _decay(whose: str, default: str) -> tuple[Field, ...]:
    return (
        Field(
            "half_life",
            _HALF_LIFE,
            f"{whose} half their worth is left after this; `none`: no decay",
            "half_life: 21d",
            default,
        ),
        Field("decay", Of("decay"), f"{whose} another way of decay, in place of `half_life`", "decay: {window: 90d}"),
    )


_STATUS: Final = Choice(("sent", "delivered", "opened", "clicked"))

_SCORES: Final = (
    Shape(
        "score", "A score", "A number with decay: the sum of its groups, each the sum of its rules; caps and floors are applied when it is read.",
        (
            Field("points", Many(Of("points")), "the rules", "points: [{event: Page Viewed, points: 1}]"),
            Field("traits", Many(Of("trait")), "of a fit score: rules over traits, in place of `points`", "traits: [{where: traits.seats >= 50, points: 20}]"),
            Field("bands", Many(Single(Of("band"))), "named intervals from low to high, for example `- mql: {enter: 60, leave: 45}`", "bands: [{mql: {enter: 60, leave: 45}}]"),
            Field("groups", Named(Of("group")), "rules that share a cap", "groups: {content: {cap: 30}}"),
            Field("grades", Many(Single(Number())), "of a fit score: names from low to high with the least value of each, in place of `bands`", "grades: [{C: 0}, {B: 30}, {A: 60}]"),
            Field("cap", Number(), "never above", "cap: 100"),
            Field("floor", Number(), "never below", "floor: -20", "0, of a fit score none"),
            Field("disqualify", Many(Of("disqualify")), "while it holds the score is reported as null, with the reason", "disqualify: [{when: {where: \"traits.country == 'XX'\"}, reason: country}]"),
            Field("resets", Many(Of("reset")), "points are multiplied or brought down", "resets: [{event: Deal Lost, multiply: 0.5}]"),
            *_decay("of its points", "14d"),
            Field("min_delta", Number(), "also said when it moved by so much since it was last said", "min_delta: 5"),
            Field("event_ids", Whole(1, 3), "of how many events, the last ones, `contributors` names the ids for each rule; more make profiles larger", "event_ids: 3", "1"),
        ),
        "cap: 100\nhalf_life: 14d\ngroups: {intent: {cap: 70, half_life: 21d}}\npoints:\n  - {event: Page Viewed, points: 1, at_most: {count: 10, within: 1d}}\n  - {event: Demo Requested, points: 40, group: intent}\nbands: [{mql: {enter: 60, leave: 45}}, {hot: {enter: 85, leave: 70}}]\n",
        one_of=("points", "traits"),
    ),
    Shape(
        "trait", "A rule of a fit score", "Points for who a customer is; nothing where it is unknown.",
        (
            Field("where", Expression(), "over `traits`", "where: traits.seats >= 50", needed=True),
            Field("points", Number(), "where it holds", "points: 20", needed=True),
            Field("otherwise", Number(), "where it does not", "otherwise: -10", "0"),
            Field("id", Text("name"), "a name that stays when the rule changes", "id: size", "made from its words"),
        ),
        "where: traits.seats >= 50\npoints: 20\notherwise: -10\n",
    ),
    Shape(
        "disqualify", "Disqualification", "While it holds the score is null and in no band; its points go on counting.",
        (
            Field("when", CONDITION, "when", "when: {event: Deal Lost, within: 30d}", needed=True),
            Field("reason", Text("reason"), "what is reported", "reason: competitor", needed=True),
        ),
        "when: {where: \"traits.email.endsWith('.edu')\"}\nreason: student\n",
    ),
    Shape(
        "reset", "A reset", "On an interaction, or as a condition becomes true, points are multiplied or brought down.",
        (
            Field("event", EVENTS, "the interaction", "event: Deal Lost"),
            _WHERE,
            Field("when", CONDITION, "with `event`: only while it holds; alone: as it becomes true", "when: {stage: decision}"),
            Field("multiply", Number(0, 1), "the share that is left", "multiply: 0.5"),
            Field("set", Number(0), "no more than this is left", "set: 0"),
            Field("group", Text("name of a group"), "only of this group", "group: intent", "all"),
        ),
        "event: Deal Lost\nmultiply: 0.5\n",
        one_of=("multiply", "set"),
    ),
    Shape(
        "matrix", "The matrix of two scores", "Named cells of the bands (or grades) of two scores; each is a segment.",
        (
            Field("rows", Text("name of a score"), "the first score", "rows: fit", needed=True),
            Field("columns", Text("name of a score"), "the second", "columns: engagement", needed=True),
            Field("cells", Named(Many(Text("row/column"))), "`row/column`, one or several; `none` is below all bands", "cells: {hot_lead: [A/hot, B/hot]}", needed=True),
        ),
        "rows: fit\ncolumns: engagement\ncells: {hot_lead: [A/hot, B/hot], nurture: [A/none]}\n",
    ),
    Shape(
        "group", "A group", "Rules of a score that share a cap and a way of decay.",
        (
            Field("cap", Number(), "never above", "cap: 30"),
            Field("floor", Number(), "never below", "floor: 0"),
            *_decay("of its rules' points", "the score's"),
        ),
        "cap: 30\nhalf_life: 21d\n",
    ),
    Shape(
        "points", "Points", "A rule of a score: whom it awards, and how much.",
        (
            _EVENT, _WHERE,
            Field("points", Either((Number(), Expression("a number"))), "how much", 'points: "min(event.properties.total / 10.0, 10.0)"', needed=True),
            Field("when", CONDITION, "only while it holds", "when: {stage: decision}"),
            Field("group", Text("name of a group"), "the group it counts in", "group: intent", "none: it counts for itself"),
            *_decay("of its points", "the group's, else the score's"),
            Field("once", Flag(), "once in the customer's life", "once: true", "false"),
            Field("once_per", Expression("a value"), "once for each value", "once_per: event.properties.asset"),
            Field("at_most", Of("at_most"), "at most so many awards within a length of time", "at_most: {count: 2, within: 1d}"),
            Field("id", Text("name"), "a name that stays when the rule changes", "id: pricing", "made from its words"),
        ),
        "event: Page Viewed\nwhere: \"event.properties.path.startsWith('/pricing')\"\npoints: 10\nat_most: {count: 2, within: 1d}\n",
    ),
    Shape(
        "at_most", "At most", "A limit on awards in any window of this length, by event time.",
        (
            Field("count", Whole(1, 64), "how many", "count: 2", "1"),
            Field("within", Length(), "the length of the window", "within: 1d", needed=True),
        ),
        "count: 2\nwithin: 1d\n",
    ),
    Shape(
        "decay", "Decay", "How points lose their worth: see [decay](language.md#scores).",
        (
            Field("step_linear", _SHARE, "the share of the whole that each step takes", "step_linear: 25%"),
            Field("step_geometric", _SHARE, "the share of what is left that each step takes", "step_geometric: 25%"),
            Field("window", Length(), "the whole worth for so long, then nothing", "window: 90d"),
            Field("inactivity", Either((Length(), Many(Of("idle_step")))), "all of it until the group had no award for so long", "inactivity: 45d"),
            Field("every", Length(), "with steps: the length of one", "every: 30d"),
            Field("multiply", Number(0, 1), "with inactivity: the share that is left then", "multiply: 0.5"),
            Field("set", Number(), "with inactivity: no more than this is left then", "set: 50"),
        ),
        "step_linear: 25%\nevery: 30d\n",
        one_of=("step_linear", "step_geometric", "window", "inactivity"),
    ),
    Shape(
        "idle_step", "A step of inactivity", "What is left after so long without an award.",
        (
            Field("idle", Length(), "how long", "idle: 45d", needed=True),
            Field("multiply", Number(0, 1), "the share that is left", "multiply: 0.5"),
            Field("set", Number(), "no more than this is left", "set: 0"),
        ),
        "idle: 90d\nset: 0\n",
        one_of=("multiply", "set"),
    ),
    Shape(
        "band", "A band", "A named interval with hysteresis.",
        (
            Field("enter", Number(), "entered at this or more", "enter: 60", needed=True),
            Field("leave", Number(), "left below this, at the instant", "leave: 45", "`enter`"),
        ),
        "enter: 60\nleave: 45\n",
    ),
)  # fmt: skip

_STAGES: Final = (
    Shape(
        "stage", "A stage", "A place in the lifecycle. Everyone begins in the first; a later one is entered from any earlier one when `when` holds.",
        (
            Field("when", CONDITION, "what lets a customer in; the first stage has none, every other needs it", "when: {event: Account Created}"),
            Field("back_to", Many(Of("back")), "ways back", "back_to: {stage: adoption, when: {idle: Report Exported, for: 30d}}"),
            Field("until", CONDITION, "what sends a customer down to the highest earlier stage that holds; of a side stage, back", "until: {event: Account Created}"),
            Field("min_dwell", Length(), "not down before so long", "min_dwell: 1d", "0s"),
            Field("stuck_after", Either((Length(), _QUANTILE, Of("stuck"))), "after that `stage.stuck` is said, once an entry", "stuck_after: 21d"),
            Field("content", Named(Anything(), "name"), "what downstream shows to those who are in it; goes with the `stage.changed` that enters it, no rule reads it", "content: {hero: first_report, offer: none}"),
            Field("side", Flag(), "stands outside the order (lapsed, churned)", "side: true", "false"),
            Field("from", Many(Text("name of a stage")), "of a side stage: only from these", "from: [retention, advocacy]", "every ordered stage"),
        ),
        "when: {event: Subscription Renewed}\nback_to: {stage: adoption, when: {idle: Report Exported, for: 30d}, cooldown: 7d}\n",
    ),
    Shape(
        "back", "A way back", "A move to an earlier stage.",
        (
            Field("stage", Text("name of a stage"), "where to", "stage: adoption", needed=True),
            Field("when", CONDITION, "when", "when: {idle: Report Exported, for: 30d}", needed=True),
            Field("cooldown", Length(), "not again within", "cooldown: 7d", "1d"),
            Field("min_dwell", Length(), "not before so long in the stage", "min_dwell: 1d", "the stage's"),
        ),
        "stage: adoption\nwhen: {idle: Report Exported, for: 30d}\ncooldown: 7d\n",
    ),
    Shape(
        "stuck", "Stuck by the cohort", "A quantile of how long others stay, from frozen figures.",
        (
            Field("cohort", _QUANTILE, "which", "cohort: p90", "p90"),
            Field("otherwise", Length(), "for as long as there are no figures", "otherwise: 21d", "never"),
        ),
        "cohort: p90\notherwise: 21d\n",
    ),
    Shape(
        "unstable", "Flapping", "How many moves against the one before are made before one is held.",
        (
            Field("flips", Whole(1, 20), "how many", "flips: 5", "3"),
            Field("within", Length(), "in how long", "within: 1d", "7d"),
        ),
        "flips: 5\nwithin: 1d\n",
    ),
    Shape(
        "authority", "Authority", "Interactions that say the stage: what they say wins over the conditions until it is released or expires.",
        (
            Field("set", Many(Of("set_stage")), "those that set it", "set: {event: CRM Stage Set, stage: event.properties.stage}", needed=True),
            Field("release", Either((EVENT, Many(EVENT))), "those that release it", "release: CRM Stage Released"),
        ),
        "set: {event: CRM Stage Set, stage: event.properties.stage, expires_after: 90d}\nrelease: CRM Stage Released\n",
    ),
    Shape(
        "set_stage", "Setting a stage", "An interaction that says the stage.",
        (
            _EVENT, _WHERE,
            Field("stage", Expression("a stage's name"), "the stage", "stage: event.properties.stage", needed=True),
            Field("expires_after", Length(), "how long it holds", "expires_after: 90d", "until it is released"),
        ),
        "event: CRM Stage Set\nstage: event.properties.stage\n",
    ),
)  # fmt: skip

_TIME: Final = Text("time of day", r"^([01]\d|2[0-3]):[0-5]\d$")
_FORMS: Final = (
    "event",
    "when",
    "absence",
    "inactivity",
    "sequence",
    "threshold",
    "date",
    "anomaly",
    "entered",
    "left",
    "score",
    "segment",
)
_CALLS: Final = (
    Field("event", EVENTS, "called by each such interaction", "event: Email Link Clicked"),
    Field("when", CONDITION, "called each time that the condition becomes true", "when: pricing_interest"),
    Field(
        "absence",
        Of("absence"),
        "called when something did not happen",
        "absence: {of: tried_export, for: 14d, since: {stage: onboarding}}",
    ),
    Field(
        "inactivity",
        Of("inactivity"),
        "called when none of a set of events happened",
        "inactivity: {of: any, for: 30d}",
    ),
    Field(
        "sequence",
        Of("sequence"),
        "called by interactions one after the other",
        "sequence: {steps: [Cart Viewed, Order Completed], within: 2d}",
    ),
    Field(
        "threshold",
        Of("threshold"),
        "called when a score or trait crosses a number",
        "threshold: {score: engagement, rises_to: 60}",
    ),
    Field("date", Of("date"), "called by a date of the customer", "date: {trait: renewal_date, before: 30d}"),
    Field(
        "anomaly",
        Of("anomaly"),
        "called by a rate that is odd for this customer",
        "anomaly: {of: Report Exported, change: drop}",
    ),
    Field("entered", Text("name of a stage"), "called when the stage is entered", "entered: onboarding"),
    Field("left", Text("name of a stage"), "called when the stage is left", "left: onboarding"),
    Field(
        "score",
        Of("on_band"),
        "called when a band is entered from below or left downwards",
        "score: {name: engagement, entered: hot}",
    ),
    Field("segment", Of("on_segment"), "called when a segment is entered or left", "segment: {left: active}"),
    Field(
        "where", Expression(), "with `event`: only those on which it holds", 'where: "event.properties.total >= 100"'
    ),
)
"""What calls a trigger, and begins a flow."""

_TRIGGERS: Final = (
    Shape(
        "policy", "A policy", "What several triggers share.",
        (
            _PURPOSE,
            Field("cooldown", Length(), "not again within", "cooldown: 7d"),
            _EXPIRES,
            Field("priority", Whole(0, 9), "which goes first", "priority: 2", "5"),
            Field("quiet_hours", Of("quiet_hours"), "hours of the customer's day in which nothing is asked for", 'quiet_hours: {from: "20:00", to: "09:00"}'),
            Field("caps", Many(Of("cap")), "frequency caps", "caps: [{count: 1, within: 7d}]"),
            Field("hold_out", Of("hold_out"), "a share of customers who get none of it", "hold_out: {experiment: nudges, share: 0.1}"),
        ),
        'purpose: education\ncooldown: 7d\nexpires_after: 3d\nquiet_hours: {from: "20:00", to: "09:00"}\ncaps: [{count: 1, within: 7d}]\n',
    ),
    Shape(
        "quiet_hours", "Quiet hours", "A time of day in the customer's zone in which nothing is asked for; they may pass midnight.",
        (
            Field("from", _TIME, "when they begin", 'from: "20:00"', needed=True),
            Field("to", _TIME, "when they end", 'to: "09:00"', needed=True),
            Field("zone", Text("time zone"), "`customer`, or a zone for all", "zone: Europe/Madrid", "customer"),
            Field("hold", Either((Flag(), Choice(("before_expiry",)))), "hold the action until they end, drop it, or ask for it before it expires", "hold: false", "true"),
        ),
        'from: "20:00"\nto: "09:00"\n',
    ),
    Shape(
        "cap", "A frequency cap", "At most so many.",
        (*CAP, Field("by", Choice(("rule", "purpose", "channel", "all")), "what is counted together", "by: channel", "rule")),
        "count: 1\nwithin: 7d\n",
        one_of=("within", "per"),
    ),
    Shape(
        "hold_out", "A hold-out", "A share of customers, always the same ones, who are left out so that the others can be compared with them.",
        (
            Field("experiment", Text("name"), "the name that exposures and results go by; a topology's needs none", "experiment: nudges"),
            Field("share", Number(0, 1), "the share, above 0 and below 1", "share: 0.1", needed=True),
        ),
        "experiment: nudges\nshare: 0.1\n",
    ),
    Shape(
        "flow", "A flow", "A sequence of steps with instances: what begins one, what ends it.",
        (
            Field("id", Text("name", r"^[a-z0-9][a-z0-9_-]{0,62}$"), "its name", "id: cart", needed=True),
            Field("enter", Of("enter"), "what begins an instance", "enter: {event: Product Added, per: event.properties.cart_id}", needed=True),
            Field("exit", CONDITION, "ends it at once, also in the middle of a wait", "exit: {event: Order Completed}"),
            Field("goal", CONDITION, "ends it as reached", "goal: {event: Order Completed}"),
            Field("steps", Many(Either((Choice(("exit",)), Of("flow_step")))), "the steps in order", "steps: [{wait: {for: 1h}}, {action: {kind: message}}]", needed=True),
            Field("in_flight", Choice(("finish", "migrate", "abort")), "what becomes of instances of an older version", "in_flight: migrate", "finish"),
            Field("moved", Named(Text("name of a step"), "old step"), "with `migrate`: where the steps of the older version are now", "moved: {wait_1: wait_2}"),
        ),
        "id: cart\nenter: {event: Product Added, per: event.properties.cart_id, again: after_exit}\nexit: {event: Order Completed}\nsteps:\n  - wait: {for: 1h}\n  - {action: {kind: message, template: cart_1, channel: email}, policy: nudge}\n  - wait: {until: {event: Cart Viewed}, at_most: 2d, otherwise: leave}\n",
    ),
    Shape(
        "enter", "What begins a flow", "Called like a trigger.",
        (
            *_CALLS,
            Field("only_if", CONDITION, "begins only while it holds", "only_if: {stage: decision}"),
            Field("per", Expression("a value"), "an instance for each value", "per: event.properties.cart_id", "one a customer"),
            Field("again", Either((Choice(("once", "after_exit", "per_key", "always")), Of("again_after"))), "when a customer may begin again", "again: once", "after_exit"),
        ),
        "event: Product Added\nper: event.properties.cart_id\n",
        one_of=_FORMS,
    ),
    Shape("again_after", "Again after a while", "A customer may begin again when so long has passed.", (Field("cooldown", Length(), "how long", "cooldown: 7d", needed=True),), "cooldown: 7d\n"),
    Shape(
        "flow_step", "A step of a flow", "One thing to do, or to wait for; `exit` alone ends the flow.",
        (
            Field("wait", Of("wait"), "wait", "wait: {for: 1h}"),
            Field("branch", Many(Of("branch")), "go where the first case that holds leads", "branch: [{if: {stage: decision}, go: call}]"),
            Field("split", Of("split"), "go by chance, always the same way for a customer", "split: {experiment: subject, into: {a: {share: 1}}}"),
            Field("action", Of("action"), "ask for something", "action: {kind: message, template: cart_1}"),
            Field("set", Of("set_trait"), "set a trait of the customer", "set: {trait: nudged, to: true}"),
            Field("goal", Text("name"), "end as reached", "goal: bought"),
            Field("go", Text("name of a step"), "go on there; `next` and `leave` are words", "go: wait_1"),
            Field("exit", Anything(), "end", "exit: true"),
            Field("id", Text("name"), "its name", "id: first_mail", "its kind and its place, for example wait_1"),
            Field("otherwise", Text("name of a step"), "with `branch`: where no case leads", "otherwise: leave", "next"),
            Field("policy", Text("name of a policy"), "with `action`: what it shares with others", "policy: nudge"),
            Field("cooldown", Length(), "with `action`: not again within", "cooldown: 7d", "the policy's"),
            Field("mode", Choice(("live", "shadow")), "with `action`: `shadow` emits only a suppression", "mode: shadow", "live"),
        ),
        "action: {kind: message, template: cart_1, channel: email}\npolicy: nudge\n",
        one_of=("wait", "branch", "split", "action", "set", "goal", "go", "exit"),
    ),
    Shape(
        "wait", "A wait", "For a length of time, until a time of day, or until a condition holds.",
        (
            Field("for", Length(), "for so long", "for: 1h"),
            Field("until", Either((_TIME, CONDITION)), "until a local time of day, or until it holds", "until: {event: Cart Viewed}"),
            Field("zone", Text("time zone"), "with a time of day: `customer`, or a zone", "zone: Europe/Madrid", "customer"),
            Field("at_most", Length(), "with a condition: no longer than", "at_most: 2d"),
            Field("otherwise", Text("name of a step"), "with a condition: where to go when it did not hold in time", "otherwise: leave", "next"),
        ),
        "until: {event: Cart Viewed}\nat_most: 2d\notherwise: leave\n",
        one_of=("for", "until"),
    ),
    Shape(
        "branch", "A case of a branch", "Where to go when it holds.",
        (
            Field("if", CONDITION, "the condition", "if: {score: engagement, at_least: hot}", needed=True),
            Field("go", Text("name of a step"), "where to go", "go: call", needed=True),
        ),
        "if: {stage: decision}\ngo: leave\n",
    ),
    Shape(
        "split", "A split", "Customers by chance, each always the same way.",
        (
            Field("experiment", Text("name"), "the name that exposures and results go by", "experiment: subject", needed=True),
            Field("into", Named(Of("variant")), "the variants; their shares are 1 together", "into: {a: {share: 0.5}, b: {share: 0.5, go: other}}", needed=True),
        ),
        "experiment: subject\ninto: {a: {share: 0.5}, b: {share: 0.5, go: leave}}\n",
    ),
    Shape(
        "variant", "A variant", "A share of customers, and where they go.",
        (
            Field("share", Number(0, 1), "the share, above 0", "share: 0.5", needed=True),
            Field("go", Text("name of a step"), "where to go", "go: leave", "next"),
        ),
        "share: 0.5\ngo: leave\n",
    ),
    Shape(
        "set_trait", "Setting a trait", "A trait of the customer takes a value.",
        (
            Field("trait", Text("name of a trait"), "the trait", "trait: nudged", needed=True),
            Field("to", Either((Expression("a value"), Number(), Flag())), "the value", "to: true", needed=True),
        ),
        "trait: nudged\nto: true\n",
    ),
    Shape(
        "trigger", "A trigger", "When to act, and how.",
        (
            Field("id", Text("name"), "its name; decision ids hang on it", "id: welcome", needed=True),
            *_CALLS,
            Field("only_if", CONDITION, "acts only while it holds", "only_if: {stage: [regular, loyal]}"),
            Field("action", Of("action"), "what is asked for", "action: {kind: message, template: hello}", needed=True),
            Field("cooldown", Length(), "not again within", "cooldown: 7d", "the policy's"),
            Field("again", Choice(("always", "once", "per_entry")), "each time, once in the customer's life, or once an entry of the stage that an absence counts from", "again: once", "per_entry for an absence, else always"),
            Field("mode", Choice(("live", "shadow")), "`shadow` decides and explains, and emits only a suppression", "mode: shadow", "live"),
            Field("policy", Text("name of a policy"), "what it shares with others", "policy: nudge"),
        ),
        "id: feature_not_used\nabsence: {of: Report Exported, for: 14d, since: {stage: onboarding}}\naction: {kind: message, template: try_export, channel: email}\npolicy: nudge\n",
        one_of=_FORMS,
    ),
    Shape(
        "absence", "An absence", "None of it for so long after something.",
        (
            Field("of", Either((Text("name of a `define`"), EVENT)), "what does not happen", "of: Report Exported", needed=True),
            Field("for", Length(), "for how long", "for: 14d", needed=True),
            Field("since", Either((Of("since_stage"), EVENT)), "what it counts from: a stage entered or left, or an interaction", "since: {stage: onboarding}", "its own last one"),
            Field("again", Choice(("per_entry",)), "once an entry of the stage", "again: per_entry", "per_entry"),
        ),
        "of: Report Exported\nfor: 14d\nsince: {stage: onboarding}\n",
    ),
    Shape(
        "since_stage", "Since a stage", "The instant at which the customer entered or left a stage.",
        (Field("stage", Text("name of a stage"), "the stage", "stage: onboarding", needed=True), _CHANGE),
        "stage: onboarding\n",
    ),
    Shape(
        "inactivity", "Inactivity", "None of a set of events, or nothing at all, for so long after the last one.",
        (
            Field("of", EVENT, "the events; `any`: whatever comes", "of: [Page Viewed, Report Exported]", needed=True),
            Field("for", Length(), "for how long", "for: 30d", needed=True),
        ),
        "of: [Page Viewed, Report Exported]\nfor: 30d\n",
    ),
    Shape(
        "sequence", "A sequence", "Two to eight interactions one after the other.",
        (
            Field("steps", Many(Either((Of("step"), EVENT))), "the first is an event, the others events or steps", "steps: [Cart Viewed, {followed_by: Order Completed}]", needed=True),
            Field("within", Length(), "the last at most so long after the first", "within: 2d", needed=True),
            Field("per", Expression("a value"), "keeps the sequences of each value apart", "per: event.properties.cart"),
            Field("skip", Choice(("past_last", "none")), "after a match what began before its end is dropped, or goes on", "skip: none", "past_last"),
        ),
        "steps: [Cart Viewed, {followed_by: Order Started, not: Cart Emptied}, {next: Order Completed}]\nwithin: 2d\nper: event.properties.cart\n",
    ),
    Shape(
        "step", "A step", "A later step of a sequence.",
        (
            Field("followed_by", EVENT, "anything may lie between", "followed_by: Order Completed"),
            Field("next", EVENT, "the very next interaction must be it", "next: Order Completed"),
            Field("not", EVENT, "with `followed_by`: none of these between", "not: Cart Emptied"),
        ),
        "followed_by: Order Completed\nnot: Cart Emptied\n",
        one_of=("followed_by", "next"),
    ),
    Shape(
        "threshold", "A threshold", "A number crossed one way, each time.",
        (
            Field("score", Text("name of a score"), "the score", "score: engagement"),
            Field("trait", Text("name of a trait"), "or the customer's trait", "trait: seats"),
            Field("rises_to", Number(), "from below to this or more", "rises_to: 60"),
            Field("falls_below", Number(), "from this or more to below", "falls_below: 3"),
        ),
        "trait: seats\nfalls_below: 3\n",
    ),
    Shape(
        "date", "A date", "The date or instant in a trait, in the customer's zone.",
        (
            Field("trait", Text("name of a trait"), "the trait", "trait: renewal_date", needed=True),
            Field("before", Length(), "so long before; whole days are calendar days", "before: 30d", "0s"),
            Field("after", Length(), "or so long after", "after: 7d", "0s"),
            Field("at", Text("time of day", r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$"), "at this local time", 'at: "09:00"', "the trait's own, midnight for a date"),
            Field("every", Choice(("year", "once")), "once, or each year", "every: year", "once"),
        ),
        'trait: renewal_date\nbefore: 30d\nat: "09:00"\n',
    ),
    Shape(
        "anomaly", "An anomaly", "Far fewer or far more than is usual for this customer.",
        (
            Field("of", EVENT, "the interactions that are counted", "of: Report Exported", needed=True),
            Field("per", Length(), "the period, at least an hour", "per: 1d", "1d"),
            Field("change", Choice(("drop", "rise")), "which way", "change: rise", "drop"),
            Field("deviations", Number(), "how far from the mean, in standard deviations", "deviations: 4", "3"),
            Field("half_life", Length(), "how fast the usual follows", "half_life: 30d", "14 periods"),
            Field("warm_up", Whole(1, 1000), "whole periods before anything is compared", "warm_up: 28", "14"),
        ),
        "of: Report Exported\nper: 1d\nchange: drop\n",
    ),
    Shape(
        "on_band", "A band entered or left", "The change of a score's band that calls a trigger.",
        (
            Field("name", Text("name of a score"), "the score", "name: engagement", needed=True),
            Field("entered", Text("name of a band"), "the band entered from below", "entered: hot"),
            Field("left", Text("name of a band"), "or left downwards", "left: mql"),
        ),
        "name: engagement\nentered: hot\n",
        one_of=("entered", "left"),
    ),
    Shape(
        "on_segment", "A segment entered or left", "The change of membership that calls a trigger.",
        (
            Field("entered", Text("name of a segment"), "the segment entered", "entered: active"),
            Field("left", Text("name of a segment"), "or left", "left: active"),
        ),
        "left: active\n",
        one_of=("entered", "left"),
    ),
    Shape(
        "action", "An action", "What is asked of downstream. A parameter that is a mapping with `by` depends on the interaction: [choice](#choice).",
        (
            Field("kind", Text("kind"), "what is asked for: message, content, crm, …", "kind: message", needed=True),
            Field("channel", Text("channel"), "by which channel; `preferred`: see [contact](#contact)", "channel: email"),
            _PURPOSE, _EXPIRES,
            Field("priority", Whole(0, 9), "which goes first", "priority: 2", "the policy's, else 5"),
        ),
        "kind: content\nslot: hero\nimage: {by: event.context.campaign.name, cases: {A: image_a, B: image_b}, otherwise: image_default}\npurpose: service\nexpires_after: 1h\n",
        free="choice",
    ),
    Shape(
        "choice", "A choice", "A parameter of an action that depends on the interaction.",
        (
            Field("by", Expression("a value"), "the value that chooses", "by: event.context.campaign.name", needed=True),
            Field("cases", Named(Anything(), "value"), "what each value gives", "cases: {A: image_a}", needed=True),
            Field("otherwise", Anything(), "what any other gives", "otherwise: image_default", "nothing"),
        ),
        "by: event.context.campaign.name\ncases: {A: image_a, B: image_b}\notherwise: image_default\n",
    ),
)  # fmt: skip

_CONDITIONS: Final = (
    Shape("event", "An event", "Which interactions: a name, a list of names, or this.", (_EVENT, _WHERE), "event: Page Viewed\nwhere: \"event.properties.path == '/'\"\n"),
    Shape(
        "happened", "It happened", "There were so many in (now - within, now].",
        (
            _EVENT, _WHERE,
            Field("at_least", Whole(1, 100_000), "how many", "at_least: 3", "1"),
            Field("within", Length(), "in how long", "within: 7d", "ever"),
        ),
        "event: Page Viewed\nat_least: 3\nwithin: 7d\n",
    ),
    Shape(
        "idle", "It has been idle", "None for so long, and one before.",
        (
            Field("idle", EVENT, "the interaction", "idle: Order Completed", needed=True),
            Field("for", Length(), "for how long", "for: 30d", needed=True),
        ),
        "idle: Order Completed\nfor: 30d\n",
    ),
    Shape(
        "dwell", "Time on a page", "The customer was on the pages for so long, told from the [sessions](#sessions) that are kept: up to the last interaction that came.",
        (
            Field("dwell", Length(), "for how long, all visits together", "dwell: 60s", needed=True),
            Field("page", Many(Text("page")), "the page, or any of several; `*` at the end: all that begin so", "page: /pricing*", "any page"),
            Field("in", Choice(("all", "session")), "all that is kept (the last 32 views, and earlier ones of the last 32 pages), or the last session alone", "in: session", "all"),
        ),
        "dwell: 60s\npage: [/pricing*, /plans]\nin: session\n",
    ),
    Shape(
        "message_is", "A message", "What became, or did not become, of the last message of a rule.",
        (
            Field("message", Text("name of a trigger, or flow.step"), "the rule that asked for it", "message: feature_not_used", needed=True),
            Field("is", _STATUS, "it is so", "is: clicked"),
            Field("not", _STATUS, "it is not", "not: opened"),
            Field("for", Length(), "with `not`: so long after it was sent", "for: 3d", "0s"),
        ),
        "message: feature_not_used\nnot: opened\nfor: 3d\n",
        one_of=("is", "not"),
    ),
    Shape(
        "score_is", "A score", "The score is in a band or a higher one, or at least a number.",
        (
            Field("score", Text("name of a score"), "the score", "score: engagement", needed=True),
            Field("at_least", Either((Text("name of a band"), Number())), "the band or number", "at_least: mql", needed=True),
        ),
        "score: engagement\nat_least: mql\n",
    ),
    Shape("stage_is", "A stage", "The customer is there now.", (Field("stage", Many(Text("name of a stage")), "the stage, or any of several", "stage: [decision, onboarding]", needed=True),), "stage: decision\n"),
    Shape("reached", "A stage reached", "The customer has been there or beyond.", (Field("reached", Text("name of a stage"), "the stage", "reached: onboarding", needed=True),), "reached: onboarding\n"),
    Shape("segment_is", "A segment", "The customer is in it now.", (Field("segment", Text("name of a segment"), "the segment", "segment: active", needed=True),), "segment: active\n"),
    Shape("where", "An expression", "The expression is true; unknown is no.", (Field("where", Expression(), "the expression", "where: \"traits.plan == 'pro'\"", needed=True),), "where: \"traits.plan == 'pro'\"\n"),
    Shape("all", "All", "Every one holds.", (Field("all", Many(CONDITION), "the conditions", "all: [{stage: decision}, {segment: active}]", needed=True),), "all: [{stage: decision}, {segment: active}]\n"),
    Shape("any", "Any", "At least one holds.", (Field("any", Many(CONDITION), "the conditions", "any: [{stage: decision}, {segment: active}]", needed=True),), "any: [{stage: decision}, {segment: active}]\n"),
    Shape("not", "Not", "It does not hold; unknown stays unknown.", (Field("not", CONDITION, "the condition", "not: {segment: active}", needed=True),), "not: {segment: active}\n"),
)  # fmt: skip

JOURNEY: Final = (
    Shape(
        "journey", "A journey", "A whole definition: scores, stages, what to do and when.",
        (
            Field("journey", Text("name", r"^[a-z0-9][a-z0-9_-]{0,62}$"), "its name", "journey: onboarding", needed=True),
            Field("version", Text("version", r"^\d+(\.\d+){0,2}$"), "major.minor; decision ids hang on the major", 'version: "1.0"', needed=True),
            Field("define", Named(CONDITION), "conditions with a name", "define: {tried_export: {event: Report Exported}}"),
            Field("scores", Named(Of("score")), "lead scores", "scores: {engagement: {points: [{event: Page Viewed, points: 1}]}}"),
            Field("matrix", Of("matrix"), "segments by the bands of two scores", "matrix: {rows: fit, columns: engagement, cells: {hot_lead: [A/hot]}}"),
            Field("segments", Named(CONDITION), "named conditions with membership, entered and left also by time alone", "segments: {active: {event: Report Exported, within: 30d}}"),
            Field("stages", Many(Single(Either((Of("stage"), Nothing())), alone=True)), "the stages in order, side stages among them", "stages: [awareness, {adoption: {when: {event: Report Exported}}}]"),
            Field("allow_skip", Flag(), "whether one input may move over several stages", "allow_skip: false", "true"),
            Field("unstable", Of("unstable"), "when moves forth and back are held", "unstable: {flips: 5, within: 1d}", "3 within 7d"),
            Field("authority", Of("authority"), "who may say the stage", "authority: {set: {event: CRM Stage Set, stage: event.properties.stage}}"),
            Field("policies", Named(Of("policy")), "what triggers share", "policies: {nudge: {purpose: education, cooldown: 7d}}"),
            Field("flows", Many(Of("flow")), "sequences of steps", "flows: [{id: cart, enter: {event: Product Added}, steps: [{wait: {for: 1h}}]}]"),
            Field("triggers", Many(Of("trigger")), "when to act, and how", "triggers: [{id: welcome, entered: onboarding, action: {kind: message}}]"),
        ),
        'journey: onboarding\nversion: "1.0"\nstages:\n  - awareness\n  - onboarding: {when: {event: Account Created}}\ntriggers:\n  - {id: welcome, entered: onboarding, action: {kind: message, template: welcome, purpose: service, expires_after: 1d}}\n',
    ),
    *_SCORES, *_STAGES, *_TRIGGERS, *_CONDITIONS,
)  # fmt: skip
