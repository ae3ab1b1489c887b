"""What stands around a journey, described: topology.yaml, examples.yaml, a declared tracking plan."""

from __future__ import annotations

from typing import Final

from rumbo.topology.language.kinds import (
    CAP,
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
    Text,
    Whole,
)

_TOPIC: Final = Text("name of a topic", r"^[a-zA-Z0-9._-]{1,249}$")
_LATE: Final = Choice(("process", "refold"))
_STATUS: Final = Choice(("granted", "denied", "withdrawn", "unknown"))

TOPOLOGY: Final = Shape(
    "topology", "topology.yaml", "What runs: raw topics, journeys, outputs.",
    (
        Field("topology", Text("name", r"^[a-z0-9][a-z0-9-]{0,62}$"), "name; also the consumer group and the prefix of the changelog", "topology: saas", needed=True),
        Field("sources", Many(Either((_TOPIC, Of("source")))), "raw topics", "sources: [{topic: web}]", needed=True),
        Field("journeys", Many(Text("file")), "files with a journey each", "journeys: [journey.yaml]", needed=True),
        Field("start", Choice(("earliest", "latest")), "where a first start begins", "start: latest", "earliest"),
        Field("clock", Choice(("live", "log")), "`live`: the wall pushes the clock when every source is caught up; `log`: only events and clock records do", "clock: log", "live"),
        Field("late", Either((_LATE, Of("late"))), "events before their customer's clock: they count as they come, or are put in their place (`refold`)", "late: refold", "process"),
        Field("zone", Text("time zone"), "time zone of customers whose traits `zone` and `timezone` name none", "zone: Europe/Madrid", "UTC"),
        Field("keys", Choice(("count", "strict")), "record keys that are not the customer's where they should be: count them, or stop", "keys: strict", "count"),
        Field("outputs", Of("outputs"), "names of the output topics", "outputs: {actions: my.actions.v1}", "rumbo.*.v1"),
        Field("output_mode", Choice(("structured", "binary", "plain")), "CloudEvents (structured or binary), or the data alone", "output_mode: binary", "structured"),
        Field("dlq", Of("dlq"), "what is kept of rejected records, and when a worker stops", "dlq: {payload: drop}", "keep, 0.2"),
        Field("duplicates", Whole(1, 4096), "how many event ids a customer's profile remembers", "duplicates: 128", "64"),
        Field("contact", Of("contact"), "what a customer may be asked, whatever the journey", "contact: {purposes: {sales: service}}"),
        Field("plan", Text("file"), "declared tracking plan, which `rumbo check` holds the journeys against", "plan: plan.yaml"),
        Field("sessions", Of("sessions"), "what a session is, from which sessions and the time on pages are told", "sessions: {event: Page Viewed}"),
        Field("scanners", Of("scanners"), "which clicks may be a mail scanner's: they are put aside until a human shows", "scanners: {click: Email Link Clicked}"),
        Field("friction", Of("friction"), "where customers have trouble: eight kinds, each as usual, changed or off", "friction: {}"),
        Field("answers", Many(Of("answers")), "which interactions are answers to surveys; the last ones are in the customer view", "answers: {event: Survey Answered, kind: nps}"),
        Field("accounts", Of("accounts"), "the companies that customers belong to: each has the stage and the scores that its contacts give it", "accounts: {roles: [decision maker, champion], scores: {engagement: max}}"),
        Field("journal", Whole(0, 1000), "interactions of each customer kept for the customer view: so many on which something was decided, and so many others", "journal: 50", "0"),
    ),
    "topology: saas\nsources:\n  - {topic: product-events, lateness: 10m}\njourneys: [journey.yaml]\nzone: Europe/Madrid\n",
)  # fmt: skip

_OFF: Final = Choice(("off",))


def _friction(shape: str, title: str, meaning: str, fields: tuple[Field, ...], example: str) -> Shape:
    return Shape(
        shape, title, meaning,
        (
            Field("event", EVENTS, "the interactions", "event: Click", "as in the table of the guide to the language"),
            Field("where", Expression(), "only those on which it holds", 'where: "event.anonymous == false"'),
            Field("place", Expression("the place"), "what names the place; where it is needed and unknown, the interaction does not count", "place: event.properties.target", "as in the table"),
            *fields,
            Field("weight", Number(0), "how much it weighs, above 0", "weight: 5", "as in the table"),
        ),
        example,
    )  # fmt: skip


_WITHIN: Final = Field("within", Length(), "in less than this, at most `30d`", "within: 3s", "as in the table")

OUTER: Final = (
    TOPOLOGY,
    Shape(
        "source", "A source", "A raw topic, and how its records are read.",
        (
            Field("topic", _TOPIC, "the topic", "topic: web", needed=True),
            Field("format", Choice(("auto", "segment", "cloudevents", "flat")), "format of the records; `auto` tells them apart one by one", "format: flat", "auto"),
            Field("key", Choice(("customer", "any")), "what the record key is: the customer, or something else (then records are re-keyed)", "key: any", "customer"),
            Field("lateness", Length(), "how late an event may come; `0s` for a source in order", "lateness: 1h", "10m"),
            Field("map", Of("map"), "where a flat object keeps what is needed; needed with `format: flat`", "map: {identity: user.id, event: action}"),
            Field("max_bytes", Whole(64, 1_000_000), "longer records are rejected", "max_bytes: 65536", "32768"),
            Field("max_age", Length(), "older events are rejected", "max_age: 90d", "however old"),
        ),
        "topic: product-events\nkey: any\nlateness: 1h\n",
    ),
    Shape(
        "late", "Late events", "How far back a late event is put in its place; one from further back counts without deciding anything.",
        (
            Field("policy", _LATE, "as they come, or in their place", "policy: refold", "refold"),
            Field("events", Whole(1, 5000), "reach: so many inputs of the customer", "events: 200", "500"),
            Field("within", Length(), "reach: so long before the customer's last input, at most 400d", "within: 30d", "90d"),
        ),
        "policy: refold\nevents: 200\nwithin: 30d\n",
    ),
    Shape(
        "map", "A flat map", "Dotted paths into a flat JSON object.",
        (
            Field("identity", Text("path"), "the customer's id", "identity: user.id", needed=True),
            Field("event", Text("path"), "the event's name", "event: action", needed=True),
            Field("time", Text("path"), "when it happened", "time: ts", "the record's time"),
            Field("id", Text("path"), "the event's own id", "id: id", "made of topic, partition and offset"),
            Field("account", Text("path"), "the company or household", "account: org.id"),
            Field("properties", Text("path"), "the object with the event's properties", "properties: data", "the whole object"),
        ),
        "identity: user.id\nevent: action\ntime: ts\n",
    ),
    Shape(
        "sessions", "Sessions",
        "Runs of interactions of which no two neighbours are more than `gap` apart. Rules name what is derived from them like any event: `Session Started`, "
        "`Page Left` (`properties.page`, `seconds`) and, `gap` after the last interaction, `Session Ended` (`seconds`, `events`, `pages`, `page`: the last one).",
        (
            Field("event", EVENTS, "the interactions that make a session", "event: [Page Viewed, Element Clicked]", needed=True),
            Field("where", Expression(), "only those on which it holds", 'where: "event.anonymous == false"'),
            Field("gap", Length(), "after how long without one a session is over; at most `1d`", "gap: 20m", "30m"),
            Field("page", Expression("a page's name"), "the page that is viewed; an interaction on which it is unknown is no view", "page: event.context.page.path", "event.properties.path"),
        ),
        "event: [Page Viewed, Element Clicked]\ngap: 30m\npage: event.context.page.path\n",
    ),
    Shape(
        "scanners", "Scanners",
        "Clicks (and opens) that mail scanners make. A suspicious one is put aside: no rule sees it, and the actions that it would have asked for are held back by the gate "
        "`quarantine`. Where a human shows in time it is stepped; otherwise `event.quarantined` says that it does not count. What earlier clicks of a burst had set off is withdrawn.",
        (
            Field("click", EVENT, "the clicks; opens too, where they are to be told", "click: [Email Link Clicked, Email Opened]", needed=True),
            Field("delivered", EVENT, "the delivery of a message", "delivered: Email Delivered", "Email Delivered"),
            Field("message", Expression("the id of the message"), "what names the message on a click and on a delivery", "message: event.properties.email_id", "event.properties.email_id"),
            Field("link", Expression("the link"), "what names the link of a click", "link: event.properties.link_url", "event.properties.link_url"),
            Field("honeypot", Expression(), "a click on a link that no human sees", "honeypot: \"event.properties.link_id == 'hidden'\""),
            Field("known", Expression(), "a click of a known agent or range", "known: \"event.context.userAgent.contains('Barracuda')\""),
            Field("human", EVENT, "what shows a human: one of these after the click, and another more than `dwell` later", "human: [Page Viewed, Element Clicked]", "Page Viewed"),
            Field("after_delivery", Length(), "sooner than this after the delivery is suspicious", "after_delivery: 3s", "3s"),
            Field("links", Whole(2, 16), "so many different links", "links: 4", "3"),
            Field("within", Length(), "in how long, at most `1m`", "within: 10s", "5s"),
            Field("for", Length(), "for how long a click is put aside, at most `1d`", "for: 2m", "60s"),
            Field("dwell", Length(), "how long a human stays at the least", "dwell: 10s", "5s"),
        ),
        "click: Email Link Clicked\nlink: event.properties.link_url\nknown: \"event.context.userAgent.contains('Barracuda')\"\nfor: 60s\n",
    ),
    Shape(
        "friction", "Friction",
        "Trouble that customers have, told from raw interactions: each kind is as usual where nothing is said of it, changed by a mapping, or `off`. Rules name "
        "`Friction Detected` like any event (`event.properties`: `kind`, `place`, `weight`, `count`).",
        (
            Field("rage_click", Either((_OFF, Of("friction_count"))), "several clicks on one element at once", "rage_click: {event: Click, place: event.properties.target}", "3 in 2s"),
            Field("form_error", Either((_OFF, Of("friction_count"))), "errors in one form", "form_error: {count: 3}", "2 in 10m"),
            Field("form_abandoned", Either((_OFF, Of("friction_form"))), "a form that was begun and not sent; told at that instant, on a silent topic too", "form_abandoned: {within: 20m}", "after 10m"),
            Field("error_page", Either((_OFF, Of("friction_count"))), "error pages in a [session](#sessions), or without sessions in `within`", "error_page: off", "3 a session, or in 30m"),
            Field("back_and_forth", Either((_OFF, Of("friction_count"))), "two pages by turns: back to the page before so many times", "back_and_forth: {within: 2m}", "2 in 1m"),
            Field("repeated_ticket", Either((_OFF, Of("friction_count"))), "tickets on one topic", "repeated_ticket: {event: Case Opened, place: event.properties.reason}", "2 in 7d"),
            Field("payment_failure", Either((_OFF, Of("friction_each"))), "each payment that failed", "payment_failure: {weight: 10}", "weight 8"),
            Field("stuck_in_stage", Either((_OFF, Of("friction_stuck"))), "longer in a stage than its `stuck_after`; the place is the stage", "stuck_in_stage: {weight: 2}", "weight 4"),
        ),
        "rage_click: {event: Click, place: event.properties.target}\npayment_failure: {weight: 10}\nback_and_forth: off\n",
    ),
    _friction(
        "friction_count", "Friction that counts", "So many interactions in a length of time. Those that made a friction are spent.",
        (Field("count", Whole(2, 8), "how many", "count: 4", "as in the table"), _WITHIN),
        "event: Click\nplace: event.properties.target\ncount: 4\n",
    ),
    _friction(
        "friction_form", "Friction by absence", "One that none of `until` at the same place followed in time.",
        (Field("until", EVENT, "what ends the form well", "until: [Form Submitted, Form Cancelled]", "Form Submitted"), _WITHIN),
        "event: Form Opened\nuntil: Form Sent\nwithin: 20m\n",
    ),
    _friction("friction_each", "Friction each time", "Each such interaction.", (), "event: Charge Failed\nweight: 10\n"),
    Shape(
        "friction_stuck", "Friction of a stage", "Told with `stage.stuck`.",
        (Field("weight", Number(0), "how much it weighs, above 0", "weight: 2", "4"),),
        "weight: 2\n",
    ),
    Shape(
        "answers", "Answers to surveys",
        "An interaction that answers a survey. Of each survey the latest answer is kept, with its class and the stages that led to it. "
        "Scores are whole numbers: `nps` 0 to 10 (promoter from 9, passive from 7, detractor), `csat` 1 to 5 (satisfied from 4), `ces` 1 to 7 (easy from 5).",
        (
            Field("event", EVENTS, "the interactions that are answers", "event: Survey Answered", needed=True),
            Field("where", Expression(), "only those on which it holds", 'where: "event.properties.finished == true"'),
            Field("kind", Either((Choice(("nps", "csat", "ces")), Expression("one of them"))), "the kind of the survey, which says the scale", "kind: event.properties.kind", needed=True),
            Field("survey", Expression("a text"), "the survey's name; write `\"'onboarding'\"` for one that is always the same", "survey: event.properties.survey_id", "event.properties.survey"),
            Field("score", Expression("a number"), "the score; one outside of the scale is counted and is no answer", "score: event.properties.rating", "event.properties.score"),
            Field("comment", Expression("a text"), "what the customer wrote; the first 280 characters are kept", "comment: event.properties.comment", "not kept"),
        ),
        "event: Survey Answered\nkind: nps\nsurvey: event.properties.survey\nscore: event.properties.score\ncomment: event.properties.comment\n",
    ),
    Shape(
        "accounts", "Accounts",
        "The companies that customers belong to. An account is in the highest stage in which, or beyond which, there are enough of the contacts that count; its "
        "scores are rolled up from what was last said of theirs.",
        (
            Field("journey", Text("name of a journey"), "whose stages and scores", "journey: saas", "the only one"),
            Field("account", Expression("the account's id"), "the account that an interaction says the customer belongs to; the last one counts", "account: traits.company", "event.account"),
            Field("leave", EVENT, "interactions after which the customer belongs to no account", "leave: Account Removed User"),
            Field("role", Text("name of a trait"), "the trait of the customer that says what they are there: a text, or a list", "role: job_role", "role"),
            Field("roles", Many(Text("role")), "which roles count; `any`: every contact does, also without a role", "roles: [decision maker, champion, buyer]", "decision maker, champion"),
            Field("stage", Either((Choice(("highest",)), Of("account_all"), Many(Of("account_stage")))), "how many contacts a stage needs: one, so many, or so many of some stages", "stage: [{stage: decision, contacts: 2}]", "highest"),
            Field("scores", Named(Either((Choice(("max", "sum")), Of("roll_up"))), "score"), "scores of the account", "scores: {engagement: max}"),
        ),
        "roles: [decision maker, champion]\nleave: Account Removed User\nstage: [{stage: decision, contacts: 2}]\nscores: {engagement: {by: sum, cap: 300}}\n",
    ),
    Shape(
        "account_all", "So many contacts", "How many contacts each stage needs; the first needs one.",
        (Field("contacts", Whole(1, 256), "how many in it or beyond", "contacts: 2", needed=True),),
        "contacts: 2\n",
    ),
    Shape(
        "account_stage", "So many contacts of a stage", "How many contacts one stage needs; the others need one.",
        (
            Field("stage", Text("name of a stage"), "an ordered stage", "stage: decision", needed=True),
            Field("contacts", Whole(1, 256), "how many in it or beyond", "contacts: 2", needed=True),
        ),
        "stage: decision\ncontacts: 2\n",
    ),
    Shape(
        "roll_up", "A score of an account", "Made of the values that were last said of the contacts' score.",
        (
            Field("by", Choice(("max", "sum")), "the largest, or the sum", "by: sum", "max"),
            Field("cap", Number(0), "never above", "cap: 300"),
            Field("min_delta", Number(0), "said when it has moved by so much", "min_delta: 10", "at every change"),
        ),
        "by: sum\ncap: 300\n",
    ),
    Shape(
        "outputs", "Outputs", "Names of the topics that are written, and of the two that Rumbo reads itself.",
        tuple(
            Field(name, _TOPIC, meaning, f"{name}: my.{name}.v1", f"rumbo.{name}.v1")
            for name, meaning in (
                ("transitions", "stages and segments entered and left"), ("scores", "scores on a change of band"), ("actions", "actions asked for"),
                ("suppressed", "actions held back, with the gate"), ("corrections", "retractions"), ("progress", "one record a transaction"),
                ("control", "clock records, authority, consent, frozen figures"), ("events", "re-keyed interactions"), ("accounts", "stages and scores of accounts"),
            )
        ),
        "actions: shop.actions.v1\n",
    ),
    Shape(
        "dlq", "Dead letters", "Where rejected records go is `<topic>.dlq`.",
        (
            Field("payload", Choice(("keep", "drop")), "the raw bytes, or coordinates and reason only", "payload: drop", "keep"),
            Field("limit", Number(0, 1), "the share of rejects among the last 1,000 records that stops a worker", "limit: 0.5", "0.2"),
        ),
        "payload: drop\nlimit: 0.1\n",
    ),
    Shape(
        "contact", "Contact", "What a customer may be asked, said once for all journeys.",
        (
            Field("purposes", Named(Choice(("marketing", "service", "transactional")), "purpose"), "the purposes of actions and their sort; once any is declared, each action must have one", "purposes: {education: marketing}"),
            Field("consent", Many(Of("consent")), "interactions that say a consent", "consent: {event: Consent Changed, status: event.properties.status}"),
            Field("suppress", Of("suppress"), "interactions that put the customer on the suppression list, and take them off", "suppress: {add: [Hard Bounced]}"),
            Field("channel", Of("preferred"), "what `channel: preferred` of an action means", "channel: {otherwise: email, among: [email]}"),
            Field("caps", Many(Of("contact_cap")), "frequency caps for every action of a kind, purpose or channel", "caps: [{count: 3, within: 7d}]"),
            Field("hold_out", Of("hold_out"), "a share of customers who get no marketing at all", "hold_out: {share: 0.1}"),
            Field("messages", Of("messages"), "interactions that say what became of a message", "messages: {opened: {event: Email Opened, action: event.properties.action_id}}"),
        ),
        "purposes: {education: marketing, sales: service, receipt: transactional}\nconsent: {event: Consent Changed, status: event.properties.status, purpose: event.properties.purpose}\nsuppress: {add: [Hard Bounced], remove: [Restored]}\n",
    ),
    Shape(
        "consent", "A consent", "An interaction that says a consent; each part is an expression over it.",
        (
            Field("event", EVENTS, "the interaction", "event: Consent Changed", needed=True),
            Field("where", Expression(), "only those on which it holds", "where: \"event.properties.topic == 'mail'\""),
            Field("status", Either((_STATUS, Expression("one of the words"))), "what is said", "status: granted", needed=True),
            Field("purpose", Expression("a purpose"), "the purpose it is said of", "purpose: event.properties.purpose", "every purpose"),
            Field("channel", Expression("a channel"), "the channel it is said of", "channel: \"'email'\"", "every channel"),
            Field("source", Expression("text"), "where it was said", "source: event.properties.form"),
            Field("proof", Expression("text"), "what proves it", "proof: event.id"),
            Field("expires", Expression("an instant"), "until when it counts", "expires: event.properties.until", "without end"),
        ),
        "event: Consent Changed\nstatus: event.properties.status\npurpose: event.properties.purpose\n",
    ),
    Shape(
        "contact_cap", "A cap for all journeys", "At most so many actions with this kind, purpose and channel.",
        (
            *CAP,
            Field("kind", Text("kind"), "only actions of this kind", "kind: message", "all"),
            Field("purpose", Text("purpose"), "only actions for this purpose", "purpose: education", "all"),
            Field("channel", Text("channel"), "only actions by this channel", "channel: email", "all"),
        ),
        "count: 3\nwithin: 7d\nchannel: email\n",
        one_of=("within", "per"),
    ),
    Shape(
        "messages", "What became of messages", "Interactions that say of a message that it was delivered, opened or clicked.",
        (
            *(
                Field(name, Many(Of("message_rule")), f"those that say {name}", f"{name}: {{event: Email {name.capitalize()}, action: event.properties.action_id}}")
                for name in ("delivered", "opened", "clicked")
            ),
            Field("kinds", Many(Text("kind")), "the kinds of action that are messages", "kinds: [message, push]", "message"),
        ),
        "opened: {event: Email Opened, action: event.properties.action_id}\n",
    ),
    Shape(
        "message_rule", "A status of a message", "An interaction, and the id of the action that it speaks of.",
        (
            Field("event", EVENTS, "the interaction", "event: Email Opened", needed=True),
            Field("where", Expression(), "only those on which it holds", 'where: "event.properties.bot != true"'),
            Field("action", Expression("the id of an action"), "the id that the action was asked for with", "action: event.properties.action_id", needed=True),
        ),
        "event: Email Opened\naction: event.properties.action_id\n",
    ),
    Shape(
        "suppress", "The suppression list", "Customers who are asked for nothing, whatever the purpose.",
        (
            Field("add", Many(EVENT), "interactions that put the customer on it", "add: [Hard Bounced, Spam Complaint]", needed=True),
            Field("remove", Many(EVENT), "interactions that take the customer off it", "remove: Restored"),
        ),
        "add: [Hard Bounced, Spam Complaint]\nremove: Restored\n",
    ),
    Shape(
        "preferred", "The preferred channel", "What `channel: preferred` of an action becomes.",
        (
            Field("trait", Text("name of a trait"), "the customer's trait that names a channel", "trait: channel", "preferred_channel"),
            Field("otherwise", Text("channel"), "the channel of customers who name none", "otherwise: email", needed=True),
            Field("among", Many(Text("channel")), "the channels there are", "among: [email, push]", needed=True),
        ),
        "trait: preferred_channel\notherwise: email\namong: [email, push]\n",
    ),
    Shape(
        "examples", "examples.yaml", "What the author promises; `rumbo test` runs it on a virtual clock.",
        (
            Field("world", Of("world"), "what is so in every example", "world: {start: 2026-01-01T12:00:00Z}"),
            Field("examples", Many(Of("example")), "the promises", "examples: [{name: nothing comes of nothing, given: [], then: []}]"),
        ),
        "world: {start: 2026-01-01T12:00:00Z}\nexamples:\n  - name: a new account is welcomed\n    given: [{event: Account Created}]\n    then: [{action: welcome}]\n",
    ),
    Shape(
        "world", "A world", "When it begins, and who lives in it.",
        (
            Field("start", Text("instant"), "the instant that offsets count from", "start: 2026-01-01T12:00:00+01:00", "2026-01-01T00:00:00Z"),
            Field("customer", Of("customer"), "the one customer", "customer: {zone: Europe/Madrid}"),
        ),
        "start: 2026-01-01T12:00:00+01:00\ncustomer: {traits: {plan: pro}, zone: Europe/Madrid}\n",
    ),
    Shape(
        "customer", "A customer", "Who the example is about.",
        (
            Field("id", Text("id"), "the customer's id", "id: u_42", "example"),
            Field("traits", Named(Anything(), "trait"), "traits said before the world begins", "traits: {plan: pro}"),
            Field("zone", Text("time zone"), "the trait `zone`", "zone: Europe/Madrid"),
            Field("consent", Named(_STATUS, "purpose"), "consents said before the world begins", "consent: {education: granted}"),
            Field("suppressed", Flag(), "whether the customer is on the suppression list", "suppressed: true", "false"),
        ),
        "traits: {plan: pro}\nconsent: {education: granted}\n",
    ),
    Shape(
        "example", "An example", "What happens, and what must come of it: complete for actions and suppressions; of the other kinds only those are compared that the example names one of.",
        (
            Field("name", Text("sentence"), "what it promises", "name: tried on day 13, no nudge", needed=True),
            Field("world", Of("world"), "what is otherwise here", "world: {customer: {traits: {plan: free}}}"),
            Field("given", Many(Of("given")), "what happens", "given: [{event: Account Created}]"),
            Field("then", Many(Of("then")), "what must come of it; `[]` for nothing", "then: [{after: 14d, action: nudge}]", needed=True),
            Field("until", Length(), "how long the world goes on", "until: 30d", "the last offset"),
        ),
        "name: tried on day 13, no nudge\ngiven: [{event: Account Created}, {after: 13d, event: Report Exported}]\nuntil: 30d\nthen: []\n",
    ),
    Shape(
        "given", "Something that happens", "One interaction.",
        (
            Field("after", Length(), "offset from the world's start", "after: 13d", "0s"),
            Field("late", Length(), "how long after it happened it arrives", "late: 2d", "0s"),
            Field("event", Text("name of an event"), "its name", "event: Report Exported", needed=True),
            Field("properties", Named(Anything(), "field"), "what it says of itself", "properties: {total: 12.5}"),
            Field("context", Named(Anything(), "field"), "where it happened", "context: {campaign: {name: A}}"),
            Field("traits", Named(Anything(), "trait"), "what it says of the customer", "traits: {plan: pro}"),
            Field("id", Text("id"), "its id; the same twice is a repeat", "id: e1", "one of its own"),
            Field("account", Text("id"), "the account", "account: acme"),
            Field("customer", Text("id"), "who it happens to", "customer: ana", "the customer of the world"),
        ),
        "after: 1d\nevent: Order Completed\nproperties: {total: 12.5}\n",
    ),
    Shape(
        "then", "Something that comes of it", "One decision.",
        (
            Field("after", Length(), "offset from the world's start", "after: 14d", "0s"),
            *(
                Field(name, Text("name"), meaning, f"{name}: {example}")
                for name, meaning, example in (
                    ("stage", "a stage entered", "adoption"), ("action", "an action asked for, by its trigger", "welcome"),
                    ("suppressed", "an action held back, by its trigger", "win_back"), ("score", "a score that changed its band", "engagement"),
                    ("stuck", "the stage that the customer is stuck in", "onboarding"), ("unstable", "the stage in which a move was held", "onboarding"),
                    ("suggested", "the stage that the rules suggest", "onboarding"), ("segment", "a segment entered or left", "active"),
                    ("flow", "a flow that began or ended", "cart"), ("retracted", "a decision withdrawn by a late event: what it was called here", "win_back"),
                    ("quarantined", "a scanner's click that is not counted, by its event", "Email Link Clicked"),
                    ("account_stage", "a stage that an account comes to; `none`: none of its contacts counts any more", "decision"),
                    ("account_score", "a score of an account that is another one", "engagement"),
                )
            ),
            Field("gate", Text("gate"), "with `suppressed`: the gate that said no", "gate: cooldown", "any"),
            Field("band", Text("band"), "with `score`: the band it is in now", "band: mql", "any"),
            Field("change", Choice(("entered", "left", "completed")), "with `segment` or `flow`: which of them", "change: left", "any"),
            Field("customer", Text("id"), "whose it is", "customer: ana", "any"),
            Field("account", Text("id"), "with `account_stage` and `account_score`: of which account", "account: acme", "any"),
        ),
        "after: 14d\nsuppressed: feature_not_used\ngate: cooldown\n",
        one_of=("stage", "action", "suppressed", "score", "stuck", "unstable", "suggested", "segment", "flow", "retracted", "quarantined", "account_stage", "account_score"),
    ),
    Shape(
        "plan", "A declared tracking plan", "What producers have promised to send (`plan:` of a topology; `rumbo plan TOPOLOGY --yaml` writes one).",
        (
            Field(
                "events", Named(Either((Nothing(), Named(Choice(("string", "number", "boolean", "array", "object", "any")), "field"))), "event"),
                "events with their fields (`properties.…`, `context.…`, `traits.…`) and types", "events: {Order Completed: {properties.total: number}}",
            ),
            Field("traits", Named(Choice(("string", "number", "boolean", "array", "object", "any")), "trait"), "traits of the customer and their types", "traits: {plan: string}"),
        ),
        "events:\n  Order Completed: {properties.total: number, context.campaign.name: string}\n  Signed Up: {}\ntraits: {plan: string}\n",
    ),
)  # fmt: skip
