"""Whether an error says of which event it is and what is wrong with it, as the reference has it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.reference import FoldError, canonical_json
from tests.reference.values import Problem

SHOWN = 60
"""Characters of a value that an error shows."""


def error_differs(problem: FoldError, told: str) -> list[str]:
    """Give what is wrong with what was told, in words: it has to be one of the reference's problems."""
    by_hand = re.match(r"projections\.\S+\.python failed at event @(\d+): ", told)
    if by_hand is not None:  # a fold in Python says in its own words what is wrong
        return [] if any(int(by_hand[1]) in (one.position, one.earliest) for one in problem.problems) else [told]
    named = re.match(r"event @(\d+): ", told)
    if named is None:
        return [f"the error names no event: {told}"]
    if not problem.problems:  # the order of events is at fault, not one of their values
        return [] if int(named[1]) == problem.position else [f"the error names another event: {told}"]
    here = [one for one in problem.problems if int(named[1]) in (one.position, one.earliest)]
    if not here:
        return [f"the error names an event that is none of {[one.position for one in problem.problems]}: {told}"]
    rest = told[named.end() :]
    if any(said(one, rest) for one in here):
        return []
    return [f"the error is not of {[(one.wanted, one.field, one.value) for one in here]}: {told}"]


def said(problem: Problem, told: str) -> bool:
    """Say whether a text tells of a problem: of what is wrong, of the field where it has one, of the value."""
    field = problem.field
    for value in _shown(problem.value):
        match problem.wanted:
            case "number":
                known = told.endswith(f" is not a number: {value}") or told == f"{value} is not a number"
            case "boolean":
                known = told.endswith(f" is neither true nor false: {value}")
                known |= told == f"{value} is neither true nor false"
            case "sum":
                known = told == f"{field} is not a number to add to: {value}"
            case "list":
                known = told == f"{field} is not a list to append to: {value}"
                known |= told in (f"{field} is not a list to append to", f"{field} is not a list to remove from")
            case "object":
                known = re.match("(merge|merge_patch|replace) takes an object", told) is not None
                known &= told.endswith((f" is {value}", " takes an object"))
            case "fit":
                known = "does not fit" in told and value in told
            case _:
                known = told.endswith("is not a time")
        if known:
            return True
    return False


def _shown(value: object) -> Iterator[str]:
    """Give the forms in which an error may show a value: its JSON text, cut off before or behind its quoting."""
    yield canonical_json(value)[:SHOWN]
    if isinstance(value, str):
        yield canonical_json(value[:SHOWN])
