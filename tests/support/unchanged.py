"""Changes of a log, its rules or its store that leave every answer as it was, whatever way the engine then takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

from esctl.ask.states.save import save_snapshots
from esctl.errors import UsageError
from esctl.log.commits import open_log
from esctl.maintain.compact import compact
from esctl.model import AsOf
from esctl.saved_states.files import Shelf
from tests.support.engine_harness import render
from tests.support.ground import Ground, ground, projection_of
from tests.support.stepped import MERGE, UNMATCHED, Table, many_keys, with_rule
from tests.support.wide_digits import FAR, OTHER, RULES, Commits, Record, Spread

UNRELATED = "zz-9"
"""An entity that nobody asks about."""


def as_they_are(commits: Commits, random: Random) -> Commits:
    return commits


def as_it_is(made: Ground, random: Random) -> Ground:
    return made


@dataclass(frozen=True)
class Change:
    """What becomes of arrivals, rules and store; `rules`: it means nothing under others than these."""

    arrivals: Callable[[Commits, Random], Commits] = as_they_are
    table: Callable[[str], Table | None] = RULES.__getitem__
    store: Callable[[Ground, Random], Ground] = as_it_is
    rules: tuple[str, ...] = tuple(RULES)
    eager: bool = False
    named: bool = False  # other entities' states cannot be read as a question needs


def event(commits: Commits, **data: Any) -> Record:
    """Make an event of the unrelated entity, at the time of the first there is: no grid of times changes."""
    time = commits[0][0][1][0]["time"]
    return {"id": "zz", "type": "Set", "time": time, "stream": UNRELATED, "actor": "bob", "data": data}


def appended(*records: Any) -> Callable[[Commits, Random], Commits]:
    """Let records arrive last, in a file of their own."""
    return lambda commits, random: (*commits, (("zz.jsonl", records),))


def far(commits: Commits, random: Random) -> Commits:
    numbers = [random.choice(FAR) for _ in range(3)]
    return appended(event(commits, n=numbers[0], m=numbers[1], unseen=numbers[2]))(commits, random)


def many(commits: Commits, random: Random) -> Commits:
    return appended(event(commits, **many_keys()))(commits, random)


def odd(commits: Commits, random: Random) -> Commits:
    values = [random.choice((*OTHER, *OTHER, "1e40")) for _ in range(2)]
    return appended(event(commits, n=values[0], m=values[1], other=values))(commits, random)


def again(commits: Commits, random: Random) -> Commits:
    records = [record for commit in commits for _, several in commit for record in several]
    return appended(random.choice(records))(commits, random)


def with_field(commits: Commits, random: Random) -> Commits:
    def more(record: Record) -> Record:
        return {**record, "data": {**record["data"], "unseen": random.choice((*FAR, *OTHER))}}

    return tuple(tuple((file, tuple(map(more, several))) for file, several in commit) for commit in commits)


def one_by_one(commits: Commits, random: Random) -> Commits:
    records = [record for commit in commits for _, several in commit for record in several]
    return tuple(((random.choice(["x.jsonl", "y.jsonl", "z.jsonl"]), (record,)),) for record in records)


def at_once(commits: Commits, random: Random) -> Commits:
    return ((("x.jsonl", tuple(record for commit in commits for _, several in commit for record in several)),),)


def compacted(made: Ground, random: Random) -> Ground:
    engine = made.engine
    compact(engine.store_state.path, engine.updater)
    store_state = open_log(engine.store_state.path).read()
    return replace(made, engine=replace(engine, store_state=store_state, view=engine.updater.run(store_state)))


def reindexed(made: Ground, random: Random) -> Ground:
    return replace(made, engine=made.engine.rebuilt())


def snapshotted(made: Ground, random: Random) -> Ground:
    """Make a snapshot of states somewhere in the log, for answers to go on from."""
    engine = made.engine
    shelf = Shelf(engine.store_state.path, "test", engine.store_state, always=True)
    made = replace(made, engine=replace(engine, shelf=shelf))
    number = random.randint(1, engine.store_state.head)
    with suppress(UsageError):  # states that are wrong there
        save_snapshots(made.engine.scope(), AsOf("", "position", number=number), "user", render)
    return made


def false_rule(rules: str) -> Table:
    """Add a rule that all events match but for its condition, and that would make the fold stepped."""
    table = RULES[rules] or MERGE
    return {**table, "on": {**table["on"], "?*": {"when": "type = 'Never'", "merge_patch": "data"}}}


def spelled(rules: str) -> Table | None:
    """Write the default projection out, or declare the type of a field that there is none of."""
    table = RULES[rules]
    return MERGE if table is None else {**table, "types": {"unseen": "varchar"}}


CHANGES: Mapping[str, Change] = {
    **{f"{name} rule": Change(table=partial(with_rule, body=name)) for name in UNMATCHED},
    "false rule": Change(table=false_rule),
    "spelled out": Change(table=spelled),
    "far record": Change(far),
    "odd record": Change(odd, named=True),
    "odd record, patched rule": Change(odd, named=True, table=partial(with_rule, body="patched")),
    "many keys": Change(many),
    "delivered again": Change(again),
    "invalid line": Change(appended(b'{"stream": "a-1", "data": {"n": 01}}')),
    "more in each event": Change(with_field, rules=tuple(name for name in RULES if name != "merge")),
    "one by one": Change(one_by_one, eager=True),
    "at once": Change(at_once),
    "compacted": Change(store=compacted),
    "compacted, one by one": Change(one_by_one, store=compacted, eager=True),
    "far record, compacted": Change(far, store=compacted, eager=True),
    "reindexed": Change(store=reindexed),
    "snapshot": Change(store=snapshotted),
    "snapshot, one by one": Change(one_by_one, store=snapshotted, eager=True),
}
KINDS = {
    "rules": [name for name, change in CHANGES.items() if change.arrivals is as_they_are and change.store is as_it_is],
    "arrivals": [name for name, change in CHANGES.items() if change.arrivals is not as_they_are],
    "store": [name for name, change in CHANGES.items() if change.store is not as_it_is],
}


@contextmanager
def changed(log: Spread, change: Change, random: Random) -> Iterator[Ground]:
    """Lay the store of a log with a change."""
    commits = change.arrivals(log.commits, random)
    with ground(commits, projection_of(change.table(log.rules)), eager=change.eager) as made:
        yield change.store(made, random)
