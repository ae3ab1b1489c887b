"""Accounts as authors write them: `accounts:` of a topology, checked against the journey whose stages and scores the contacts have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rumbo.core.account import CONTACTS
from rumbo.core.definition import Accounts, Journey, RollUp, Score
from rumbo.core.interaction import folded
from rumbo.topology.fields import Fields
from rumbo.topology.problem import Notes
from rumbo.topology.words import Words, event_test
from rumbo.topology.yaml import Yaml

KEYS: Final = ("journey", "account", "leave", "role", "roles", "stage", "scores")
ROLES: Final = ("decision maker", "champion")
"""The roles that count where the author says nothing."""
EVERY: Final = "any"
HIGHEST: Final = "highest"
NEEDS: Final = ("stage", "contacts")
ROLL_UP: Final = ("by", "cap", "min_delta")
WAYS: Final = ("max", "sum")
_MOST_ROLES: Final = 32


def accounts(fields: Fields, journeys: Sequence[Journey], names: Sequence[str], notes: Notes) -> Accounts | None:
    """`accounts:` of a topology; problems are noted. `names` are the journeys as they are written, whatever is wrong with them."""
    node = fields.node("accounts")
    if node is None:
        return None
    inner = Fields(node, "accounts", KEYS, notes)
    words, defaults = Words(notes), Accounts("")
    journey = _journey(inner, journeys, names, notes)
    account = inner.text("account", defaults.account) or defaults.account
    if account.isidentifier():
        notes.error(
            inner.at("account"),
            f"accounts: `account` is an expression, and '{account}' is a word",
            f"account: traits.{account} where it is a trait of the customer, else event.properties.{account}",
        )
    else:
        words.expression(account, inner.at("account"), "accounts", wants="dyn", event_only=True)
    leave = inner.node("leave")
    left = event_test(leave, "accounts.leave", words) if leave is not None else None
    role = inner.text("role", defaults.role) or defaults.role
    if not role.isidentifier():
        cure = f"role: {role.removeprefix('traits.')}" if role.startswith("traits.") else "letters, digits and _"
        notes.error(inner.at("role"), f"accounts: '{role}' is no trait's name", cure)
        role = defaults.role
    roles = _roles(inner, notes)
    contacts, needs = _stage(inner, journey, notes)
    scores = tuple(filter(None, (_score(name, body, journey, notes) for name, body in inner.mapping("scores").items())))
    if journey is None:
        return None
    if not journey.stages and not scores:
        notes.error(
            node.line, f"accounts: journey '{journey.id}' has no stages, and no score is rolled up", "scores: {engagement: max}"
        )  # fmt: skip
    return Accounts(journey.id, account, left, role, roles, contacts, needs, scores)


def _journey(fields: Fields, journeys: Sequence[Journey], names: Sequence[str], notes: Notes) -> Journey | None:
    name = fields.text("journey")
    if name is None and fields.has("journey"):
        return None  # said already
    if name is None and len(names) > 1:
        notes.error(fields.line, "accounts: there are several journeys", f"say whose stages: journey: {names[0]}")
        return None
    if name is not None and name not in names:
        notes.unknown(fields.at("journey"), "accounts: journey", name, names)
        return None
    return next((each for each in journeys if name is None or each.id == name), None)


def _roles(fields: Fields, notes: Notes) -> tuple[str, ...]:
    """The roles that count, each once; none for all."""
    if not fields.has("roles"):
        return ROLES
    said = fields.names("roles")
    if not said and not fields.items("roles"):
        notes.error(
            fields.at("roles"), "accounts: `roles` names no role, so no contact would count", f"roles: [{', '.join(ROLES)}]; or roles: {EVERY}"
        )  # fmt: skip
    if said == (EVERY,):
        return ()
    if EVERY in said:
        notes.error(fields.at("roles"), f"accounts: '{EVERY}' stands for every role", f"write roles: {EVERY} alone")
    if len(said) > _MOST_ROLES:
        notes.error(fields.at("roles"), f"accounts: more than {_MOST_ROLES} roles", f"roles: {EVERY} counts everybody")
    found: dict[str, str] = {}
    for each in said:
        found.setdefault(folded(each), each)
    return tuple(found.values())


def _stage(fields: Fields, journey: Journey | None, notes: Notes) -> tuple[int, dict[str, int]]:
    """How many contacts every stage needs, and those that need another number."""
    node = fields.node("stage")
    if node is None or node.value == HIGHEST:
        return 1, {}
    if isinstance(node.value, list):
        return 1, dict(filter(None, (_needs(item, journey, notes) for item in node.value)))
    if isinstance(node.value, dict) and "stage" in node.value:
        found = _needs(node, journey, notes)
        return 1, {found[0]: found[1]} if found is not None else {}
    if not isinstance(node.value, dict):
        notes.error(
            node.line, f"accounts: `stage` is '{node.value}'", f"{HIGHEST}, {{contacts: 2}}, or a list such as [{{stage: decision, contacts: 2}}]"
        )  # fmt: skip
        return 1, {}
    inner = Fields(node, "accounts.stage", ("contacts",), notes)
    if not inner.has("contacts"):
        notes.error(node.line, "accounts.stage: `contacts` is missing", "stage: {contacts: 2}")
    return inner.whole("contacts", 1, least=1, most=CONTACTS), {}


def _needs(node: Yaml, journey: Journey | None, notes: Notes) -> tuple[str, int] | None:
    fields = Fields(node, "accounts.stage", NEEDS, notes)
    name = fields.needed("stage", "the stage that needs so many, for example {stage: decision, contacts: 2}")
    if not fields.has("contacts"):
        notes.error(node.line, "accounts.stage: `contacts` is missing", "how many must be in that stage or beyond")
    needs = fields.whole("contacts", 1, least=1, most=CONTACTS)
    if journey is None or not name:
        return None
    ordered = [stage.name for stage in journey.stages if not stage.side]
    if name not in ordered:
        if any(stage.name == name for stage in journey.stages):
            notes.error(
                fields.at("stage"), f"accounts.stage: '{name}' is a side stage", "an account is in one only where every contact stands beside the order"
            )  # fmt: skip
        else:
            notes.unknown(fields.at("stage"), "accounts.stage: stage", name, ordered)
        return None
    if name == ordered[0] and needs > 1:
        notes.error(
            fields.at("contacts"), f"accounts.stage: '{name}' is the first stage, and whoever counts is there or beyond", "leave it out"
        )  # fmt: skip
    return name, needs


def _score(name: str, node: Yaml, journey: Journey | None, notes: Notes) -> RollUp | None:
    where = f"accounts.scores.{name}"
    by, cap, delta = "max", None, 0.0
    if isinstance(node.value, dict):
        fields = Fields(node, where, ROLL_UP, notes)
        by = fields.choice("by", WAYS, "max")
        cap, delta = fields.number("cap"), fields.number("min_delta", 0.0) or 0.0
        if cap is not None and cap <= 0:
            notes.error(fields.at("cap"), f"{where}: a cap of {cap:g} leaves nothing", "above 0, or no cap at all")
        if delta < 0:
            notes.error(fields.at("min_delta"), f"{where}: `min_delta` is {delta:g}", "0 or more")
    elif node.value in WAYS:
        by = node.value
    else:
        notes.error(node.line, f"{where} is '{node.value}'", f"{' or '.join(WAYS)}, or {{by: sum, cap: 300}}")
    if journey is None:
        return None
    score = next((each for each in journey.scores if each.name == name), None)
    if score is None:
        notes.unknown(node.line, "accounts.scores: score", name, [each.name for each in journey.scores])
        return None
    if not _is_said(score):
        notes.warn(
            node.line, f"{where}: '{name}' has neither bands nor `min_delta`: nothing is ever said of it, so an account hears nothing",
            f"give the score a min_delta in journey '{journey.id}'",
        )  # fmt: skip
    return RollUp(name, by, cap, delta)  # type: ignore[arg-type]  # one of the ways


def _is_said(score: Score) -> bool:
    return bool(score.bands) or score.min_delta is not None
