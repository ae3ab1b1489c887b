"""Sessions as authors write them: what they become, and each mistake with its line and cure."""

from __future__ import annotations

from rumbo.core import definition as d
from rumbo.core.instant import MINUTE, SECOND
from rumbo.core.tracking import tracking_plan
from rumbo.topology.friction import KINDS
from tests.topology.test_load import TOPOLOGY, loaded

JOURNEY = """journey: j
version: "1.0"
segments:
  looked: {dwell: 60s, page: ["/pricing*", /plans], in: session}
"""
BARE = 'journey: j\nversion: "1.0"\n'
SESSIONS = """sessions: {event: [Page Viewed, Click], gap: 20m, page: event.context.page.path}
"""


def told(found) -> list[tuple[int, str, str]]:
    return [(each.line, each.message, each.hint) for each in found.problems]


def test_sessions_and_time_on_pages_become_data(tmp_path):
    found = loaded(tmp_path, JOURNEY, TOPOLOGY + SESSIONS)
    assert found.problems == []
    assert found.topology is not None
    events = d.EventTest(("pageviewed", "click"), None, "Page Viewed or Click")
    assert found.topology.derived == d.Derived(d.Sessions(events, 20 * MINUTE, "event.context.page.path"))
    (segment,) = found.topology.journeys[0].segments
    assert segment.when == d.Dwell(60 * SECOND, ("/pricing*", "/plans"), last_session=True)


def test_the_fingerprint_knows_what_is_derived(tmp_path):
    without, with_it = (loaded(tmp_path, BARE, TOPOLOGY + more).topology for more in ("", SESSIONS))
    assert without is not None
    assert with_it is not None
    assert without.fingerprint != with_it.fingerprint


def test_time_on_a_page_needs_sessions(tmp_path):
    ((line, what, cure),) = told(loaded(tmp_path, JOURNEY, TOPOLOGY))
    assert (line, "nothing says what a session is" in what, "sessions: {event: Page Viewed}" in cure) == (4, True, True)


def test_mistakes_are_told_with_their_cure(tmp_path):
    journey = JOURNEY.replace('"/pricing*"', '"/*/x"').replace("in: session", "in: life")
    broken = "sessions: {evnt: Page Viewed, gap: 3d, page: 'event.properties.path +'}\n"
    whats = [what for _, what, _ in told(loaded(tmp_path, journey, TOPOLOGY + broken))]
    for said in ("`evnt` is not known", "`event` is missing", "a gap of 3d makes no sessions", "sessions: `event.properties.path +`", "page '/*/x'", "`in` is 'life'"):  # fmt: skip
        assert [each for each in whats if said in each], (said, whats)


SCANNERS = """scanners: {click: [Email Link Clicked, Email Opened], known: "event.context.userAgent.contains('X')", links: 4, within: 10s, for: 2m}
"""


def test_scanners_become_data(tmp_path):
    found = loaded(tmp_path, BARE, TOPOLOGY + SCANNERS)
    assert found.problems == []
    assert found.topology is not None
    made = found.topology.derived.scanners
    assert made is not None
    assert (made.click.names, made.links) == (("emaillinkclicked", "emailopened"), 4)
    assert (made.after_delivery, made.within, made.length, made.dwell) == (
        3 * SECOND,
        10 * SECOND,
        2 * MINUTE,
        5 * SECOND,
    )
    assert (made.message, made.link, made.honeypot) == ("event.properties.email_id", "event.properties.link_url", None)
    assert made.delivered is not None
    assert made.human is not None


def test_scanners_are_refused_where_late_events_are_put_in_their_place(tmp_path):
    for late in ("late: refold\n", "late: {events: 200}\n"):
        ((line, what, cure),) = told(loaded(tmp_path, BARE, TOPOLOGY + late + SCANNERS))
        assert (line, "`late: refold`" in what, "late: process" in cure) == (TOPOLOGY.count("\n") + 2, True, True)
    assert loaded(tmp_path, BARE, TOPOLOGY + "late: process\n" + SCANNERS).problems == []


def test_mistakes_about_scanners_are_told_with_their_cure(tmp_path):
    broken = "scanners: {clicks: X, known: event.properties, within: 5m, for: 2d, links: 1, message: 'count(1)'}\n"
    whats = [what for _, what, _ in told(loaded(tmp_path, BARE, TOPOLOGY + broken))]
    for said in (
        "`clicks` is not known",
        "`click` is missing",
        "`within` is at most 1m",
        "`for` is at most 1d",
        "`links` must be",
        "scanners: ",
    ):
        assert [each for each in whats if said in each], (said, whats)


ANSWERED = d.EventTest(("surveyanswered",), None, "Survey Answered")


def test_answers_to_surveys_become_data_and_are_in_the_tracking_plan_and_the_fingerprint(tmp_path):
    """One mapping or a list of them; a kind by its word or by an expression."""
    one, more = "answers: {event: Survey Answered, kind: nps}\n", (
        "answers:\n  - {event: Survey Answered, kind: event.properties.kind, survey: \"'onboarding'\",\n"
        "     score: event.properties.rating, comment: event.properties.text}\n  - {event: Rated, where: event.properties.x > 1, kind: csat}\n"
    )  # fmt: skip
    found = [loaded(tmp_path, BARE, TOPOLOGY + each) for each in ("", one, more)]
    assert [each.problems for each in found] == [[], [], []]
    bare, single, several = (each.topology for each in found)
    assert bare is not None
    assert single is not None
    assert several is not None
    assert single.derived.answers == (d.AnswerRule(ANSWERED, "'nps'"),)
    assert several.derived.answers == (
        d.AnswerRule(ANSWERED, "event.properties.kind", "'onboarding'", "event.properties.rating", "event.properties.text"),
        d.AnswerRule(d.EventTest(("rated",), "event.properties.x > 1", "Rated"), "'csat'"),
    )  # fmt: skip
    assert len({each.fingerprint for each in (bare, single, several)}) == 3
    need = {each.event: {one.field: one.types for one in each.fields} for each in tracking_plan((), None, several.derived).events}  # fmt: skip
    fields = {"kind": "string", "rating": "number", "text": "string"}
    assert need["Survey Answered"] == {f"event.properties.{name}": (kind,) for name, kind in fields.items()}


def test_mistakes_in_answers_are_told_with_their_cure(tmp_path):
    """Each on its line, counted from `answers:`."""
    broken = (
        "answers:\n  - {event: Survey Answered, kind: stars}\n  - {kind: nps}\n  - {event: X, survey: onboarding, kind: nps}\n"
        "  - {event: X, kind: nps, score: \"'nine'\", comment: 'event.properties.x +'}\n  - {event: X}\n  - {event: X, kind: csat, sore: a}\n"
    )
    found = told(loaded(tmp_path, BARE, TOPOLOGY + broken))
    expected = [
        (1, "`kind` is 'stars'", "one of nps, csat, ces"),
        (2, "`event` is missing", "name the event"),
        (3, "'onboarding' is a word", "survey: \"'onboarding'\""),
        (4, "`'nine'` gives a string, where a number is needed", "try it"),
        (4, "`event.properties.x +`: the expression ends too early", "try it"),
        (5, "`kind` is missing", "one of nps, csat, ces"),
        (6, "`sore` is not known", "did you mean 'score'?"),
    ]
    assert len(found) == len(expected)
    for (line, what, cure), (at, said, by) in zip(found, expected, strict=True):
        assert (line - TOPOLOGY.count("\n") - 1, said in what, by in cure) == (at, True, True), (what, cure)


def test_friction_becomes_data(tmp_path):
    """Each kind as usual, changed, or off."""
    text = "friction: {rage_click: {event: Click, count: 4, weight: 5}, form_abandoned: {until: [Sent, Left]}, error_page: off, stuck_in_stage: off}\n"
    found = loaded(tmp_path, BARE, TOPOLOGY + text)
    assert found.problems == []
    assert found.topology is not None
    made = found.topology.derived.friction
    assert made is not None
    assert made.stuck is None
    rules = {each.kind: each for each in made.rules}
    assert set(rules) == set(KINDS) - {"error_page"}
    click = rules["rage_click"]
    assert (click.events.names, click.place, click.weight, click.count, click.within) == (
        ("click",), "event.properties.element", 5.0, 4, 2 * SECOND,
    )  # fmt: skip
    assert rules["form_abandoned"].until == d.EventTest(("sent", "left"), None, "Sent or Left")
    assert rules["payment_failure"].weight == KINDS["payment_failure"].weight


def test_mistakes_about_friction_are_told_with_their_cure(tmp_path):
    broken = (
        "friction: {rage_clik: off, form_error: {until: X, count: 1, within: 90d}, payment_failure: {weight: 0, count: 3},"
        " repeated_ticket: {place: 'event.properties.topic +'}, back_and_forth: on, stuck_in_stage: {event: X}}\n"
    )
    told_ = told(loaded(tmp_path, BARE, TOPOLOGY + broken))
    whats = [what for _, what, _ in told_]
    for said in (
        "`rage_clik` is not known",
        "friction.form_error: `until` is not known",
        "`count` must be a whole number from 2 to 8",
        "`within` is at most 30d",
        "friction.payment_failure: `weight` must be above 0",
        "friction.payment_failure: `count` is not known",
        "friction.repeated_ticket: `event.properties.topic +`",
        "friction.back_and_forth must be a mapping of keys",
        "friction.stuck_in_stage: `event` is not known",
    ):
        assert [each for each in whats if said in each], (said, whats)
    assert all(cure for _, _, cure in told_)
