"""Reading one mapping of a definition: each field by its type, unknown keys refused with the nearest known one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rumbo.core.instant import Duration, parse_duration
from rumbo.topology.problem import Notes
from rumbo.topology.yaml import Yaml, plain


class Fields:
    """A mapping being read. Every reader notes a problem and gives None (or the default) where a value cannot be meant."""

    def __init__(self, node: Yaml, where: str, known: Iterable[str], notes: Notes) -> None:
        self.where, self.line, self._notes = where, node.line, notes
        self._known = tuple(known)
        if not isinstance(node.value, dict):
            notes.error(
                node.line, f"{where} must be a mapping of keys, not {kind(node)}", f"keys: {', '.join(self._known[:8])}"
            )
            self._found: dict[str, Yaml] = {}
            return
        self._found = node.value
        for key in node.value:
            if key not in self._known:
                notes.error(node.keys[key], f"{where}: `{key}` is not known", notes.meant(key, self._known))

    def has(self, key: str) -> bool:
        """Whether the key is there (and known)."""
        return key in self._found and key in self._known

    def node(self, key: str) -> Yaml | None:
        """The raw value."""
        return self._found.get(key)

    def at(self, key: str) -> int:
        """The line of a key, or of the mapping."""
        found = self._found.get(key)
        return found.line if found is not None else self.line

    def text(self, key: str, default: str | None = None) -> str | None:
        """Text."""
        found: str | None = self._typed(key, str, "text", default, "put it in quotes")
        return found

    def needed(self, key: str, what: str = "") -> str:
        """Text that must be there."""
        if key not in self._found:
            self._notes.error(self.line, f"{self.where}: `{key}` is missing", what)
            return ""
        return self.text(key) or ""

    def number(self, key: str, default: float | None = None) -> float | None:
        """A number."""
        found = self._found.get(key)
        if found is None:
            return default
        if isinstance(found.value, bool) or not isinstance(found.value, int | float):
            self._notes.error(
                found.line, f"{self.where}: `{key}` must be a number, not {kind(found)}", "write it without quotes"
            )
            return default
        return float(found.value)

    def whole(self, key: str, default: int, *, least: int = 1, most: int = 1_000_000) -> int:
        """A whole number within bounds."""
        found = self._found.get(key)
        if found is None:
            return default
        value = found.value
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self._notes.error(
                found.line,
                f"{self.where}: `{key}` must be a whole number from {least} to {most}",
                "write it without quotes and without a fraction",
            )
            return default
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        return bool(self._typed(key, bool, "true or false", default, ""))

    def length(self, key: str, default: Duration | None = None, *, zero: bool = False) -> Duration | None:
        """A length of time such as `14d`, in microseconds."""
        found = self._found.get(key)
        if found is None:
            return default
        try:
            length = parse_duration(str(found.value))
        except ValueError as error:
            self._notes.error(found.line, f"{self.where}: `{key}`: {error}", "a number and a unit, and no space")
            return default
        if length == 0 and not zero:
            self._notes.error(
                found.line,
                f"{self.where}: `{key}` must be longer than nothing",
                "for example 1d; leave it out for none",
            )
            return default
        return length

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        """One of a few words."""
        found = self.text(key, default)
        if found not in choices:
            self._notes.error(self.at(key), f"{self.where}: `{key}` is '{found}'", f"one of: {', '.join(choices)}")
            return default
        return found

    def items(self, key: str) -> list[Yaml]:
        """A list; one value alone is a list of one."""
        found = self._found.get(key)
        if found is None or found.value is None:
            return []
        return found.value if isinstance(found.value, list) else [found]

    def names(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        found = []
        for item in self.items(key):
            if isinstance(item.value, str):
                found.append(item.value)
            else:
                self._notes.error(
                    item.line, f"{self.where}: `{key}` must be text, not {kind(item)}", "put it in quotes"
                )
        return tuple(found)

    def mapping(self, key: str) -> dict[str, Yaml]:
        """A mapping whose keys the author chooses."""
        found = self._found.get(key)
        if found is None or found.value is None:
            return {}
        if not isinstance(found.value, dict):
            self._notes.error(
                found.line,
                f"{self.where}: `{key}` must be a mapping of names, not {kind(found)}",
                "write name: value, one a line",
            )
            return {}
        return found.value

    def besides(self, taken: Iterable[str]) -> list[str]:
        """Known keys that are there besides these."""
        return [key for key in self._found if key in self._known and key not in set(taken)]

    def rest(self, taken: Iterable[str]) -> dict[str, Any]:
        """Everything else, as plain values."""
        return {key: plain(value) for key, value in self._found.items() if key not in set(taken)}

    def _typed(self, key: str, wanted: type, name: str, default: Any, cure: str) -> Any:
        found = self._found.get(key)
        if found is None:
            return default
        if not isinstance(found.value, wanted):
            self._notes.error(found.line, f"{self.where}: `{key}` must be {name}, not {kind(found)}", cure)
            return default
        return found.value


def kind(node: Yaml) -> str:
    """What a value is, for people."""
    value = node.value
    if value is None:
        return "nothing"
    names: dict[type, str] = {bool: f"{value}".lower(), dict: "a mapping", list: "a list", str: "text"}
    return names.get(type(value), f"the number {value}")
