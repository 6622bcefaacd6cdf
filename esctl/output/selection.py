"""Which columns of an answer are written, and the SELECT that gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import NoReturn

from msgspec import Struct

from esctl.errors import UsageError, shell_word
from esctl.index.envelope.paths import format_path, parse_path
from esctl.index.scan import read_json
from esctl.model import Answer, Column
from esctl.output.formats import format_named
from esctl.output.target import Target


class Selection(Struct, frozen=True):
    """The rows of `sql` (with `width` columns) reduced to `picked`: (index in the row, column)."""

    sql: str
    width: int
    picked: tuple[tuple[int, Column], ...]
    title: str = ""  # of the answer

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the columns that are written, in their order."""
        return tuple(column for _, column in self.picked)

    @property
    def cells(self) -> list[tuple[str, Column]]:
        """Return the SQL name of each written cell with its column."""
        return [(f"r.c{index}", column) for index, column in self.picked]

    def select(self, expressions: Sequence[str], limit: int | None) -> str:
        """Return the SELECT of `expressions` over the rows, in their order.

        Columns are renamed c0, c1, ...: names come from data, and may differ in nothing but case.
        """
        names = ", ".join(f"c{index}" for index in range(self.width))
        bound = "" if limit is None else f" limit {int(limit)}"
        return f"select {', '.join(expressions)} from (\n{self.sql}\n) r({names}){bound}"


def select_columns(answer: Answer, target: Target) -> Selection:
    """Pick the columns that `target` asks for, by name; fields of a state (`state.balance`) in every format.

    A name that is not a column but the prefix of some (`state` if there are `state.*`) selects all of these.
    Raises UsageError for an unknown name.
    """
    nested = Selection(answer.sql, len(answer.columns), tuple(enumerate(answer.columns)), answer.title)
    flat = _flat_selection(answer, target) if answer.flat_sql else nested
    form = format_named(target.format)
    base = flat if form.flat else nested
    wanted = target.columns
    if not wanted and form.for_reading:
        wanted = target.table_columns
    if not wanted:
        return base
    if unknown := [name for name in wanted if not _columns_named(base, name)]:
        if all(_is_known(flat, name) for name in wanted):
            base = flat
        elif missing := [name for name in unknown if not _is_known(base, name)]:
            _refuse(next((name for name in missing if not _is_known(flat, name)), missing[0]), base, flat)
    base = _add_members(base, wanted, answer)
    picked = [cell for name in wanted for cell in _columns_named(base, name)]
    # A column is written once, however often it is named: no object has a key twice.
    return Selection(base.sql, base.width, tuple(dict.fromkeys(picked)), base.title)


def _flat_selection(answer: Answer, target: Target) -> Selection:
    """Return the rows with a column per field of the state; of a state in one column, per member that is asked for."""
    columns = (*answer.flat_columns, *answer.beside)
    shown = answer.flat_columns if format_named(target.format).flat else columns
    members = [name for name in dict.fromkeys(target.columns) if name.removeprefix("state.") in answer.members]
    members = [name for name in members if name.startswith("state.") and name not in {c.name for c in columns}]
    picked = tuple(enumerate(shown))
    if not members:
        return Selection(answer.flat_sql, len(columns), picked, answer.title)
    whole = next(f"c{i}" for i, column in picked if column.name == "state")
    values = [read_json(whole, (name.removeprefix("state."),), "json", marked=True) for name in members]
    numbered = ", ".join(f"c{i}" for i, _ in enumerate(columns))
    sql = f"SELECT *, {', '.join(values)} FROM (\n{answer.flat_sql}\n) r({numbered})"
    cells = enumerate((Column(name, "value") for name in members), start=len(columns))
    return Selection(sql, len(columns) + len(members), (*picked, *cells), answer.title)


def _is_known(selection: Selection, name: str) -> bool:
    return bool(_columns_named(selection, name) or _find_json_column(selection, name))


def _find_json_column(selection: Selection, name: str) -> tuple[int, Column, tuple[str | int, ...]] | None:
    """Return the JSON column that a path leads into, as its index, the column, and the rest of the path; or None."""
    try:
        path = parse_path(name)
    except UsageError:
        return None
    for length in range(len(path) - 1, 0, -1):
        begun = {format_path(path[:length]), ".".join(map(str, path[:length]))}
        for index, column in selection.picked:
            if column.name in begun and column.kind in ("json", "value"):
                return index, column, path[length:]
    return None


def _add_members(selection: Selection, wanted: Sequence[str], answer: Answer) -> Selection:
    """Add a column for each path that is asked for inside a column of JSON: `data.items[0].sku`.

    Raises UsageError for a member that no object of the column has.
    """
    values, columns = [], []
    for name in dict.fromkeys(wanted):
        if _columns_named(selection, name) or (inside := _find_json_column(selection, name)) is None:
            continue
        index, column, path = inside
        known = answer.inner.get(column.name)
        if known is not None and path[0] not in known:
            raise _no_member(name, column.name, path, known)
        values.append(read_json(f"c{index}", path, "json", marked=True))
        columns.append(Column(name, "value"))
    if not values:
        return selection
    numbered = ", ".join(f"c{index}" for index in range(selection.width))
    sql = f"SELECT *, {', '.join(values)} FROM (\n{selection.sql}\n) r({numbered})"
    cells = enumerate(columns, start=selection.width)
    return Selection(sql, selection.width + len(columns), (*selection.picked, *cells), selection.title)


def _no_member(name: str, column: str, path: Sequence[str | int], known: frozenset[str]) -> UsageError:
    close = get_close_matches(str(path[0]), sorted(known), n=1)
    names = [format_path((column, member)) for member in (close or sorted(known)[:20])]
    hint = f"did you mean {shell_word(_quote_name(names[0]))}?" if close else f"it has: {', '.join(names) or 'nothing'}"
    return UsageError(f"no {column} has {format_path(path)!r}, which --columns {name!r} asks for", hint)


def _columns_named(selection: Selection, name: str) -> list[tuple[int, Column]]:
    tests: tuple[Callable[[str], bool], ...] = (lambda c: c == name, lambda c: c.startswith(name + "."))
    for test in tests:
        if found := [cell for cell in selection.picked if test(cell[1].name)]:
            return found
    return []


def _refuse(name: str, base: Selection, flat: Selection) -> NoReturn:
    names = list(dict.fromkeys(column.name for column in base.columns + flat.columns))
    close = get_close_matches(name, names, n=1)
    shown = names[:20] + (["..."] if len(names) > 20 else [])
    raise UsageError(
        f"unknown column {name!r} in --columns",
        f"did you mean {shell_word(_quote_name(close[0]))}?" if close else "the columns are: " + ", ".join(shown),
    )


def _quote_name(name: str) -> str:
    """Return a name as `--columns` reads it: quoted as in CSV if necessary."""
    odd = any(character in name for character in ',"\r\n') or name != name.strip()
    return '"' + name.replace('"', '""') + '"' if odd else name
