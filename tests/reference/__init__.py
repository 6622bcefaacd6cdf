"""Fold event logs the slow and obvious way: the judge of the real engine.

Plain Python, one event at a time, dicts and Decimal, written from the specification of mappings, fold order and
projections; it shares no code with `esctl`. Where both disagree, one of them is wrong, and this one is short enough
to be read against the specification.

    reference = Reference(projection, mapping)      # tables as tomllib gives them; projection None: merge of data
    rows = reference.events(records, recorded_at)   # one Event per record and entity it concerns
    reference.replay(at="2024-02-01T00:00:00Z")     # {(kind, entity): State}
    reference.audit("account-1")                    # the trail, one AuditRow per event
    reference.diff({"position": 3}, {})             # {(entity, field): FieldDiff}

Files: `values` (JSON values: equality, exact numbers, texts), `times` (time texts), `expressions` and `evaluation` (the
grammar of values and `when`, and what a tree gives), `mapping` (records to events), `rules` (a projection to
operations), `operations` (what each does to a state), `fold` (Reference).

Choices where the specification leaves room: `and`/`or` settle left to right, so what comes after a settled part is not
read; greatest and least pass over NULL; concat too; a path beside text is text; a cast that loses digits is an error
(try_cast: NULL); null in the record counts as absent for envelope fields; a sequence bound with fewer parts than the
sequences compares just those; `remove` onto a missing field leaves an empty list.

Values: numbers are `int` or `Decimal`, `None` is JSON null, `MISSING` is absent; times are integers, microseconds since
the epoch in UTC. Compare states with `same`, never with `==` (in Python `True == 1`).
"""

from .fold import AuditRow, FieldDiff, Reference, State
from .mapping import Event
from .values import MISSING, ConfigError, FoldError, canonical_json, canonical_number, same

__all__ = [
    "MISSING",
    "AuditRow",
    "ConfigError",
    "Event",
    "FieldDiff",
    "FoldError",
    "Reference",
    "State",
    "canonical_json",
    "canonical_number",
    "same",
]
