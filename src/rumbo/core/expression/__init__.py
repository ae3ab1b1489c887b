"""Expressions: a subset of CEL, parsed once, checked at load, compiled to closures, able to explain themselves.

No loops, no host access, nothing evaluated from text at run time. What names mean is handed in (`Resolver`).
"""

from rumbo.core.expression.check import Environment, References, Signature, Type, nearest_of, problems, references
from rumbo.core.expression.compile import Resolver, compile_expression
from rumbo.core.expression.explain import Explanation, Seen, explain, explainer, leaves, lookers, plain
from rumbo.core.expression.fold import verdict
from rumbo.core.expression.needs import Need, needs
from rumbo.core.expression.node import Choose, Node, Path, unparse
from rumbo.core.expression.parse import ExpressionError, parse
from rumbo.core.expression.value import UNKNOWN, Unknown, is_unknown, truth

__all__ = [
    "UNKNOWN", "Choose", "Environment", "Explanation", "ExpressionError", "Need", "Node", "Path", "References", "Resolver", "Seen", "Signature", "Type",
    "Unknown", "compile_expression", "explain", "explainer", "is_unknown", "leaves", "lookers", "nearest_of", "needs", "parse", "plain", "problems", "references", "truth", "unparse", "verdict",
]  # fmt: skip
