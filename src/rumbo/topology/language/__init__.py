"""The language described once: what the loader reads, as data. JSON Schemas for editors and the reference page are made from it.

A field that the loader reads and that is missing here fails a test; nothing of the loader depends on it.
"""

from rumbo.topology.language.journey import JOURNEY
from rumbo.topology.language.kinds import Field, Shape
from rumbo.topology.language.outer import OUTER
from rumbo.topology.language.reference import reference
from rumbo.topology.language.schema import documents

SHAPES: dict[str, Shape] = {shape.name: shape for shape in (*OUTER, *JOURNEY)}

__all__ = ["SHAPES", "Field", "Shape", "documents", "reference"]
