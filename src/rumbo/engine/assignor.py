"""Faust's assignor, with the URL by which each worker is reached: who owns what travels with the assignment.

A static member that begins again within its session is handed the assignment of before, with the URL of before: Faust would stop
there; here it goes on, and is found under its new URL at the next rebalance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from faust.assignor.client_assignment import ClientMetadata
from faust.assignor.partition_assignor import PartitionAssignor


class AddressedAssignor(PartitionAssignor):
    """Knows who is where."""

    _answering: str | None = None

    def on_assignment(self, assignment: Any) -> None:
        """Take an assignment, whatever URL it was made for."""
        metadata = cast("Any", ClientMetadata.loads(self._decompress(assignment.user_data)))
        self._answering = metadata.url
        try:
            super().on_assignment(assignment)
        finally:
            self._answering = None

    @property
    def _url(self) -> Any:
        return super()._url if self._answering is None else self._answering

    def shares(self) -> Mapping[str, Mapping[str, Any]]:
        """What was given to whom: URL -> topic -> partitions."""
        found: Mapping[str, Mapping[str, Any]] = self.changelog_distribution
        return found
