"""Compose the value of a field, as JSON text, from the parts of its folded cell."""

from __future__ import annotations

from esctl.engine.exact_text import json_string_sql, shown_json_sql, unmark_json_sql
from esctl.engine.once import once
from esctl.engine.quoting import literal
from esctl.index.scan import read_json
from esctl.model import MARK
from esctl.projection.cells import FieldPlan
from esctl.projection.conversions import declared_scale
from esctl.projection.fold import NotSetwiseError
from esctl.projection.values import Shape, event_error, limits_totals, number_digits, number_text, scaled_text


def total_shape(field: FieldPlan, count: int) -> Shape:
    """Return the shape that surely holds a field's total over `count` events. Raises NotSetwiseError if none does."""
    shape = field.shape or Shape(19, 0)
    if field.family == "sum":
        shape = Shape(shape.whole + len(str(max(count, 1))), shape.scale) if not shape.is_wide else shape
    if shape.or_wide.is_wide:
        raise NotSetwiseError
    return shape


def compose(field: FieldPlan, base: str, acc: str, count: str, position: str, events: int) -> str:
    """Write a cell's value as JSON text from what it started with and what was added since."""
    if field.family == "list":
        return _compose_list(field, base, acc, count, position)
    if not field.numeric:
        better = "least" if field.family == "min" else "greatest"
        # Numbers in the text of an object are unmarked, like those in the text that it is compared with.
        text = f"""CASE WHEN {base}[1:1] IN ('{{', '[') THEN {unmark_json_sql(base)}
            ELSE {read_json(base, (), "text", marked=True)} END"""
        best = f"{better}({acc}, coalesce({text}, {acc}))"
        return f"CASE WHEN {count} = 0 THEN {base} ELSE {json_string_sql(best)} END"
    shape = total_shape(field, events)
    alone = f"CAST({acc} AS {shape.sql_type})"
    if not field.resets:
        return f"CASE WHEN {count} > 0 THEN {_total_text(alone, field, shape, position)} END"
    start = _base_number(base, field.name, shape, position)
    if field.family == "sum":
        total = f"{alone} + {start}"
    else:
        total = f"{'least' if field.family == 'min' else 'greatest'}({alone}, {start})"
    number = f"CASE WHEN {base} IS NULL THEN {alone} ELSE {total} END"
    return f"CASE WHEN {count} = 0 THEN {base} ELSE {_total_text(number, field, shape, position)} END"


def _total_text(total: str, field: FieldPlan, shape: Shape, position: str) -> str:
    """Write a total as JSON text, with all digits of its scale if one is declared."""
    fitting, scale = _checked_total(total, field, shape, position), declared_scale(field.declared)
    return number_text(fitting, shape) if scale is None else scaled_text(fitting, scale)


def _checked_total(total: str, field: FieldPlan, shape: Shape, position: str) -> str:
    if not limits_totals(field.declared):
        return total

    def fitting(total: str) -> str:
        digits = number_digits(total, shape)
        overflow = event_error(f"{field.name} is {{}}, which does not fit {field.declared}", digits, position=position)
        return f"CASE WHEN try_cast({total} AS {field.declared}) IS NULL THEN {overflow} ELSE {total} END"

    return once(total, fitting)


def _base_number(base: str, name: str, shape: Shape, position: str) -> str:
    wrong = event_error(f"{name} is not a number to add to: {{}}", shown_json_sql(base), position=position)
    marked = f"({base}[1:2] = {literal(chr(34) + MARK)} AND {base}[3:3] <> {literal(MARK)})"
    text = read_json(base, (), "text", marked=True)
    return f"""CASE
        WHEN ascii({base}) = 45 OR ascii({base}) BETWEEN 48 AND 57 THEN CAST({base} AS {shape.sql_type})
        WHEN {marked} THEN CAST({text} AS {shape.sql_type})
        ELSE {wrong} END"""


def _compose_list(field: FieldPlan, base: str, acc: str, count: str, position: str) -> str:
    wrong = event_error(f"{field.name} is not a list to append to: {{}}", shown_json_sql(base), position=position)
    if not field.removes:
        joined = f"array_to_string(list_transform({acc}, lambda e: e.json), ',')"
        fresh = f"'[' || {joined} || ']'"
        longer = f"left({base}, length({base}) - 1) || CASE WHEN {base} = '[]' THEN '' ELSE ',' END || {joined} || ']'"
    else:
        fresh = _reduce_list("CAST([] AS VARCHAR[])", acc)
        longer = _reduce_list(f"CAST(json_extract({base}, '$[*]') AS VARCHAR[])", acc)
    if not field.resets:
        return f"CASE WHEN {count} > 0 THEN {fresh} END"
    return f"""CASE WHEN {count} = 0 THEN {base} WHEN {base} IS NULL THEN {fresh}
        WHEN {base}[1:1] = '[' THEN {longer} ELSE {wrong} END"""


def _reduce_list(start: str, acc: str) -> str:
    kept_or_gone = "{'kept': CASE WHEN e.remove THEN [] ELSE [e.json] END, 'gone': CASE WHEN e.remove THEN e.json END}"
    steps = f"list_transform({acc}, lambda e: {kept_or_gone})"
    kept = "CASE WHEN x.gone IS NULL THEN s.kept ELSE list_filter(s.kept, lambda e: e <> x.gone) END"
    step = f"{{'kept': list_concat({kept}, x.kept), 'gone': CAST(NULL AS VARCHAR)}}"
    first = f"{{'kept': {start}, 'gone': CAST(NULL AS VARCHAR)}}"
    return f"'[' || array_to_string(list_reduce({steps}, lambda s, x: {step}, {first}).kept, ',') || ']'"
