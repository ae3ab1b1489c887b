"""Fields that came as another type than a rule needs, or outside of a scale: counted by rule and field, once an interaction. It decides nothing.

An expression that meets such a value goes on with *unknown* (`core.expression`), and tells here what it met; a value of the right
type is told to nobody and costs nothing. What a rule needs of a field is what its tracking plan says. How many there can be is
bounded by the definition: rules and their fields, by the few types of JSON.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

from rumbo.core.definition import Accounts, Contact, Derived, Journey
from rumbo.core.expression import Type, is_unknown
from rumbo.core.interaction import Interaction
from rumbo.core.scope import Scope
from rumbo.core.tracking import TYPES, Use, kind_of, uses

Tell = Callable[[Scope, Any], None]
"""Told of a value that may not be what is needed."""

_FITS: Final[dict[str, frozenset[type]]] = {
    "boolean": frozenset({bool}),
    "number": frozenset({int, float}),
    "string": frozenset({str}),
    "array": frozenset({list}),
}


class Mistyped(NamedTuple):
    """A field as a rule met it. `journey` is empty for what is the topology's own; types are named as JSON names them, scales in words."""

    journey: str
    rule: str
    field: str
    needs: str
    came: str

    @property
    def cure(self) -> str:
        """What the author or the producer can do."""
        convert = {("number", "string"): "double", ("string", "number"): "string", ("boolean", "string"): "bool"}
        by = convert.get((self.needs, self.came))
        either = f", or write {by}({self.field})" if by is not None and self.field.startswith("event.") else ""
        return f"let the producer send {_ARTICLES.get(self.needs, self.needs)}{either}"


_ARTICLES: Final = {"boolean": "true or false", "number": "a number", "string": "a text", "array": "a list"}


class Met:
    """What the rules of one topology met since `counts` was last cleared."""

    def __init__(
        self, journeys: Sequence[Journey], contact: Contact, derived: Derived, accounts: Accounts | None = None
    ) -> None:
        self._definition = journeys, contact, derived, accounts
        self.counts: Counter[Mistyped] = Counter()
        self._last: dict[tuple[str, str, str], tuple[str, str]] = {}
        """The interaction in which a rule's field was counted last: one that is read twice counts once."""

    @cached_property
    def _uses(self) -> tuple[dict[str, list[Use]], dict[str, list[Use]]]:
        """By text of the expression, and by trait of the customer: made when they are first asked for."""
        texts: dict[str, list[Use]] = {}
        traits: dict[str, list[Use]] = {}
        for use in uses(*self._definition):
            (texts if use.text else traits).setdefault(use.text or use.trait, []).append(use)
        return texts, traits

    def wants(self, text: str) -> Type:
        """What the place of an expression needs it to give."""
        return next((use.wants for use in self._uses[0].get(text, ())), "dyn")

    def tell(self, journey: str | None, text: str, path: tuple[str, ...], wants: Type) -> Tell | None:
        """Who is told of a field of the interaction that this expression reads; None where any type will do."""
        needs = TYPES.get(wants)
        if needs is None or path[0] != "event":
            return None
        fits, field = _FITS[needs], ".".join(path)

        def tell(scope: Scope, value: Any) -> None:
            event = scope.event
            if event is None or value is None or type(value) in fits or is_unknown(value):
                return
            for use in self._uses[0].get(text, ()):
                if journey in {None, use.journey} and (not use.events or event.key in use.events):
                    self.count(event, Mistyped(use.journey, use.rule, field, needs, kind_of(value)))

        return tell

    def said(self, event: Interaction, trait: str, value: Any) -> None:
        """An interaction says this of the customer."""
        for use in self._uses[1].get(trait, ()):
            needs = TYPES[use.wants]
            if value is not None and type(value) not in _FITS[needs]:
                self.count(event, Mistyped(use.journey, use.rule, f"traits.{trait}", needs, kind_of(value)))

    def count(self, event: Interaction, met: Mistyped) -> None:
        """A rule met this in an interaction."""
        key, this = (met.journey, met.rule, met.field), (event.customer, event.id)
        if self._last.get(key) != this:
            self._last[key] = this
            self.counts[met] += 1
