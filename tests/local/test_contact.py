"""What the whole must do, each promise by its name: topologies as authors write them, histories through `simulate`."""

from __future__ import annotations

import json

from rumbo.core.instant import isoformat, parse_instant
from rumbo.intake import Record
from rumbo.local import Local, simulate
from rumbo.local.explain import explain_decision, explain_silence
from rumbo.local.view import profile_view
from rumbo.topology import Loaded

CONTROL = "rumbo.control.v1"
TOPOLOGY = """
topology: promise
sources: [{topic: web, lateness: 0s}]
journeys: [journey.yaml]
"""


def topology_of(tmp_path, journey: str, more: str = ""):
    (tmp_path / "topology.yaml").write_text(TOPOLOGY + more)
    (tmp_path / "journey.yaml").write_text('journey: j\nversion: "1.0"\n' + journey)
    found = Loaded(tmp_path)
    assert found.problems == []
    assert found.topology is not None
    return found.topology


def track(
    name: str, at: str, *, who: str = "u", key: str | None = None, traits=None, context=None, **properties
) -> Record:
    said = {
        "type": "identify" if traits is not None else "track", "event": name, "userId": who, "messageId": key or f"{name} {at} {who}",
        "timestamp": at, "properties": properties, "traits": traits or {}, "context": context or {},
    }  # fmt: skip
    return Record("web", 0, 0, -1, None, json.dumps(said).encode())


def control(**said) -> Record:
    return Record(CONTROL, 0, 0, -1, None, json.dumps(said).encode())


def decided(topology, records, until: str | None = None) -> list[tuple[str, str]]:
    """(instant, what) of actions and of those that were held back."""
    made = simulate(topology, records, until=parse_instant(until) if until is not None else None)
    found = []
    for each in made:
        if each.kind == "action.requested":
            found.append((isoformat(each.at), each.data.trigger))
        elif each.kind == "action.suppressed":
            found.append((isoformat(each.at), f"{each.data.gate} {each.data.trigger}"))
    return found


def test_acceptance_1_mail_a_brings_image_a_and_mail_b_image_b(tmp_path):
    journey = """
triggers:
  - id: hero
    event: Email Link Clicked
    action:
      {kind: content, image: {by: event.context.campaign.name, cases: {A: image_a, B: image_b}, otherwise: neutral}, purpose: service, expires_after: 1h}
"""
    clicks = [
        track("Email Link Clicked", f"2026-01-01T12:00:0{at}Z", context={"campaign": {"name": name}})
        for at, name in enumerate("ABC")
    ]
    made = list(simulate(topology_of(tmp_path, journey), clicks))
    assert [each.data.params["image"] for each in made] == ["image_a", "image_b", "neutral"]


def test_acceptance_11_cap_and_quiet_hours_across_dst_in_two_zones_and_a_withdrawal(tmp_path):
    """On both sides the morning after the change of clocks is at nine, and the one email a day is the customer's day."""
    contact = """
contact:
  purposes: {education: marketing}
  consent: {event: Consent, status: event.properties.status, purpose: event.properties.purpose}
"""
    journey = """
policies:
  nudge: {purpose: education, expires_after: 3d, quiet_hours: {from: "20:00", to: "09:00"}, caps: [{count: 1, per: day, by: channel}]}
triggers:
  - {id: nudge, event: Report Opened, action: {kind: message, channel: email}, policy: nudge}
"""
    topology = topology_of(tmp_path, journey, contact)
    people = {"m": "Europe/Madrid", "n": "America/New_York"}
    records = [
        track("Identified", "2026-03-01T12:00:00Z", who=who, traits={"zone": zone}) for who, zone in people.items()
    ]
    records += [
        track("Consent", "2026-03-01T13:00:00Z", who=who, status="granted", purpose="education") for who in people
    ]
    records += [
        track("Report Opened", "2026-03-08T04:00:00Z", who="n"),  # 23:00; at 02:00 the clocks go forward
        track("Report Opened", "2026-03-08T20:00:00Z", who="n"),  # 16:00, the second of that day
        track("Report Opened", "2026-03-28T22:30:00Z", who="m"),  # 23:30; at 02:00 the clocks go forward
        track("Report Opened", "2026-03-29T18:00:00Z", who="m"),  # 20:00, quiet again
        track("Report Opened", "2026-10-24T21:30:00Z", who="m"),  # 23:30; at 03:00 the clocks go back
        track("Report Opened", "2026-10-26T21:30:00Z", who="m"),
        track("Consent", "2026-10-26T22:00:00Z", who="m", status="withdrawn", purpose="education"),
    ]
    assert decided(topology, records, until="2026-11-10T00:00:00Z") == [
        ("2026-03-08T04:00:00Z", "quiet_hours nudge"),
        ("2026-03-08T13:00:00Z", "nudge"),
        ("2026-03-08T20:00:00Z", "cap nudge"),
        ("2026-03-28T22:30:00Z", "quiet_hours nudge"),
        ("2026-03-29T07:00:00Z", "nudge"),
        ("2026-03-29T18:00:00Z", "quiet_hours nudge"),
        ("2026-03-30T07:00:00Z", "nudge"),
        ("2026-10-24T21:30:00Z", "quiet_hours nudge"),
        ("2026-10-25T08:00:00Z", "nudge"),
        ("2026-10-26T21:30:00Z", "quiet_hours nudge"),
        ("2026-10-26T22:00:00Z", "consent nudge"),
    ]


def test_a_control_record_withdraws_too(tmp_path):
    journey = """
triggers:
  - {id: news, event: Opened, action: {kind: message, purpose: news, expires_after: 1d}}
"""
    contact = "contact: {purposes: {news: marketing}, consent: {event: Consent, status: granted}}\n"
    said = {"type": "consent", "customer": "u", "purpose": "news"}
    records = [
        control(**said, status="granted", id="1", at="2026-01-01T00:00:00Z"),
        track("Opened", "2026-01-02T00:00:00Z"),
        control(**said, status="withdrawn", id="2", at="2026-01-03T00:00:00Z"),
        track("Opened", "2026-01-04T00:00:00Z"),
        control(type="suppress", customer="u", id="3", at="2026-01-05T00:00:00Z"),
        track("Consent", "2026-01-06T00:00:00Z"),
        track("Opened", "2026-01-07T00:00:00Z"),
    ]
    assert decided(topology_of(tmp_path, journey, contact), records) == [
        ("2026-01-02T00:00:00Z", "news"),
        ("2026-01-04T00:00:00Z", "consent news"),
        ("2026-01-07T00:00:00Z", "suppression_list news"),
    ]


def test_acceptance_10_a_purchase_in_a_wait_of_thirty_days_leaves_at_that_instant(tmp_path):
    """And the reminder that was to come never does."""
    journey = """
flows:
  - id: cart
    enter: {event: Product Added, per: event.properties.cart_id}
    exit: {event: Order Completed}
    steps:
      - wait: {for: 30d}
      - action: {kind: message, template: cart, purpose: service, expires_after: 1d}
"""
    records = [
        track("Order Completed", "2025-12-01T00:00:00Z"),
        track("Product Added", "2026-01-01T00:00:00Z", cart_id="c1"),
        track("Order Completed", "2026-01-20T10:00:00Z"),
        track("Product Added", "2026-02-01T00:00:00Z", cart_id="c2"),
    ]
    made = list(simulate(topology_of(tmp_path, journey), records, until=parse_instant("2026-04-01T00:00:00Z")))
    assert [(isoformat(each.at), getattr(each.data, "reason", each.kind)) for each in made] == [
        ("2026-01-01T00:00:00Z", "entered"),
        ("2026-01-20T10:00:00Z", "exit"),
        ("2026-02-01T00:00:00Z", "entered"),
        ("2026-03-03T00:00:00Z", "action.requested"),
        ("2026-03-03T00:00:00Z", "end"),
    ]
    assert (made[3].data.trigger, made[3].data.flow, made[3].data.step) == ("cart.action_1", "cart", "action_1")


def test_acceptance_3_a_mail_not_opened_after_three_days_is_visible_as_such(tmp_path):
    """As a segment with its instant, in the customer's profile, and as a call to act; opened in time, it is not."""
    contact = """
contact:
  messages:
    delivered: {event: Email Delivered, action: event.properties.action_id}
    opened: {event: Email Opened, action: event.properties.action_id}
"""
    journey = """
segments:
  silent: {message: news, not: opened, for: 3d}
triggers:
  - {id: news, event: Signed Up, action: {kind: message, purpose: service, expires_after: 1d}}
  - {id: call, when: {message: news, not: opened, for: 3d}, action: {kind: crm, purpose: service, expires_after: 1d}}
"""
    topology = topology_of(tmp_path, journey, contact)
    signed = [track("Signed Up", "2026-01-01T00:00:00Z", who=who) for who in ("u", "v")]
    local = Local(topology)
    actions = {each.customer: each.id for record in signed for each in local.send(record)}
    mail = {who: {"who": who, "action_id": action} for who, action in actions.items()}
    rest = [
        track("Email Delivered", "2026-01-01T00:01:00Z", **mail["u"]),
        track("Email Opened", "2026-01-03T00:00:00Z", **mail["v"]),
        track("Email Opened", "2026-01-06T00:00:00Z", **mail["u"]),
    ]
    made = [each for record in rest for each in local.send(record)] + local.until(parse_instant("2026-01-09T00:00:00Z"))
    assert [(isoformat(each.at), each.customer, getattr(each.data, "change", each.kind)) for each in made] == [
        ("2026-01-04T00:00:00Z", "u", "entered"),
        ("2026-01-04T00:00:00Z", "u", "action.requested"),
        ("2026-01-06T00:00:00Z", "u", "left"),
    ]
    seen = profile_view(local.profiles["u"], local.program, 0).messages
    assert [(each.rule, each.delivered, each.opened) for each in seen] == [
        ("j/news", "2026-01-01T00:01:00Z", "2026-01-06T00:00:00Z")
    ]


def test_conditions_about_messages_name_a_rule_and_a_status_that_there_is(tmp_path):
    """Each mistake with its cure."""
    (tmp_path / "topology.yaml").write_text(
        TOPOLOGY + "contact: {messages: {opened: {event: Opened, action: event.properties.id}}}\n"
    )
    (tmp_path / "journey.yaml").write_text("""journey: j
version: "1.0"
policies: {p: {caps: [{count: 1, per: day, count_on: delivered}]}}
segments:
  a: {message: nwes, not: opened, for: 3d}
  b: {message: news, is: clicked}
  c: {message: news}
  d: {message: news, is: opened, for: 3d}
triggers:
  - {id: news, event: Signed Up, action: {kind: message, purpose: service, expires_after: 1d}}
""")
    said = "\n".join(str(each) for each in Loaded(tmp_path).errors)
    for words in ("did you mean 'news'", "nothing says that a message is clicked", "needs `is` or `not`", "`for` goes with `not`", "nothing says that a message is delivered"):  # fmt: skip
        assert words in said, said


def test_why_a_flow_did_not_begin_and_why_a_step_was_held(tmp_path):
    """What calls it, what stands against another instance; a step's own record tells where the customer was."""
    journey = """
policies: {night: {quiet_hours: {from: "20:00", to: "09:00"}}}
flows:
  - id: cart
    enter: {event: Product Added, per: event.properties.cart_id}
    exit: {event: Order Completed}
    steps:
      - wait: {for: 1h}
      - action: {kind: message, template: cart, purpose: service, expires_after: 1d}
        policy: night
      - wait: {for: 2d}
"""
    topology = topology_of(tmp_path, journey)
    records = [
        track("Product Added", "2026-01-01T20:00:00Z", cart_id="c1"),
        track("Product Added", "2026-01-01T20:30:00Z", key="again", cart_id="c1"),
        track("Product Added", "2026-01-01T20:40:00Z", key="unkeyed"),
    ]

    def asked(at: str):
        return explain_silence(topology, "u", "cart", parse_instant(at), lambda: records)

    assert asked("2026-01-01T20:00:00Z").acted is not None
    live = asked("2026-01-01T20:30:00Z").why_not
    assert live is not None
    assert live.differ == ("the instance that began 2026-01-01T20:00:00Z must be over",)
    unkeyed = asked("2026-01-01T20:40:00Z").why_not
    assert unkeyed is not None
    assert unkeyed.differ == ("event.properties.cart_id must be there: it keys the flow",)
    until = parse_instant("2026-01-03T00:00:00Z")
    held, done = [each for each in simulate(topology, records, until=until) if each.kind.startswith("action")]
    told = explain_decision(topology, held.id, lambda: records, until)
    assert told is not None
    assert told.rule == "step cart.action_1"
    assert [each.condition for each in told.tree] == ["in flow cart"]
    released = explain_decision(topology, done.id, lambda: records, until)
    assert released is not None
    assert [each.condition for each in released.tree] == ["held by quiet_hours"]
