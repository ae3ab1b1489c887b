"""`accounts:` as authors write it: what it becomes, and each mistake with its line and cure."""

from __future__ import annotations

import pytest

from rumbo.core import definition as d
from rumbo.core.tracking import tracking_plan
from tests.topology.test_load import TOPOLOGY, loaded

JOURNEY = """journey: j
version: "1.0"
scores:
  s: {points: [{event: A, points: 5}], bands: [{low: {enter: 3}}]}
  quiet: {points: [{event: A, points: 5}]}
stages:
  - one
  - two: {when: {event: B}}
  - three: {when: {event: C}}
  - gone: {side: true, when: {event: D}, until: {event: B}}
"""


def accounts(folder, text, journey=JOURNEY, topology=TOPOLOGY):
    return loaded(folder, journey, topology + text)


def test_nothing_said_counts_deciders_and_champions_of_the_only_journey(tmp_path):
    found = accounts(tmp_path, "accounts: {}\n")
    assert found.problems == []
    assert found.topology.accounts == d.Accounts("j", roles=("decision maker", "champion"))


def test_everything_said_becomes_data_and_the_tracking_plan_knows_what_it_needs(tmp_path):
    text = """accounts:
  journey: j
  account: event.properties.company
  leave: {event: [Left, Moved], where: "event.properties.why == 'fired'"}
  role: job
  roles: [Buyer, buyer, Sponsor]
  stage: [{stage: two, contacts: 2}, {stage: three, contacts: 3}]
  scores: {s: {by: sum, cap: 30, min_delta: 2}}
"""
    found = accounts(tmp_path, text)
    assert found.problems == []
    leave = d.EventTest(("left", "moved"), "event.properties.why == 'fired'", "Left or Moved")
    assert found.topology.accounts == d.Accounts(
        "j", "event.properties.company", leave, "job", ("Buyer", "Sponsor"), 1, {"two": 2, "three": 3}, (d.RollUp("s", "sum", 30.0, 2.0),)
    )  # fmt: skip
    plan = tracking_plan((), accounts=found.topology.accounts)
    assert [(each.event, [one.field for one in each.fields]) for each in plan.events] == [
        ("Left", ["event.properties.why"]), ("Moved", ["event.properties.why"]), ("*", ["event.properties.company"]),
    ]  # fmt: skip
    assert [each.field for each in plan.traits] == ["traits.job"]


def test_a_threshold_for_all_stages_one_stage_alone_and_every_contact(tmp_path):
    both = accounts(tmp_path, "accounts: {stage: {contacts: 2}, roles: any}\n").topology.accounts
    assert (both.contacts, both.needs, both.roles) == (2, {}, ())
    one = accounts(tmp_path, "accounts: {stage: {stage: two, contacts: 4}}\n").topology.accounts
    assert (one.contacts, one.needs) == (1, {"two": 4})
    assert accounts(tmp_path, "accounts: {stage: highest, scores: {s: max}}\n").topology.accounts.scores == (
        d.RollUp("s"),
    )


def test_the_fingerprint_knows_the_accounts_and_not_their_absence(tmp_path):
    said = {
        accounts(tmp_path, text).topology.fingerprint for text in ("", "accounts: {}\n", "accounts: {roles: any}\n")
    }
    assert len(said) == 3


MISTAKES = [
    ("journey: k", "journey 'k' is not defined", "j"),
    ("journey: 7", "`journey` must be text", "quotes"),
    ("account: company", "'company' is a word", "account: traits.company"),
    ("account: 'event.proprties.x'", "event.proprties.x", ""),
    ("account: 'count('", "`count(`", ""),
    ("leave: {where: event.properties.x}", "`event` is missing", "name the event"),
    ("role: traits.job", "'traits.job' is no trait's name", "role: job"),
    ("role: my role", "'my role' is no trait's name", "letters"),
    ("roles: []", "names no role", "roles: any"),
    ("roles: [any, champion]", "stands for every role", "alone"),
    ("roles: [7]", "must be text", "quotes"),
    ("stage: lowest", "`stage` is 'lowest'", "highest"),
    ("stage: {contact: 2}", "`contact` is not known", "contacts"),
    ("stage: {contacts: 0}", "whole number from 1 to 256", ""),
    ("stage: [{stage: too, contacts: 2}]", "stage 'too' is not defined", "did you mean 'two'?"),
    ("stage: [{stage: gone, contacts: 2}]", "'gone' is a side stage", "every contact"),
    ("stage: [{stage: one, contacts: 2}]", "'one' is the first stage", "leave it out"),
    ("stage: [{stage: two}]", "`contacts` is missing", "how many"),
    ("scores: {t: max}", "score 't' is not defined", "known: s, quiet"),
    ("scores: {s: average}", "accounts.scores.s is 'average'", "max or sum"),
    ("scores: {s: {by: mean}}", "`by` is 'mean'", "one of: max, sum"),
    ("scores: {s: {cap: -1}}", "a cap of -1 leaves nothing", "above 0"),
    ("scores: {s: {min_delta: -1}}", "`min_delta` is -1", "0 or more"),
    ("scores: {quiet: max}", "has neither bands nor `min_delta`", "give the score a min_delta"),
    ("rolls: any", "`rolls` is not known", "did you mean 'roles'?"),
]


@pytest.mark.parametrize(("text", "said", "cure"), MISTAKES, ids=[text for text, _, _ in MISTAKES])
def test_each_mistake_is_found_at_its_line_with_a_cure(tmp_path, text, said, cure):
    found = accounts(tmp_path, f"accounts:\n  {text}\n")
    line = len(TOPOLOGY.splitlines()) + 2
    assert {each.line for each in found.problems} == {line}
    assert said in found.problems[0].message
    assert cure in found.problems[0].hint
    assert (
        len({each.message for each in found.problems}) == len(found.problems) <= 2
    )  # a wrong key may leave the right one missing


def test_of_several_journeys_one_must_be_named_and_one_without_stages_gives_scores_alone(tmp_path):
    several = TOPOLOGY.replace("[journey.yaml]", "[journey.yaml, other.yaml]")
    (tmp_path / "other.yaml").write_text(
        'journey: other\nversion: "1.0"\nscores: {s: {points: [{event: A, points: 1}], min_delta: 1}}\n'
    )
    (problem,) = accounts(tmp_path, "accounts: {}\n", topology=several).problems
    assert (problem.message, problem.hint) == ("accounts: there are several journeys", "say whose stages: journey: j")
    (problem,) = accounts(tmp_path, "accounts: {journey: other}\n", topology=several).problems
    assert "has no stages, and no score is rolled up" in problem.message
    assert accounts(tmp_path, "accounts: {journey: other, scores: {s: sum}}\n", topology=several).problems == []


def test_examples_name_customers_and_accounts_and_a_stage_of_nobody(tmp_path):
    (tmp_path / "examples.yaml").write_text("""examples:
  - name: two contacts
    given: [{event: B, customer: ana, account: acme, traits: {role: champion}}, {after: 1h, event: B, customer: ben}]
    then:
      - {stage: two, customer: ana}
      - {after: 1h, stage: two, customer: ben}
      - {account_stage: two, account: acme}
  - name: mistaken
    given: []
    then: [{account_stage: too}, {account_score: t}, {stage: two, account: acme}, {account_stage: none, customer: ana}]
""")
    found = accounts(tmp_path, "accounts: {}\n")
    assert [(each.line, each.message.rpartition(": ")[2]) for each in found.problems] == [
        (10, "account_score 't' is not defined"),
        (10, "account_stage 'too' is not defined"),
        (10, "account_stage is of an account"),
        (10, "stage is of a customer"),
    ]  # fmt: skip
