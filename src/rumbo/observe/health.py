"""What `/livez` and `/readyz` say: whether to restart a worker, whether it works, and if not, why. It asks nobody; it holds no customer."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Status = Literal["ready", "recovering", "waiting for an assignment", "starting", "stalled"]


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of a worker. `left`: changelog offsets still to be read; `still_seconds`: since that number last moved."""

    stage: str
    partitions: tuple[int, ...]
    recovered: bool
    left: int
    still_seconds: float
    stalled: str | None

    @property
    def reason(self) -> str | None:
        """Why it does not work now; None while it does."""
        if self.recovered:
            return None
        if self.left:
            still = f", no progress for {self.still_seconds:.0f} s" if self.still_seconds >= 1 else ""
            return f"{self.stage}: recovering, {self.left} records left{still}"
        return f"{self.stage}: waiting for an assignment"


class Health(msgspec.Struct, frozen=True):
    """A worker. With no stage yet it is starting."""

    shares: tuple[Share, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether every stage has its partitions and reads on."""
        return bool(self.shares) and all(each.recovered for each in self.shares)

    @property
    def status(self) -> Status:
        """In a word."""
        if any(each.stalled for each in self.shares):
            return "stalled"
        if not self.shares:
            return "starting"
        if self.ready:
            return "ready"
        return "recovering" if any(each.left for each in self.shares) else "waiting for an assignment"

    def said(self) -> dict[str, Any]:
        """As JSON: status, reasons, and each stage."""
        reasons = [why for each in self.shares for why in (each.stalled, each.reason) if why is not None]
        return {
            "status": self.status,
            "reasons": reasons,
            "recovery_left": sum(each.left for each in self.shares),
            "stages": [
                {"stage": each.stage, "partitions": each.partitions, "recovery_left": each.left} for each in self.shares
            ],
        }
