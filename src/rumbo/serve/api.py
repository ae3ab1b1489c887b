"""The customer view over HTTP: `/v1/...`, and the page that shows it. It reads what the worker has, asks the owner for what it has not, and says no in problem documents.

Every request costs a few reads of one customer's rows, or a sum over stages: never a walk over customers.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from time import monotonic
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from rumbo import __version__
from rumbo.config import Settings
from rumbo.core import tally as counts
from rumbo.core.account import Account
from rumbo.core.definition import Journey
from rumbo.core.instant import isoformat
from rumbo.core.tally import Tally, funnel
from rumbo.local.view import account_view, profile_view
from rumbo.observe.guard import ProblemError, asks
from rumbo.serve import page
from rumbo.serve.drawing import direction, drawing
from rumbo.serve.model import (
    AccountDecisions,
    Decisions,
    Flow,
    Funnel,
    Journeys,
    Moves,
    Status,
    Timeline,
    TimelineEntry,
)
from rumbo.serve.openapi import ID_LENGTH
from rumbo.serve.peers import HOPS, Answer, Peers
from rumbo.serve.retracted import retracted
from rumbo.serve.state import Entry, Owner, State, WorkerStatus
from rumbo.serve.stream import Stream
from rumbo.serve.whynot import Asking, Question

RETRY_SECONDS: Final = 1
FRESH_SECONDS: Final = 1.0
"""For so long an answer that had to be asked of every worker is good: many pages that look on ask once."""
_JSON: Final = "application/json"
_encode: Final = msgspec.json.Encoder().encode
Found = TypeVar("Found")


class Share(msgspec.Struct, array_like=True, frozen=True):
    """What one worker tells another of its part: its partitions and their tally."""

    partitions: tuple[int, ...]
    tally: Tally


_share: Final = msgspec.msgpack.Decoder(Share).decode
_question: Final = msgspec.json.Decoder(Question).decode
_status: Final = msgspec.json.Decoder(Status).decode


class Api:
    """The routes of one worker."""

    def __init__(self, state: State, settings: Settings) -> None:
        self._state, self._peers = state, Peers(settings)
        self._journeys = {journey.id: journey for journey in state.topology.journeys}
        self._drawings = Journeys(
            state.topology.name, tuple(drawing(each, state.topology.accounts) for each in state.topology.journeys)
        )
        self._stream, self._asking = Stream(state, self._peers), Asking(state.topology)
        self._fresh: dict[str, tuple[float, Any, Any]] = {}

    def routes(self) -> Iterable[web.RouteDef]:
        """Every route, for the worker's server."""
        return (
            web.get("/v1/customers/{id}", self.customer),
            web.get("/v1/customers/{id}/timeline", self.timeline),
            web.get("/v1/customers/{id}/decisions", self.decisions),
            web.post("/v1/customers/{id}/why-not", self.why_not),
            web.get("/v1/accounts/{id}", self.account),
            web.get("/v1/accounts/{id}/decisions", self.account_decisions),
            web.get("/v1/stream", self._stream.serve),
            web.get("/v1/journeys", self.journeys),
            web.get("/v1/journeys/{journey}/funnel", self.funnel),
            web.get("/v1/journeys/{journey}/moves", self.moves),
            web.get("/v1/status", self.status),
            web.get("/v1/share", self.share),
            *page.routes(),
        )

    async def close(self) -> None:
        """Let go of what was opened, and of those who listen. Before the server stops, which would wait for them."""
        self._stream.close()
        await self._peers.close()

    # One customer -----------------------------------------------------------------------------------------------------

    async def customer(self, request: web.Request) -> web.Response:
        """Everything known about one customer."""
        return await self._owned(request, self._customer)

    async def timeline(self, request: web.Request) -> web.Response:
        """What happened to one customer, with the decisions that came of it."""
        return await self._owned(request, self._timeline)

    async def decisions(self, request: web.Request) -> web.Response:
        """What was decided for one customer, with the reasons."""
        return await self._owned(request, self._decisions)

    @asks
    async def why_not(self, request: web.Request) -> web.Response:
        """Why a trigger does not act, or a flow does not begin, for a customer as things stand."""
        try:
            question = _question(await request.read())
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ProblemError(
                400, "Not a question", f'{error}; for example {{"trigger": "welcome"}} or {{"flow": "cart"}}'
            ) from None
        return await self._owned(request, lambda customer: self._silence(customer, question))

    def _silence(self, customer: str, question: Question) -> Any:
        found = self._state.customer(customer)
        if found is None:
            raise _unknown(customer)
        try:
            return self._asking.answer(found, self._state.journal(customer), question)
        except LookupError as error:
            kind = "trigger" if question.flow is msgspec.UNSET else "flow"
            raise ProblemError(HTTPStatus.NOT_FOUND, f"No such {kind}", str(error.args[0])) from None

    async def _owned(self, request: web.Request, answer: Callable[[str], Any]) -> web.Response:
        """Answer here, or hand on to the worker that has the customer; 503 where nobody has them now."""
        customer = customer_id(request.match_info["id"])
        return await self._answered(request, self._state.owner(customer), "customer", lambda: answer(customer))

    async def _answered(self, request: web.Request, owner: Owner, what: str, answer: Callable[[], Any]) -> web.Response:
        """Answer here, or hand on to the worker that has it."""
        if owner.here:
            return _json(answer())
        if owner.url is None:
            raise _later(owner.why)
        if request.headers.get(HOPS):
            raise _later(f"the worker that asked thinks that this one has the {what}, and it has not")
        body = await request.read()
        said = await self._peers.ask(owner.url, request.method, request.rel_url.raw_path_qs, body or None)
        if said is None:
            raise _later(f"the worker that has the {what} does not answer")
        return _passed_on(said)

    # One account ------------------------------------------------------------------------------------------------------

    async def account(self, request: web.Request) -> web.Response:
        """Where an account stands, and its contacts."""
        return await self._owned_account(request, account_view)

    async def account_decisions(self, request: web.Request) -> web.Response:
        """What was decided of an account, with the reasons."""
        return await self._owned_account(request, self._account_decisions)

    async def _owned_account(self, request: web.Request, answer: Callable[[Account], Any]) -> web.Response:
        name = customer_id(request.match_info["id"])
        owner = self._state.account_owner(name)
        if owner is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, "No accounts", "the topology has no `accounts`")

        def answered() -> Any:
            found = self._state.account(name)
            if found is None:
                known = "no contact of this account has counted"
                raise ProblemError(HTTPStatus.NOT_FOUND, "No such account", known, account=name)
            return answer(found)

        return await self._answered(request, owner, "account", answered)

    def _account_decisions(self, account: Account) -> Any:
        entries = self._state.account_journal(account.account)
        told = [msgspec.Raw(each) for entry in entries for each in reversed(entry.decisions)]
        return AccountDecisions(account.account, self._state.topology.journal, told, retracted(entries))

    # One customer's own -----------------------------------------------------------------------------------------------

    def _customer(self, customer: str) -> Any:
        found = self._state.customer(customer)
        if found is None:
            raise _unknown(customer)
        return profile_view(found.profile, self._state.program, found.clock)

    def _timeline(self, customer: str) -> Any:
        entries = self._entries(customer)
        kept = self._state.topology.journal
        return Timeline(customer, kept, [_shown(each) for each in entries], retracted(entries))

    def _decisions(self, customer: str) -> Any:
        entries = self._entries(customer)
        told = [msgspec.Raw(each) for entry in entries for each in reversed(entry.decisions)]
        return Decisions(customer, self._state.topology.journal, told, retracted(entries))

    def _entries(self, customer: str) -> list[Entry]:
        found = self._state.journal(customer)
        if not found and self._state.customer(customer) is None:
            raise _unknown(customer)
        return found

    # All customers ----------------------------------------------------------------------------------------------------

    async def journeys(self, _request: web.Request) -> web.Response:
        """The journeys of the topology as they run."""
        return _json(self._drawings)

    async def funnel(self, request: web.Request) -> web.Response:
        """How many customers are in each stage, and how many got so far."""
        journey = self._journey(request)
        tally, complete = await self._total()
        return _json(Funnel(journey.id, journey.version, tally.customers, funnel(journey, tally), complete))

    async def moves(self, request: web.Request) -> web.Response:
        """How customers moved between the stages."""
        journey = self._journey(request)
        tally, complete = await self._total()
        made = tally.journeys.get(journey.id)
        flows = [
            Flow(origin, target, number, direction(journey, origin, target))
            for origin, targets in (made.moves if made is not None else {}).items()
            for target, number in targets.items()
        ]
        flows.sort(key=lambda flow: (-flow.moves, flow.origin, flow.target))
        return _json(Moves(journey.id, journey.version, flows, complete))

    async def share(self, _request: web.Request) -> web.Response:
        """What this worker has of the sums, for other workers."""
        made = msgspec.msgpack.encode(Share(self._state.status().partitions, self._state.tally()))
        return web.Response(body=made, content_type="application/msgpack")

    async def status(self, request: web.Request) -> web.Response:
        """How the workers are, and their sums."""
        own = self._state.status()
        if request.headers.get(HOPS):
            return _json(self._summed([own]))

        async def ask() -> list[WorkerStatus]:
            return [each for said in await self._others("/v1/status") for each in _status(said.body).workers]

        return _json(self._summed([own, *await self._once("status", ask)]))

    def _summed(self, workers: list[WorkerStatus]) -> Status:
        clocks = [each.clock for each in workers if each.clock is not None]
        return Status(
            topology=self._state.topology.name,
            version=__version__,
            workers=workers,
            interactions=sum(each.interactions for each in workers),
            decisions=sum(each.decisions for each in workers),
            lag_records=sum(each.lag_records for each in workers),
            clock=min(clocks, default=None),
            complete=self._complete(number for each in workers for number in each.partitions),
        )

    async def _total(self) -> tuple[Tally, bool]:
        """The sum over all workers that answer, and whether that is everybody."""

        async def ask() -> list[Share]:
            return [_share(said.body) for said in await self._others("/v1/share")]

        shares = [Share(self._state.status().partitions, self._state.tally()), *await self._once("share", ask)]
        return counts.total(each.tally for each in shares), self._complete(
            number for each in shares for number in each.partitions
        )

    async def _others(self, path: str) -> list[Answer]:
        return await self._peers.all(self._state.peers(), path)

    async def _once(self, name: str, ask: Callable[[], Awaitable[Found]]) -> Found:
        owners = (self._state.status().partitions, dict(self._state.peers()))
        at, then, found = self._fresh.get(name, (0.0, None, None))
        if then != owners or monotonic() - at > FRESH_SECONDS:
            found = await ask()
            self._fresh[name] = (monotonic(), owners, found)
        kept: Found = found
        return kept

    def _complete(self, numbers: Iterable[int]) -> bool:
        return len(set(numbers)) == self._state.partitions

    def _journey(self, request: web.Request) -> Journey:
        name = request.match_info["journey"]
        if name not in self._journeys:
            known = ", ".join(sorted(self._journeys))
            raise ProblemError(HTTPStatus.NOT_FOUND, "No such journey", f"the topology has {known or 'none'}")
        return self._journeys[name]


def customer_id(text: str) -> str:
    """The id as asked for. Raises ProblemError for one that no customer can have."""
    if not text or len(text) > ID_LENGTH:
        raise ProblemError(400, "Not an id", f"an id has 1 to {ID_LENGTH} characters, this one has {len(text)}")
    if any(unicodedata.category(each) in {"Cc", "Cs"} for each in text):
        raise ProblemError(400, "Not an id", "an id holds no control characters")
    return text


def _unknown(customer: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.NOT_FOUND, "No such customer", "nothing is known about this customer", customer=customer
    )


def _later(why: str) -> ProblemError:
    return ProblemError(503, "Not now", f"{why}; try again in a moment", retry_after=RETRY_SECONDS)


def _shown(entry: Entry) -> TimelineEntry:
    return TimelineEntry(
        at=isoformat(entry.at), name=entry.name, id=entry.id, topic=entry.topic, partition=entry.partition,
        offset=entry.offset, decisions=[msgspec.Raw(each) for each in entry.decisions], more=entry.more,
    )  # fmt: skip


def _json(answer: Any) -> web.Response:
    return web.Response(body=_encode(answer), content_type=_JSON)


def _passed_on(said: Answer) -> web.Response:
    headers = {"Retry-After": said.retry_after} if said.retry_after is not None else {}
    return web.Response(status=said.status, body=said.body, content_type=said.content_type, headers=headers)
