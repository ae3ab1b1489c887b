"""The OpenAPI document says what the API does: its form, its paths, and each answer of a worker to generated requests, good and bad."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from rumbo.serve import page
from rumbo.serve.openapi import document
from tests.packages import OPENAPI, npm_file
from tests.page.browser import Served
from tests.serve.worker import Worker

STREAM = "/v1/stream"  # never ends: test_workers has it
NOT_SAID = {"/v1/share"}  # between workers


def test_the_document_has_the_form_of_the_specification():
    """Checked against the specification's own schema; a wrong key is refused."""
    made = document()
    checker = jsonschema_rs.Draft202012Validator(json.loads(npm_file(OPENAPI, "schemas/v3.1/schema.json")))
    checker.validate(made)
    made["paths"]["/v1/status"]["get"]["respones"] = {}
    assert not checker.is_valid(made)


def test_every_route_is_in_the_document_and_nothing_else(tmp_path):
    worker = Worker(tmp_path)
    with Served(worker):
        routes = {(each.method.lower(), each.path) for each in worker.api.routes()}
    worker.close()
    files = {(each.method.lower(), each.path) for each in page.routes()}
    said = {(method, path) for path, methods in document()["paths"].items() for method in methods}
    assert routes - files - {("get", path) for path in NOT_SAID} == said


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A worker of the topology that the document's examples speak of, with somebody in it."""
    worker = Worker(tmp_path_factory.mktemp("openapi"), "topologies/saas")
    with Served(worker, web_rate=100_000) as made:
        names = (
            "Asset Downloaded",
            "Trial Started",
            "Account Created",
            *["Report Exported"] * 3,
            "Subscription Renewed",
        )
        made.do(worker.hear(*(("u_42", name, at, {"asset": str(at)}) for at, name in enumerate(names))))
        made.do(worker.until(60))
        made.do(worker.hear(("u_43", "Identified", 61, {}, {"role": "champion"}, "u_42")))
        yield made
    worker.close()


SCHEMA = schemathesis.openapi.from_dict(document()).exclude(path=STREAM)


@SCHEMA.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_each_answer_is_as_the_document_says(case, served):
    """Requests made from the document, and such as break it: status, content type and body are as it says, and never a mistake of ours."""
    case.call_and_validate(base_url=served.url)


def test_what_is_known_is_as_the_document_says(served):
    """The answers about somebody, whom generated ids never meet, and the decisions in them by their kinds; a wrong one does not fit."""
    from tests.page.test_page import answer

    made = document()
    checked = []
    for path in (
        "/v1/customers/{id}",
        "/v1/customers/{id}/timeline",
        "/v1/customers/{id}/decisions",
        "/v1/accounts/{id}",
        "/v1/accounts/{id}/decisions",
        "/v1/journeys/{journey}/moves",
    ):
        said = answer(served, path.replace("{id}", "u_42").replace("{journey}", "saas"))
        reference = made["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema_rs.Draft202012Validator({**reference, "components": made["components"]}).validate(said)
        checked.append(said)
    decision = {"$ref": "#/components/schemas/Decision", "components": made["components"]}
    checker = jsonschema_rs.Draft202012Validator(decision)
    kinds = {each["type"] for each in checked[2]["decisions"]}
    assert len(kinds) >= 3
    assert [each["type"] for each in checked[4]["decisions"]] == ["io.rumbo.account.stage.changed.v1"]
    for each in checked[2]["decisions"] + checked[4]["decisions"]:
        checker.validate(each)
        assert not checker.is_valid({**each, "type": "rumbo.nothing.v1"})


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer wrong", "Basic cjpy", "Bearer " + "r" * 31])
def test_without_the_token_no_route_says_anything(tmp_path, token):
    """Every route of the document, and the one between workers: 401 and a problem document; the page's files are open."""
    from tests.page.test_page import got

    path = tmp_path / "tokens"
    path.write_text(f"read {'r' * 32}\n")
    path.chmod(0o600)
    worker = Worker(tmp_path / "state")
    with Served(worker, web_token_file=path, web_rate=100_000) as served:
        for each in [*document()["paths"], *NOT_SAID]:
            asked = each.replace("{id}", "u_42").replace("{journey}", "grocery")
            status, headers, body = got(served, asked, **({"Authorization": token} if token else {}))
            assert (status, json.loads(body)["status"]) == (401, 401), each
            assert headers.get_content_type() == "application/problem+json"
        assert got(served, "/")[0] == 200
    worker.close()


def test_while_a_worker_recovers_no_route_of_a_customer_shows_anything_old(tmp_path):
    """503 with a time to come back; sums say that they are a part."""
    from tests.page.test_page import answer, got

    worker = Worker(tmp_path, "topologies/saas")
    with Served(worker) as served:
        served.do(worker.hear(("u_42", "Account Created", 0)))
        worker.carrier.recovered.clear()
        for path in ("", "/timeline", "/decisions"):
            status, headers, body = got(served, f"/v1/customers/u_42{path}")
            assert (status, headers["Retry-After"], json.loads(body)["retry_after"]) == (503, "1", 1)
        worker.hearing[0].recovered.clear()
        assert got(served, "/v1/accounts/acme")[0] == 503
        assert answer(served, "/v1/status")["workers"][0]["ready"] is False
    worker.close()
