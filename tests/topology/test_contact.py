"""Contact and policies as authors write them: what they become, and each mistake with its line and cure."""

from __future__ import annotations

from rumbo.core import definition as d
from rumbo.core.instant import DAY
from rumbo.topology import Loaded
from tests.topology.test_load import TOPOLOGY, loaded

JOURNEY = """journey: j
version: "1.0"
policies:
  nudge:
    purpose: education
    quiet_hours: {from: "20:00", to: "09:00", zone: customer, hold: true}
    caps: [{count: 1, within: 7d}, {count: 3, per: day, by: channel}]
    hold_out: {experiment: nudges, share: 0.1}
triggers:
  - {id: t, event: A, action: {kind: message, channel: preferred, expires_after: 3d}, policy: nudge}
"""
CONTACT = """contact:
  purposes: {education: marketing, help: service}
  consent: {event: Consent, status: event.properties.status, purpose: event.properties.purpose}
  suppress: {add: [Bounced, {event: Complained, where: "event.properties.kind == 'spam'"}], remove: Restored}
  channel: {trait: likes, otherwise: email, among: [email, push]}
  caps: [{count: 2, within: 1d, kind: message}]
  hold_out: {share: 0.05}
"""


def test_a_policy_and_the_contact_become_data(tmp_path):
    found = loaded(tmp_path, JOURNEY, TOPOLOGY + CONTACT)
    assert found.problems == []
    assert found.topology is not None
    (trigger,) = found.topology.journeys[0].triggers
    assert trigger.limits == d.Limits(
        d.QuietHours(72_000, 32_400), (d.Cap(1, 7 * DAY), d.Cap(3, None, "channel")), d.HoldOut("nudges", 0.1)
    )
    contact = found.topology.contact
    assert contact.purposes == {"education": "marketing", "help": "service"}
    assert (len(contact.consent), len(contact.listed), len(contact.unlisted)) == (1, 2, 1)
    assert contact.preferred == d.Preferred("likes", "email", ("email", "push"))
    assert contact.caps == (d.Cap(2, DAY, "all", kind="message"),)
    assert contact.hold_out == d.HoldOut("everything", 0.05)


def test_the_fingerprint_knows_the_contact_and_not_its_absence(tmp_path):
    journey = 'journey: j\nversion: "1.0"\n'
    without, with_it = (
        loaded(tmp_path, journey, TOPOLOGY + more).topology
        for more in ("", "contact: {caps: [{count: 1, per: day}]}\n")
    )
    assert without is not None
    assert with_it is not None
    assert without.fingerprint != with_it.fingerprint
    assert len(without.fingerprint) == 16


MISTAKES = """journey: j
version: "1.0"
policies:
  a: {quiet_hours: {from: "25:00", to: "09:00"}}
  b: {quiet_hours: {from: "09:00", to: "09:00"}}
  c: {quiet_hours: {from: "20:00", to: "09:00", zone: Mars, hold: maybe}}
  e: {caps: [{within: 7d}, {count: 1}, {count: 1, within: 1d, per: day}, {count: 101, per: day}, {count: 1, per: week}]}
  f: {hold_out: {share: 2, experiment: x}}
  g: {hold_out: {share: 0.1}}
triggers:
  - {id: t, event: A, action: {kind: message, purpose: eduction, expires_after: 3d}}
  - {id: u, event: A, action: {kind: message, expires_after: 3d}}
"""
BAD_CONTACT = """contact:
  purposes: {education: marketting}
  consent: {event: Consent, status: "event.propertees.x"}
  suppress: {remove: Restored}
  channel: {otherwise: email}
  caps: [{count: 1, per: day, purpose: edu}]
  hold_out: {share: 1}
"""


def test_each_mistake_has_its_line_and_cure(tmp_path):
    found = loaded(tmp_path, MISTAKES, TOPOLOGY + BAD_CONTACT).errors
    text = "\n".join(str(each) for each in found)
    for line, words in (
        (4, "'25:00' is no time of day"), (5, "same time"), (6, "'Mars' is no time zone"), (6, "true, false or before_expiry"),
        (7, "`count` is missing"), (7, "needs `within` or `per`"), (7, "from 1 to 100"), (7, "`per` is 'week'"),
        (8, "above 0 and below 1"), (9, "`experiment` is missing"), (11, "did you mean 'education'"), (12, "no `purpose`"),
        (5, "one of: marketing, service"), (6, "did you mean `event.properties"), (7, "`add` is missing"), (8, "`among` is missing"),
        (9, "purpose 'edu'"), (10, "above 0 and below 1"),
    ):  # fmt: skip
        assert any(each.line == line and words in str(each) for each in found), (line, words, text)


def test_a_world_says_zone_consent_and_list(tmp_path):
    (tmp_path / "examples.yaml").write_text("""world: {customer: {zone: Europe/Madrid, consent: {education: granted}}}
examples:
  - {name: granted, given: [{event: A}], then: [{action: t}]}
  - {name: denied, world: {customer: {consent: {education: denied}}}, given: [{event: A}], then: [{suppressed: t, gate: consent}]}
  - {name: listed, world: {customer: {suppressed: true}}, given: [{event: A}], then: [{suppressed: t, gate: suppression_list}]}
  - {name: wrong, world: {customer: {zone: Mars, consent: {education: perhaps}}}, given: [{event: A}], then: []}
""")
    found = loaded(
        tmp_path,
        JOURNEY.replace("    hold_out: {experiment: nudges, share: 0.1}\n", ""),
        TOPOLOGY + CONTACT.replace("  hold_out: {share: 0.05}\n", ""),
    )
    assert [each.message for each in found.errors] == ["world: 'Mars' is no time zone", "world: consent is 'perhaps'"]
    assert isinstance(found, Loaded)
