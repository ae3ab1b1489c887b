"""What Rumbo writes: CloudEvents that others can read, and schemas that say the truth about them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest

from rumbo.core.decision import Because, Decision, Leaf
from rumbo.core.identity import Identity
from rumbo.core.outputs import ActionRequested
from rumbo.core.profile import Profile
from rumbo.core.retraction import retraction, standing
from rumbo.core.scope import Scope
from rumbo.demo.history import lines
from rumbo.intake import Record
from rumbo.local import Local
from rumbo.output import BECAUSE_LIMIT, Encoder, OutputTopics, schema_name
from rumbo.output.schemas import DATA, documents
from rumbo.serve import openapi
from rumbo.topology import language, load
from tests.packages import ASYNCAPI, npm_file

EVENTS = [
    *(("u", name) for name in ("Demo Requested", "Trial Started")),
    ("v", "Account Created"),
    *(("u", name) for name in ("Subscription Cancelled", "Account Created") * 2),
    *(("u", "Subscription Cancelled"), ("v", "CRM Stage Set"), ("v", "Account Created"), ("v", "Subscription Renewed")),
    *(("w", "Page Viewed"),) * 3,
    ("w", "Email Link Clicked"),
]


@pytest.fixture(scope="module")
def decisions():
    """Real decisions of every kind that the shipped topologies make."""
    made, year = [], list(lines(25))
    for name in ("grocery", "saas", "outreach", "signals"):
        local = Local(load(f"topologies/{name}"))
        for number, value in enumerate(year):
            made += local.send(Record("t", 0, number, -1, None, value))
        hour = 0
        for hour, (who, event) in enumerate(EVENTS):
            call = {
                "type": "track",
                "event": event,
                "userId": who,
                "messageId": str(hour),
                "timestamp": f"2026-01-01T{hour:02}:00:00Z",
                "properties": {"stage": "decision"},
                "context": {"userAgent": "Barracuda", "groupId": "acme"},
                "traits": {"role": "champion"},
            }
            made += local.send(Record("t", 0, 10**6 + hour, -1, None, json.dumps(call).encode()))
        made += local.until(local.latest + 40 * 86_400 * 10**6)
    made.append(withdrawn(made[-1]))
    assert {each.kind for each in made} == set(DATA)
    return made


def withdrawn(decision):
    """What withdraws a decision, on the timer that made it."""
    scope = Scope()
    scope.sees(Profile(decision.customer, clock=decision.at), None, decision.at)
    journey = next(each for each in load("topologies/signals").journeys if each.id == decision.journey)
    return retraction(Identity("signals", journey), scope, standing(decision), "late_event", rule="late event")


def test_schemas_in_the_repository_are_those_of_the_types():
    """`make schemas` was run: a byte comparison."""
    made = documents() | openapi.documents() | language.documents()
    assert {path.name: path.read_bytes() for path in Path("schemas").iterdir()} == made


def test_every_output_fits_its_schema(decisions):
    """Checked by another library than the one that made the schema; a wrong one does not fit."""
    encode = Encoder(OutputTopics()).value
    checkers = {kind: jsonschema_rs.validator_for(json.loads(documents()[schema_name(kind)])) for kind in DATA}
    for decision in decisions:
        event = json.loads(encode(decision))
        checkers[decision.kind].validate(event)
        event["data"].pop("because")
        assert not checkers[decision.kind].is_valid(event)


def test_the_cloudevents_sdk_reads_what_we_write(decisions):
    """Structured, by the field's own library."""
    from cloudevents.core.bindings.kafka import KafkaMessage, from_structured_event
    from cloudevents.core.formats.json import JSONFormat

    encode = Encoder(OutputTopics())
    for decision in decisions[:50]:
        out = encode(decision)
        message = KafkaMessage(headers=dict(out.headers), key=out.key, value=out.value)
        event = from_structured_event(message, JSONFormat())
        assert event.get_id() == decision.id
        assert event.get_subject() == decision.customer
        assert dict(out.headers)["ce_id"].decode() == decision.id


def test_the_asyncapi_document_points_only_at_what_there_is():
    """Every reference resolves, every channel is a topic."""
    made = documents()
    api = json.loads(made["asyncapi.json"])
    assert api["asyncapi"] == "3.0.0"
    messages = api["components"]["messages"]
    assert {each["payload"]["$ref"].removeprefix("./") for each in messages.values()} <= made.keys()
    for channel in api["channels"].values():
        assert channel["address"] in (*OutputTopics().decisions, OutputTopics().accounts)
        assert {each["$ref"].rsplit("/", 1)[1] for each in channel["messages"].values()} <= messages.keys()
    assert {each["channel"]["$ref"].rsplit("/", 1)[1] for each in api["operations"].values()} == api["channels"].keys()


def test_the_asyncapi_document_has_the_form_of_the_specification():
    """Checked against the specification's own schema, by another library than the one that made it; a wrong key is refused."""
    api = json.loads(documents()["asyncapi.json"])
    checker = jsonschema_rs.Draft7Validator(json.loads(npm_file(ASYNCAPI, "schemas/3.0.0.json")))
    checker.validate(api)
    api["channels"]["actions"]["adress"] = "typo"
    assert not checker.is_valid(api)


def test_a_because_is_never_longer_than_four_kilobytes():
    """It is cut from its end, and says so."""
    leaves = tuple(Leaf(f"event.properties.x{at} == 'y'", holds=True, saw={"x": "z" * 900}) for at in range(20))
    data = ActionRequested(
        customer="c", journey="j", version="1", because=Because("rule", conditions=leaves), trigger="t", kind="m"
    )
    event = json.loads(Encoder(OutputTopics()).value(Decision("0" * 64, "action.requested", "c", 0, "j", data)))
    because = event["data"]["because"]
    assert because["truncated"] is True
    assert 1 <= len(because["conditions"]) < 20
    assert len(msgspec.json.encode(because)) <= BECAUSE_LIMIT


def test_modes(decisions):
    """Structured, binary, plain: the same data."""
    one = decisions[0]
    structured, binary, plain = (Encoder(OutputTopics(), mode)(one) for mode in ("structured", "binary", "plain"))
    assert json.loads(structured.value)["data"] == json.loads(binary.value) == json.loads(plain.value)
    assert dict(binary.headers)["content-type"] == b"application/json"
    assert [name for name, _ in plain.headers] == ["content-type"]
