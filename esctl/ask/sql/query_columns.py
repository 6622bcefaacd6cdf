"""What the names of a query stand for: the columns of its sources, of its WITH queries, and of its own list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from esctl.engine.statements import Node

Column = str | Mapping[str, str]
"""Empty for an ordinary column; for a number that is text, as the query names it; of a STRUCT, its fields' columns."""
Columns = list[tuple[str, Column]]


class Relation(Struct, frozen=True):
    """What is known of a source's columns, in their order, by the names that it and they have, in lower case."""

    name: str
    columns: Columns
    whole: bool = False  # there are no others

    def find(self, name: str) -> Column | None:
        """Return a column; None if it is not known."""
        return next((column for known, column in self.columns if known == name), None)

    def renamed(self, name: str, names: Sequence[str]) -> Relation:
        """Return it as `name (names)`: without all its columns it is not known which one gets which name."""
        given = [each.lower() for each in names] if self.whole else []
        rest = self.columns[len(given) :]
        columns = [*((each, column) for each, (_, column) in zip(given, self.columns, strict=False)), *rest]
        return Relation(name.lower(), columns, self.whole)


class Level(Struct):
    """What is known where an expression of a query stands: its sources, and what is selected so far."""

    outer: Level | None
    tables: Mapping[str, Relation]  # the WITH queries
    sources: list[Relation]
    selected: Columns
    whole: bool = True  # `selected` is without gaps

    def find(self, parts: Sequence[str]) -> tuple[Column | None, Sequence[str]]:
        """Return the column that a reference names, and the fields that it names in it; None if it is not known."""
        level: Level | None = self
        while level is not None:
            for source in level.sources:
                if len(parts) > 1 and source.name == parts[0] and (found := source.find(parts[1])) is not None:
                    return found, parts[2:]
            for source in (*level.sources, Relation("", level.selected)):
                if (found := source.find(parts[0])) is not None:
                    return found, parts[1:]
            level = level.outer
        return None, ()

    def select(self, name: str, column: Column) -> None:
        """Add a column to what is selected."""
        self.selected.append((name.lower(), column))

    def select_star(self, star: Node, replaced: Mapping[str, Column]) -> None:
        """Add what a `*` selects."""
        self.whole = self.whole and not star["columns"] and all(source.whole for source in self._behind(star))
        self.selected += self.behind(star, replaced)

    def behind(self, star: Node, replaced: Mapping[str, Column]) -> Columns:
        """List the columns that a `*` stands for, other than those that it leaves out."""
        left_out = {str(name).lower() for name in star["exclude_list"]}
        left_out |= {str(each["column"]).lower() for each in star["qualified_exclude_list"] if "column" in each}
        new = {str(each["key"]["column"]).lower(): str(each["value"]).lower() for each in star["rename_list"]}
        every = [each for source in self._behind(star) for each in source.columns]
        known = {name for name, _ in every}
        every += [(name, column) for name, column in replaced.items() if name not in known]
        return [(new.get(name, name), replaced.get(name, column)) for name, column in every if name not in left_out]

    def _behind(self, star: Node) -> Iterator[Relation]:
        named = str(star["relation_name"]).lower()
        return (source for source in self.sources if not named or source.name == named)


def united(parts: Sequence[Relation], *, by_name: bool) -> Relation:
    """Return what a UNION or the like gives: a column is a number as text if it is one in any of its parts."""
    whole = all(part.whole for part in parts)
    if not by_name and whole:
        columns: Columns = []
        for several in zip(*(part.columns for part in parts), strict=False):
            columns.append((several[0][0], next((column for _, column in several if column), "")))
        return Relation("", columns, whole)
    found: dict[str, Column] = {}
    for part in parts:
        for name, column in part.columns:
            found[name] = found.get(name) or column
    return Relation("", list(found.items()), whole)
