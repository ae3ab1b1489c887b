"""The HTTP API as an OpenAPI 3.1 document, made from the structs that it answers with. It serves nothing and reads nothing.

Not in it: the page's files, and `/v1/share`, which workers tell each other and nobody else should build on.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from rumbo import __version__
from rumbo.core.decision import Kind
from rumbo.local.view import AccountView, CustomerView
from rumbo.output.cloudevents import event_type
from rumbo.output.schemas import DATA, envelope
from rumbo.serve.model import AccountDecisions, Decisions, Funnel, Journeys, Moves, Problem, Status, Timeline
from rumbo.serve.whynot import Question, Silence

NAME: Final = "openapi.json"
ID_LENGTH: Final = 256
_REF: Final = "#/components/schemas/{name}"
_JSON: Final = "application/json"
_PROBLEM: Final = "application/problem+json"
_PROBLEMS: Final = {
    400: "The request is wrong; the detail says where.",
    401: "A token is needed, or this one is not known.",
    403: "The token may not do this; or without a token, another site or another machine asks.",
    404: "There is no such thing.",
    413: "The body is too long.",
    429: "Asked too often; `Retry-After` says when to come back.",
    503: "Not now (a partition is being recovered or moved, its worker is away); `Retry-After` says when to come back.",
    504: "The worker did not answer in time.",
}
_EVERYWHERE: Final = (400, 401, 403, 429, 504)
_CUSTOMER: Final = {
    "name": "id", "in": "path", "required": True, "example": "u_42",
    "description": "The customer's id, percent-encoded (`/` as `%2F`). No control characters.",
    "schema": {"type": "string", "minLength": 1, "maxLength": ID_LENGTH, "pattern": "^[^\\x00-\\x1f\\x7f-\\x9f]+$"},
}  # fmt: skip
_JOURNEY: Final = {
    "name": "journey", "in": "path", "required": True, "example": "saas",
    "description": "A journey of the topology.", "schema": {"type": "string", "minLength": 1},
}  # fmt: skip


_ACCOUNT: Final = _CUSTOMER | {
    "example": "acme",
    "description": "The account's id, percent-encoded. No control characters.",
}


class Route(NamedTuple):
    """One operation: where, what it is for, what it answers with and what else it may say."""

    method: str
    path: str
    name: str
    summary: str
    answer: type | None
    problems: tuple[int, ...] = ()
    body: type | None = None
    parameter: dict[str, Any] | None = None


_ONE: Final = (404, 503)
ROUTES: Final = (
    Route("get", "/v1/customers/{id}", "customer", "Everything known about one customer", CustomerView, _ONE, None, _CUSTOMER),
    Route("get", "/v1/customers/{id}/timeline", "timeline", "What happened to one customer, with the decisions that came of it", Timeline, _ONE, None, _CUSTOMER),
    Route("get", "/v1/customers/{id}/decisions", "decisions", "What was decided for one customer, with the reasons", Decisions, _ONE, None, _CUSTOMER),
    Route("post", "/v1/customers/{id}/why-not", "whyNot", "Why a trigger does not act, or a flow does not begin, for a customer as things stand", Silence, (*_ONE, 413), Question, _CUSTOMER),
    Route("get", "/v1/accounts/{id}", "account", "Where an account stands, and the contacts that count", AccountView, _ONE, None, _ACCOUNT),
    Route("get", "/v1/accounts/{id}/decisions", "accountDecisions", "What was decided of an account, with the reasons", AccountDecisions, _ONE, None, _ACCOUNT),
    Route("get", "/v1/journeys", "journeys", "The journeys of the topology as they run", Journeys),
    Route("get", "/v1/journeys/{journey}/funnel", "funnel", "How many customers are in each stage, and how many got so far", Funnel, (404,), None, _JOURNEY),
    Route("get", "/v1/journeys/{journey}/moves", "moves", "How customers moved between the stages", Moves, (404,), None, _JOURNEY),
    Route("get", "/v1/status", "status", "How the workers are, and their sums", Status),
    Route("get", "/v1/stream", "stream", "The actions as they are committed, of all workers, as server-sent events", None, (503,)),
)  # fmt: skip


def document() -> dict[str, Any]:
    """The document."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rumbo",
            "version": __version__,
            "summary": "The customer view: stages, scores, timelines and reasons, read from the workers' committed state.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:6066"}],
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Needed where `WEB_TOKEN_FILE` is set."}
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    made: dict[str, Any] = {"operationId": route.name, "summary": route.summary}
    if route.parameter is not None:
        made["parameters"] = [route.parameter]
    if route.body is not None:
        content = {"schema": _ref(route.body), "example": {"trigger": "welcome"}}
        made["requestBody"] = {"required": True, "content": {_JSON: content}}
    said = {_JSON: {"schema": _ref(route.answer)}} if route.answer is not None else {"text/event-stream": _EVENTS}
    made["responses"] = {"200": {"description": "The answer.", "content": said}} | {
        str(status): _refusal(status) for status in sorted({*_EVERYWHERE, *route.problems})
    }
    return made


_EVENTS: Final = {
    "schema": {
        "type": "string",
        "description": "`event: action` with a CloudEvent (see Decision) as `data`; `event: missed` with how many were not kept "
        "for one who reads too slowly; a comment every ten seconds.",
    }
}


def _refusal(status: int) -> dict[str, Any]:
    made: dict[str, Any] = {"description": _PROBLEMS[status], "content": {_PROBLEM: {"schema": _ref(Problem)}}}
    if status in {429, 503}:
        seconds = {"type": "integer", "minimum": 0}
        made["headers"] = {"Retry-After": {"description": "Seconds.", "schema": seconds}}
    return made


def _ref(of: type) -> dict[str, str]:
    return {"$ref": _REF.format(name=of.__name__)}


def _schemas() -> dict[str, Any]:
    answers = [each for route in ROUTES for each in (route.answer, route.body) if each is not None]
    _, made = msgspec.json.schema_components([*answers, Problem, *DATA.values()], ref_template=_REF)
    kinds: list[Kind] = list(DATA)
    made["Decision"] = {
        "title": "Decision",
        "description": "A decision as it was written to its topic: a CloudEvent in JSON.",
        "oneOf": [{"title": event_type(kind), **envelope(kind, _ref(DATA[kind]))} for kind in kinds],
    }
    made["Question"]["oneOf"] = [{"required": ["trigger"]}, {"required": ["flow"]}]
    decision = {"$ref": _REF.format(name="Decision")}
    made["Timeline"]["properties"]["kept"]["minimum"] = 0
    for owner in ("TimelineEntry", "Decisions", "AccountDecisions"):
        made[owner]["properties"]["decisions"]["items"] = decision
    return dict(sorted(made.items()))


def documents() -> dict[str, bytes]:
    """The document, by its file name."""
    return {NAME: msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"}
