"""Expressions of the Common Expression Language, as the syntax trees that Envoy takes.

Two messages of the same shape hold them: RBAC's policies want `google.api.expr.v1alpha1`, xDS matchers want `cel.expr`.
"""

from dataclasses import dataclass
from typing import Any, Final

from cel.expr import syntax_pb2 as cel_pb2
from envoy.config.core.v3 import cel_pb2 as config_pb2
from google.api.expr.v1alpha1 import syntax_pb2 as google_pb2

# Strings may be joined and read in lower case. Bounded here: what is joined are a host's name and a sign or two.
WITH_STRINGS: Final = config_pb2.CelExpressionConfig(enable_string_concat=True, enable_string_functions=True)


@dataclass(frozen=True)
class Attribute:
    """An attribute by its path, such as request.time (envoyproxy.io, "Attributes")."""

    path: str


@dataclass(frozen=True)
class Call:
    """A function or operator (`_==_`, `_&&_`, `!_`) on arguments; of `on` when it is called as a method."""

    function: str
    arguments: "tuple[Expression, ...]" = ()
    on: "Expression | None" = None


Expression = Attribute | Call | str


def either(*of: Expression) -> Expression:
    """At least one of them."""
    first, *rest = of
    return Call("_||_", (first, either(*rest))) if rest else first


def every(*of: Expression) -> Expression:
    """All of them; the second is looked at only where the first holds."""
    first, *rest = of
    return Call("_&&_", (first, every(*rest))) if rest else first


def condition(expression: Expression) -> Any:
    """For a policy of RBAC (google.api.expr.v1alpha1.Expr)."""
    return _Writer(google_pb2.Expr).write(expression)


def parsed(expression: Expression) -> Any:
    """For a matcher (cel.expr.ParsedExpr)."""
    return cel_pb2.ParsedExpr(expr=_Writer(cel_pb2.Expr).write(expression))


class _Writer:
    """Numbers the nodes of one tree, as CEL wants them."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._last = 0

    def write(self, expression: Expression) -> Any:
        self._last += 1
        node = self._kind(id=self._last)
        match expression:
            case str():
                node.const_expr.string_value = expression
            case Attribute(path):
                parent, _, name = path.rpartition(".")
                if parent:
                    node.select_expr.operand.CopyFrom(self.write(Attribute(parent)))
                    node.select_expr.field = name
                else:
                    node.ident_expr.name = name
            case Call(function, arguments, on):
                node.call_expr.function = function
                if on is not None:
                    node.call_expr.target.CopyFrom(self.write(on))
                node.call_expr.args.extend(self.write(one) for one in arguments)
        return node
