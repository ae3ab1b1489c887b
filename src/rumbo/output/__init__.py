"""Output: decisions as records that downstream automation can read. It decides nothing and sends nothing."""

from rumbo.output.cloudevents import BECAUSE_LIMIT, Encoder, Mode, Outgoing, event_type, schema_name
from rumbo.output.topics import OutputTopics

__all__ = ["BECAUSE_LIMIT", "Encoder", "Mode", "Outgoing", "OutputTopics", "event_type", "schema_name"]
