"""What the tables call the engines, and in which order. No engine is imported here."""

from __future__ import annotations

from typing import NamedTuple


class Name(NamedTuple):
    """An engine's name and what its figure stands for."""

    name: str
    guarantee: str

    @property
    def label(self) -> str:
        """Both, where two rows share the name."""
        return f"{self.name}, {self.guarantee}" if self.name.startswith("Kafka") else self.name


NAMES = {
    "faust": Name("plain Faust 0.15.3", "at least once, with holes"),
    "quix": Name("Quix Streams 3.28.1", "at least once"),
    "quix_tuned": Name("Quix Streams 3.28.1, tuned by hand", "at least once"),
    "bytewax": Name("Bytewax 0.21.1", "at least once; SQLite snapshots, no changelog"),
    "rumbo": Name("Rumbo", "exactly once"),
    "streams_eos": Name("Kafka Streams 4.1.1", "exactly once (v2)"),
    "streams_alo": Name("Kafka Streams 4.1.1", "at least once"),
    "bound": Name("bare bound (a dict)", "none: no durability"),
}
