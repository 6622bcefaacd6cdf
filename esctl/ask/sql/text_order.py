"""Refuse a query that would order or compare numbers by their text, wherever in it that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from esctl.ask.sql.numbers_as_text import NumbersAsText, reference
from esctl.ask.sql.query_columns import Column, Level, Relation, united
from esctl.engine.allowlist import QUERIES, TABLE_FUNCTIONS
from esctl.engine.statements import Node, Select
from esctl.errors import UsageError

_KEEPING = frozenset({"any_value", "array_agg", "first", "first_value", "lag", "last", "last_value", "lead", "list"})
"""Functions whose value is one of those that they take, or a list of these."""
_ORDER_FREE = _KEEPING | {"coalesce", "concat", "count", "len", "length", "string_agg", "struct_pack", "typeof"}
"""Functions that may take a number as text: their result does not depend on its order or size."""
_EXTRACTING = frozenset({"array_extract", "list_extract", "struct_extract"})
_ORDERED_OPERATORS = ("COMPARE_IN", "COMPARE_NOT_IN")
_MOST_DIGITS = 9


def check_uses(select: Select, fields: NumbersAsText) -> None:
    """Raise UsageError if a query orders or compares such a field, which would go by its text."""
    if not fields.payload and not fields.states:
        return
    try:
        _Uses(fields).query(select.tree, None, {})
    except RecursionError:
        raise UsageError("the query is nested too deeply", "split it with WITH") from None


class _Uses:
    """A walk through a query that keeps what names stand for where it is."""

    def __init__(self, fields: NumbersAsText) -> None:
        self.fields = fields
        self.known: dict[int, Relation] = {}  # the queries that were walked through, by the identity of their nodes

    def query(self, node: Node, outer: Level | None, tables: Mapping[str, Relation]) -> Relation:
        """Check a query, and return what it gives."""
        if id(node) not in self.known:
            tables = dict(tables)
            for entry in (node.get("cte_map") or {}).get("map", ()):
                body = entry["value"].get("query_node") or entry["value"]["query"]["node"]
                made = self.query(body, outer, tables)
                tables[entry["key"].lower()] = made.renamed("", entry["value"]["aliases"])
            level = self._level(node, outer, tables)
            for modifier in node["modifiers"]:
                for order in modifier.get("orders") or ():
                    self._refuse(self._sorted_by(order["expression"], level))
                    self.check(order["expression"], level)
                self.check([value for name, value in modifier.items() if name != "orders"], level)
            self.known[id(node)] = Relation("", level.selected, level.whole)
        return self.known[id(node)]

    def _level(self, node: Node, outer: Level | None, tables: Mapping[str, Relation]) -> Level:
        """Check what is in a query but for its modifiers, and return what these see."""
        level = Level(outer, tables, [], [])
        if node["type"] == "SELECT_NODE":
            self._select(node, level)
        elif node["type"] == "SET_OPERATION_NODE":
            parts = node.get("children") or [node["left"], node["right"]]
            made = united([self.query(part, outer, tables) for part in parts], by_name="NAME" in node["setop_type"])
            level.selected, level.whole = made.columns, made.whole
        elif node["type"] == "RECURSIVE_CTE_NODE":
            first = self.query(node["left"], outer, tables)
            own = {node["cte_name"].lower(): first.renamed("", node.get("aliases") or ())}
            made = united([first, self.query(node["right"], outer, {**tables, **own})], by_name=False)
            level.selected, level.whole = made.columns, made.whole
        return level

    def _select(self, node: Node, level: Level) -> None:
        self._source(node["from_table"], level)
        for item in node["select_list"]:
            self.check(item, level)
            if item["class"] == "STAR":
                replaced = {each["key"].lower(): self._value(each["value"], level) for each in item["replace_list"]}
                level.select_star(item, replaced)
            else:
                several = any(each.get("class") == "STAR" for each in Select("", item).nodes())  # as COLUMNS(*) + 1
                level.whole = level.whole and not several
                level.select(item["alias"] or "".join(_names(item)[-1:]), self._value(item, level))
        done = ("from_table", "select_list", "cte_map", "modifiers")
        self.check([value for name, value in node.items() if name not in done], level)

    def _source(self, node: Node, level: Level) -> None:
        """Check a source in FROM, and add it to those of a level."""
        kind, alias = node["type"], str(node.get("alias", ""))
        if kind == "JOIN":
            self._source(node["left"], level)
            self._source(node["right"], level)
            for name in node["using_columns"]:
                for source in level.sources:
                    self._refuse(source.find(name.lower()) and name)
            self.check(node["condition"], level)
            return
        if kind == "BASE_TABLE":
            name = str(node["table_name"]).lower()
            made, alias = level.tables.get(name) or self._relation(name), alias or name
        elif kind == "TABLE_FUNCTION":
            name = str(node["function"]["function_name"]).lower()
            made, alias = self._called(name), alias or name
            self.check(node["function"]["arguments"], level)
        elif kind == "SUBQUERY":
            made = self.query(node["subquery"]["node"], level, level.tables)
        elif kind == "EXPRESSION_LIST":
            self.check(node["values"], level)
            made = Relation("", [(f"col{number}", "") for number in range(len(node["values"][0]))], whole=True)
        else:
            made = self._other(node, level)
        level.sources.append(made.renamed(alias, node.get("column_name_alias") or ()))

    def _other(self, node: Node, level: Level) -> Relation:
        """Check a PIVOT or the like: what its source has may be in what it gives."""
        within = Level(level.outer, level.tables, [], [])
        if isinstance(node.get("source"), dict):
            self._source(node["source"], within)
        self.check([value for name, value in node.items() if name != "source"], within)
        return Relation("", [each for source in within.sources for each in source.columns], node["type"] == "EMPTY")

    def _relation(self, name: str) -> Relation:
        own = {field: field for field in self.fields.payload}
        return Relation(name, [("data", own)] if name == "events" else [])

    def _called(self, name: str) -> Relation:
        """Return what a table function gives: of our own only the columns that matter are known."""
        is_own = name not in TABLE_FUNCTIONS and name != "states"
        return Relation(name, [(name, reference([name])) for name in sorted(self.fields.states)] if is_own else [])

    def check(self, within: Any, level: Level) -> None:
        """Check expressions, and the queries in them."""
        waiting = [within]
        while waiting:
            node = waiting.pop()
            if isinstance(node, list):
                waiting += node
            elif isinstance(node, dict):
                if node.get("type") in QUERIES and "modifiers" in node:
                    self.query(node, level, level.tables)
                    continue
                for used in _by_order(node):
                    self._refuse(self._value(used, level))
                waiting += node.values()

    def _refuse(self, column: Column | None) -> None:
        if isinstance(column, str) and column:
            raise UsageError(
                f"the query compares {column}, whose numbers no DECIMAL holds: in SQL it is text",
                f"write CAST({column} AS DOUBLE), which rounds, or ask exactly with --where, when or series",
            )

    def _sorted_by(self, expression: Node, level: Level) -> Column:
        """Return what an ORDER BY of a query goes by: its list comes before its sources, and may be named by number."""
        literal = expression.get("literal") or {}
        if literal.get("kind") == "INTEGER" and len(literal["text"]) <= _MOST_DIGITS:
            named = level.selected[max(int(literal["text"]) - 1, 0) :][:1] if level.whole else []
            return named[0][1] if named else ""
        if expression["class"] == "STAR" and not expression["expr"]:
            return _first(column for _, column in level.selected)
        parts = _names(expression)
        own = Relation("", level.selected).find(parts[0]) if len(parts) == 1 else None
        if own is None:
            return self._value(expression, level)
        return reference(expression["column_names"][:1]) if own and isinstance(own, str) else ""

    def _value(self, node: Node, level: Level) -> Column:
        """Return what an expression's value is."""
        kind, name = node["class"], str(node.get("function_name", "") or node["type"]).lower()
        arguments = node.get("children") or [each["expression"] for each in node.get("arguments") or ()]
        if kind == "COLUMN_REF":
            return self._named(node, level)
        if kind == "CASE":
            checks = [check["then_expr"] for check in node["case_checks"]]
            return _first(self._value(each, level) for each in (*checks, node["else_expr"]))
        if name in _EXTRACTING and len(arguments) == 2:
            key = str((arguments[1].get("literal") or {}).get("text", ""))
            found = self._value(arguments[0], level)
            return found if isinstance(found, str) else found.get(key.lower(), "") and f"data.{key}"
        if name == "operator_coalesce" or name in _KEEPING:
            return _first(self._value(each, level) for each in arguments)
        if kind == "SUBQUERY" and node["subquery_type"] == "SCALAR":
            return _first(column for _, column in self.query(node["subquery"]["node"], level, level.tables).columns[:1])
        if kind == "STAR" and node["columns"] and not node["expr"]:
            return _first(column for _, column in level.behind(node, {}))
        return ""

    def _named(self, node: Node, level: Level) -> Column:
        found, within = level.find(_names(node))
        if found is None:
            return self.fields.named_by(node)
        if isinstance(found, Mapping) and not within:
            return found
        as_text = found if isinstance(found, str) else found.get(within[0], "")
        return as_text and reference(map(str, node["column_names"]))


def _names(node: Node) -> list[str]:
    """Return the parts of a reference, in lower case; none of what is no reference."""
    return [str(part).lower() for part in node.get("column_names", ())] if node["class"] == "COLUMN_REF" else []


def _first(columns: Iterator[Column]) -> Column:
    """Return the first column that is a number as text; else an ordinary one."""
    return next((column for column in columns if column and isinstance(column, str)), "")


def _by_order(node: Node) -> Iterator[Node]:
    """Yield the expressions in a node on whose order or size its value depends."""
    kind, name = node.get("class"), str(node.get("function_name", "")).lower()
    if kind in ("COMPARISON", "BETWEEN") or node.get("type") in _ORDERED_OPERATORS:
        yield from _children(node)
    elif kind == "SUBQUERY" and isinstance(node.get("child"), dict):
        yield node["child"]
    elif kind in ("FUNCTION", "WINDOW") and name not in _ORDER_FREE | _EXTRACTING:
        yield from (argument["expression"] for argument in node.get("arguments", ()))
    yield from (order["expression"] for order in node.get("orders") or () if isinstance(order, dict))


def _children(node: Node) -> Iterator[Node]:
    for name in ("left", "right", "input", "lower", "upper", "children"):
        value: Any = node.get(name)
        yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict))
