"""The expression grammar of projection values and `when`: parsing to a tree."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .values import ConfigError

TEXT_COLUMNS = frozenset(["type", "id", "actor", "entity", "kind", "role", "correlation", "causation", "sequence"])
TIME_COLUMNS = frozenset(["time", "recorded_at"])
COLUMNS = TEXT_COLUMNS | TIME_COLUMNS | {"position"}
NUMERIC = frozenset(["abs", "round", "floor", "ceil", "length"])
TEXTUAL = frozenset(["lower", "upper", "trim", "substr", "replace", "concat"])
PREDICATES = frozenset(["starts_with", "ends_with", "contains"])
CHOOSING = frozenset(["coalesce", "nullif", "greatest", "least"])
FUNCTIONS = NUMERIC | TEXTUAL | PREDICATES | CHOOSING
ARITY = {
    "abs": (1, 1), "floor": (1, 1), "ceil": (1, 1), "length": (1, 1), "round": (1, 2), "lower": (1, 1), "upper": (1, 1),
    "trim": (1, 1), "substr": (2, 3), "replace": (3, 3), "nullif": (2, 2), "starts_with": (2, 2), "ends_with": (2, 2),
    "contains": (2, 2),
}  # fmt: skip
COMPARISONS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass(frozen=True)
class Literal:
    value: Any  # Decimal | str | bool | None


@dataclass(frozen=True)
class Path:
    """A path into the event's data; no parts: the whole of it."""

    parts: tuple[str | int, ...]


@dataclass(frozen=True)
class Column:
    name: str


@dataclass(frozen=True)
class Call:
    """An operator or function: `name` is a symbol, a keyword or a function's name."""

    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True)
class Case:
    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node


@dataclass(frozen=True)
class Cast:
    value: Node
    type: str
    lenient: bool


@dataclass(frozen=True)
class Struct:
    items: tuple[tuple[str, Node], ...]


@dataclass(frozen=True)
class List:
    items: tuple[Node, ...]


Node = Literal | Path | Column | Call | Case | Cast | Struct | List

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|(?P<text>'(?:[^']|'')*')|(?P<quoted>\"(?:[^\"]|\"\")*\")"
    r"|(?P<word>[^\W\d]\w*)|(?P<symbol>\|\||<>|!=|<=|>=|[-+*/%=<>()\[\]{},:.]))"
)


def tokens(text: str) -> list[tuple[str, str]]:
    """Cut an expression into (kind, text): number, text, quoted, word, symbol, and a closing end."""
    out: list[tuple[str, str]] = []
    text = text.rstrip()
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ConfigError(f"cannot read {text[at:]!r}")
        kind = match.lastgroup or ""
        out.append((kind, match[kind]))
        at = match.end()
    return [*out, ("end", "")]


class Parser:
    """Recursive descent, one method per precedence level: or, and, not, comparison, ||, + -, * / %, unary."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.at = 0

    def parse(self) -> Node:
        node = self.disjunction()
        if self.tokens[self.at][0] != "end":
            self.fail()
        return node

    def fail(self) -> Any:
        raise ConfigError(f"unexpected {self.tokens[self.at][1] or 'end'!r} in {self.text!r}")

    def take(self, *wanted: str) -> str | None:
        """Take the next token if it is one of these symbols or keywords."""
        kind, text = self.tokens[self.at]
        if kind in ("symbol", "word") and text.lower() in wanted:
            self.at += 1
            return text.lower()
        return None

    def expect(self, wanted: str) -> None:
        if self.take(wanted) is None:
            self.fail()

    def of_kind(self, *kinds: str) -> tuple[str, str]:
        token = self.tokens[self.at]
        if token[0] not in kinds:
            self.fail()
        self.at += 1
        return token

    def disjunction(self) -> Node:
        node = self.conjunction()
        while self.take("or"):
            node = Call("or", (node, self.conjunction()))
        return node

    def conjunction(self) -> Node:
        node = self.negation()
        while self.take("and"):
            node = Call("and", (node, self.negation()))
        return node

    def negation(self) -> Node:
        return Call("not", (self.negation(),)) if self.take("not") else self.comparison()

    def comparison(self) -> Node:
        node = self.concatenation()
        while True:
            if symbol := self.take(*COMPARISONS):
                node = Call(COMPARISONS[symbol], (node, self.concatenation()))
            elif self.take("is"):
                negated = self.take("not")
                self.expect("null")
                node = self.negate(negated, Call("is null", (node,)))
            else:
                negated = self.take("not")
                if self.take("in"):
                    self.expect("(")
                    node = self.negate(negated, Call("in", (node, *self.arguments(")"))))
                elif self.take("between"):
                    low = self.concatenation()
                    self.expect("and")
                    node = self.negate(negated, Call("between", (node, low, self.concatenation())))
                elif self.take("like"):
                    node = self.negate(negated, Call("like", (node, self.concatenation())))
                elif negated:
                    self.fail()
                else:
                    return node

    @staticmethod
    def negate(negated: str | None, node: Node) -> Node:
        return Call("not", (node,)) if negated else node

    def concatenation(self) -> Node:
        node = self.sum()
        while self.take("||"):
            node = Call("||", (node, self.sum()))
        return node

    def sum(self) -> Node:
        node = self.product()
        while symbol := self.take("+", "-"):
            node = Call(symbol, (node, self.product()))
        return node

    def product(self) -> Node:
        node = self.unary()
        while symbol := self.take("*", "/", "%"):
            node = Call(symbol, (node, self.unary()))
        return node

    def unary(self) -> Node:
        return Call("negative", (self.unary(),)) if self.take("-") else self.primary()

    def arguments(self, close: str) -> tuple[Node, ...]:
        if self.take(close):
            return ()
        items = [self.disjunction()]
        while self.take(","):
            items.append(self.disjunction())
        self.expect(close)
        return tuple(items)

    def primary(self) -> Node:
        if self.take("("):
            node = self.disjunction()
            self.expect(")")
            return node
        if self.take("["):
            return List(self.arguments("]"))
        if self.take("{"):
            return self.struct()
        kind, text = self.of_kind("number", "text", "word", "quoted")
        if kind == "number":
            return Literal(Decimal(text))
        if kind == "text":
            return Literal(text[1:-1].replace("''", "'"))
        return self.named(text if kind == "word" else "")

    def struct(self) -> Node:
        items: list[tuple[str, Node]] = []
        while not self.take("}"):
            if items:
                self.expect(",")
            key = self.of_kind("text")[1][1:-1].replace("''", "'")
            self.expect(":")
            items.append((key, self.disjunction()))
        return Struct(tuple(items))

    def named(self, word: str) -> Node:
        lower = word.lower()
        if lower in ("true", "false"):
            return Literal(lower == "true")
        if lower == "null":
            return Literal(None)
        if lower == "case":
            return self.case()
        if lower in ("cast", "try_cast"):
            return self.cast(lower == "try_cast")
        if self.tokens[self.at] == ("symbol", "("):
            return self.call(lower)
        if word == "data":
            return self.path()
        if word in COLUMNS:
            return Column(word)
        raise ConfigError(f"unknown name {word!r} in {self.text!r}")

    def call(self, name: str) -> Node:
        self.expect("(")
        args = self.arguments(")")
        low, high = ARITY.get(name, (1, 99))
        if name not in FUNCTIONS or not low <= len(args) <= high:
            raise ConfigError(f"unknown function {name} of {len(args)} arguments in {self.text!r}")
        return Call(name, args)

    def case(self) -> Node:
        branches: list[tuple[Node, Node]] = []
        while self.take("when"):
            condition = self.disjunction()
            self.expect("then")
            branches.append((condition, self.disjunction()))
        otherwise = self.disjunction() if self.take("else") else Literal(None)
        self.expect("end")
        if not branches:
            raise ConfigError(f"a case without when in {self.text!r}")
        return Case(tuple(branches), otherwise)

    def cast(self, lenient: bool) -> Node:
        self.expect("(")
        value = self.disjunction()
        self.expect("as")
        name = self.of_kind("word")[1]
        if self.take("("):
            precision = self.of_kind("number")[1]
            self.expect(",")
            name = f"{name}({precision},{self.of_kind('number')[1]})"
            self.expect(")")
        self.expect(")")
        return Cast(value, name, lenient)

    def path(self) -> Node:
        parts: list[str | int] = []
        while True:
            if self.take("."):
                kind, text = self.of_kind("word", "quoted")
                parts.append(text if kind == "word" else text[1:-1].replace('""', '"'))
            elif self.take("["):
                parts.append(int(self.of_kind("number")[1]))
                self.expect("]")
            else:
                return Path(tuple(parts))


def parse_expression(value: Any) -> Node:
    """Read a value of a projection: text is an expression, a TOML number or boolean stands for itself."""
    if isinstance(value, str):
        return Parser(value).parse()
    if isinstance(value, bool):
        return Literal(value)
    if isinstance(value, int | float | Decimal):
        return Literal(Decimal(repr(value)) if isinstance(value, float) else Decimal(value))
    raise ConfigError(f"{value!r} is not an expression")
