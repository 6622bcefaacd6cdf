"""The reference fold itself, by small logs worked out by hand and by logs other systems have folded."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.reference import MISSING, ConfigError, FoldError, Reference, State, same
from tests.reference.operations import merge_patch
from tests.reference.values import parse

MAPPING = {"id": "id", "type": "type", "time": "time", "entity": "stream", "actor": "actor", "data": "data"}
TRANSFERS = {**MAPPING, "entities": {"from": "data.from", "to": "data.to"}}
ACCOUNT = {
    "entities": "account-*",
    "types": {"balance": "decimal(18,2)"},
    "on": {
        "AccountOpened": {"set": {"owner": "data.owner", "balance": 0, "status": "'open'"}},
        "MoneyDeposited": {"add": {"balance": "data.amount"}},
        "Money*": {"when": "data.amount > 100", "append": {"large": "{'by': actor, 'amount': data.amount}"}},
        "MoneyTransferred[from]": {"subtract": {"balance": "data.amount"}},
        "MoneyTransferred[to]": {"add": {"balance": "data.amount"}},
        "AccountClosed": {"delete": True},
    },
}


def event(kind: str, stream: str | None = "account-1", day: int = 1, /, **data: Any) -> dict[str, Any]:
    where = {} if stream is None else {"stream": stream}
    return {"type": kind, "time": f"2024-01-{day:02}T00:00:00Z", **where, "actor": "ann", "data": data}


def folded(projection: Any, records: list[Any], mapping: Any = MAPPING, **bounds: Any) -> dict[str, State]:
    reference = Reference(projection, mapping)
    reference.events(records)
    return {entity: state for (_, entity), state in reference.replay(**bounds).items()}


def state_of(on: Any, *payloads: Any, types: Any = None) -> Any:
    """Fold payloads as events of type E of one entity; a payload (type, payload) has another type."""
    pairs = [payload if isinstance(payload, tuple) else ("E", payload) for payload in payloads]
    records = [{"type": name, "stream": "x-1", "data": payload} for name, payload in pairs]
    return folded({"on": on, "types": types or {}}, records)["x-1"].state


BANK = [
    event("AccountOpened", "account-1", 1, owner="Harbour Bakery"),
    event("AccountOpened", "account-2", 1, owner="Mill Lane Garage"),
    event("MoneyDeposited", "account-1", 2, amount=Decimal("250.10")),
    event("MoneyTransferred", None, 3, amount=Decimal("0.20"), **{"from": "account-1", "to": "account-2"}),
    event("MoneyTransferred", None, 4, amount=200, **{"from": "account-1", "to": "account-1"}),
    event("Audited", "account-2", 5),
    event("Opened", "ledger-1", 5),
]


def test_bank() -> None:
    states = folded(ACCOUNT, BANK, TRANSFERS)
    assert set(states) == {"account-1", "account-2"}
    one, two = states["account-1"], states["account-2"]
    large = [{"by": "ann", "amount": Decimal("250.10")}, {"by": "ann", "amount": 200}, {"by": "ann", "amount": 200}]
    assert same(one.state, {"owner": "Harbour Bakery", "balance": Decimal("249.9"), "status": "open", "large": large})
    assert (one.kind, one.version, one.position, one.deleted) == ("account", 4, 5, False)
    assert same(two.state, {"owner": "Mill Lane Garage", "balance": Decimal("0.2"), "status": "open"})
    assert (two.version, two.position, two.time) == (3, 6, 1_704_412_800_000_000)


def test_a_self_transfer_is_one_event_with_two_roles() -> None:
    reference = Reference(ACCOUNT, TRANSFERS)
    reference.events(BANK)
    row = reference.audit("account-1")[-1]
    assert (row.role, row.roles, row.version) == ("from", ("from", "to"), 4)
    assert [change["field"] for change in row.changes] == ["large"]


def test_an_event_without_an_entity_is_not_folded() -> None:
    reference = Reference(ACCOUNT, TRANSFERS)
    rows = reference.events([event("AccountOpened", None, 1, owner="nobody")])
    assert [(row.entity, row.folded) for row in rows] == [(None, False)]
    assert reference.replay() == {}


def test_reopening_starts_anew() -> None:
    on = {"Close": {"delete": True}, "*": {"set": {"a": "data.a"}, "add": {"n": "data.n"}}}
    records = [event("Open", a=1, n=1), event("Close", a=2, n=2), event("Note"), event("Open", n=5)]
    assert folded({"on": on}, records, version=1)["account-1"].state == {"a": 1, "n": 1}
    closed = folded({"on": on}, records, version=2)["account-1"]
    assert (closed.state, closed.deleted, closed.version) == ({}, True, 2)
    reopened = folded({"on": on}, records, version=3)["account-1"]
    assert (reopened.state, reopened.deleted, reopened.version) == ({}, False, 3)
    assert same(folded({"on": on}, records)["account-1"].state, {"n": 5})


def test_rules_apply_in_file_order() -> None:
    on = {
        "*": {"set": {"x": "1"}},
        "E": {"add": {"x": "data.n"}, "set": {"y": "data.n", "z": "'first'"}},
        "E*": {"set": {"z": "'last'"}},
    }
    assert same(state_of(on, {"n": 2}), {"x": 3, "y": 2, "z": "last"})


def test_several_rules_may_have_one_pattern_and_apply_in_file_order() -> None:
    one, two = {"set": {"x": "data.n"}}, {"when": "data.n > 1", "set": {"x": "'large'"}}
    for on in ({"E": [one, two]}, [{"type": "E", **one}, {"type": "E", **two}]):
        assert same(state_of(on, {"n": 2}), {"x": "large"})
        assert same(state_of(on, {"n": 1}), {"x": 1})
    assert same(state_of([{"type": "E", **two}, {"type": "E*", **one}], {"n": 2}), {"x": 2})


def test_missing_is_no_operation_and_null_is_null() -> None:
    on = {"E": {"set": {"a": "data.a", "b": "data.b || ''"}}}
    assert same(state_of(on, {"a": 1}), {"a": 1, "b": None})
    assert same(state_of(on, {"a": 1, "b": "x"}, {"a": None}), {"a": None, "b": None})
    assert same(state_of(on, {"a": 1}, {}), {"a": 1, "b": None})
    assert same(state_of({"E": {"add": {"n": "data.n"}}}, {"n": None}, {}), {})
    assert same(state_of({"E": {"append": {"l": "data.x"}}}, {"x": None}, {}), {"l": [None]})


def test_accumulating() -> None:
    on = {
        "E": {
            "add": {"sum": "data.n"},
            "min": {"low": "data.n"},
            "max": {"high": "data.n"},
            "count": {"k": "data.flag", "all": True},
        }
    }
    got = state_of(
        on, {"n": Decimal("0.1"), "flag": False}, {"n": "0.2", "flag": 0}, {"n": None}, {"n": -3, "flag": True}, {}
    )
    assert same(got, {"sum": Decimal("-2.7"), "low": -3, "high": Decimal("0.2"), "k": 2, "all": 5})


def test_28_digits_are_exact() -> None:
    on = {"E": {"add": {"sum": "data.n"}}}
    got = state_of(on, {"n": Decimal("12345678901234567890.12345678")}, {"n": Decimal("0.00000001")})
    assert same(got, {"sum": Decimal("12345678901234567890.12345679")})


def test_lists() -> None:
    on = {"E": {"append": {"l": "data.add"}, "remove": {"l": "data.drop"}}}
    got = state_of(on, {"add": 1}, {"add": {"k": 1}}, {"add": Decimal("1.0")}, {"add": True}, {"drop": 1})
    assert same(got, {"l": [{"k": 1}, True]})
    assert same(state_of(on, {"add": {"k": 1}}, {"drop": {"k": Decimal("1.0")}}), {"l": []})
    assert same(state_of(on, {"drop": 1}), {"l": []})


def test_whole_state_operations() -> None:
    on = {
        "M": {"merge": "data"},
        "P": {"merge_patch": "data"},
        "R": {"replace": "data.all"},
        "U": {"unset": ["a", "b"]},
    }
    deep = {"a": {"x": 1, "y": 2}, "b": None}
    assert same(state_of(on, ("M", deep), ("M", {"a": {"z": 3}})), {"a": {"z": 3}, "b": None})
    assert same(
        state_of(on, ("M", deep), ("P", {"a": {"x": None, "z": {"w": None}}})), {"a": {"y": 2, "z": {}}, "b": None}
    )
    assert same(state_of(on, ("M", deep), ("R", {"all": {"c": 1}})), {"c": 1})
    assert same(state_of(on, ("M", deep), ("R", {}), ("R", {"all": None})), deep)
    assert same(state_of(on, ("M", {**deep, "c": 1}), ("U", {})), {"c": 1})


def test_without_a_projection_data_is_merged() -> None:
    records: list[Any] = [event("A", x=1, y={"z": 1}), {"stream": "account-1"}, event("B", y=None)]
    assert same(folded(None, records)["account-1"].state, {"x": 1, "y": None})
    odd = [event("A", x=1), {"stream": "account-1", "data": [1]}]
    assert same(folded(None, odd)["account-1"].state, {"x": 1})
    assert same(
        folded({"on": {"*": {"merge": "data"}}}, [odd[0], {**odd[1], "type": "B"}])["account-1"].state, {"x": 1}
    )


@pytest.mark.parametrize(
    ("on", "payloads"),
    [
        ({"E": {"set": {"n": "data.s"}}, "F": {"add": {"n": "data.n"}}}, [{"s": None}, ("F", {"n": 1})]),
        ({"E": {"set": {"n": "data.s"}}, "F": {"add": {"n": "data.n"}}}, [{"s": "12"}, ("F", {"n": 1})]),
        ({"E": {"set": {"n": "data.s"}}, "F": {"append": {"n": "data.n"}}}, [{"s": "12"}, ("F", {"n": 1})]),
        ({"E": {"add": {"n": "data.n"}}}, [{"n": "twelve"}]),
        ({"E": {"add": {"n": "data.n"}}}, [{"n": True}]),
        ({"E": {"max": {"n": "data.n"}}}, [{"n": [1]}]),
        ({"E": {"merge": "data.n"}}, [{"n": 1}]),
        ({"E": {"merge_patch": "data.n"}}, [{"n": [1]}]),
        ({"E": {"replace": "data.n"}}, [{"n": "x"}]),
        ({"E": {"when": "data.n", "set": {"x": "1"}}}, [{"n": "true"}]),
    ],
)
def test_errors_name_the_event(on: Any, payloads: list[Any]) -> None:
    with pytest.raises(FoldError) as caught:
        state_of(on, *payloads)
    assert (caught.value.position, caught.value.entity, caught.value.shadowed) == (len(payloads), "x-1", False)


def test_an_error_that_is_set_over_is_shadowed() -> None:
    on = {"E": {"add": {"n": "data.n"}}, "S": {"set": {"n": "0"}}, "D": {"delete": True}}
    for last in ("S", "D"):
        with pytest.raises(FoldError) as caught:
            state_of(on, {"n": "x"}, {"n": 1}, (last, {}))
        assert (caught.value.position, caught.value.shadowed) == (1, True)


def test_declared_types_convert() -> None:
    on = {"E": {"set": {"n": "data.s"}}, "F": {"add": {"n": "data.n"}}}
    types = {"n": "decimal(18,2)"}
    assert same(state_of(on, {"s": "12.5"}, ("F", {"n": "0.25"}), types=types), {"n": Decimal("12.75")})
    with pytest.raises(FoldError):
        state_of(on, {"s": "12.5"}, ("F", {"n": "0.255"}), types=types)


@pytest.mark.parametrize(
    "on",
    [
        {"E": {"add": {"n": "1"}}, "F": {"min": {"n": "1"}}},
        {"E": {"append": {"n": "1"}, "count": {"n": "1"}}},
        {"E": {"increase": {"n": "1"}}},
        {"E": {"set": {"n": "1 +"}}},
        {"E": {"set": "n"}},
        {"E": {"delete": "yes"}},
    ],
)
def test_a_projection_that_means_nothing(on: Any) -> None:
    with pytest.raises(ConfigError):
        Reference({"on": on}, MAPPING)


LATE: list[Any] = [
    {"id": "a", "type": "S", "time": "2024-01-02T00:00:00Z", "stream": "x-1", "seq": 1, "data": {"v": 1}},
    {"id": "b", "type": "S", "time": "2024-01-01T00:00:00Z", "stream": "x-1", "seq": 10, "data": {"v": 2}},
    {"id": "c", "type": "S", "time": "2024-01-02T00:00:00Z", "stream": "x-1", "seq": "9", "data": {"v": 3}},
]


@pytest.mark.parametrize(
    ("order", "bounds", "value"),
    [
        ("time", {}, 3),
        ("position", {}, 3),
        ("sequence", {}, 2),
        ("time", {"at": "2024-01-01"}, 2),
        ("time", {"before": "2024-01-02T01:00:00+01:00"}, 2),
        ("time", {"at": "2024-01-02T00:00:00Z"}, 3),
        ("position", {"at": "2024-01-01"}, 2),
        ("time", {"position": 1}, 1),
        ("time", {"position": 2}, 1),
        ("position", {"position": 2}, 2),
        ("time", {"version": 1}, 2),
        ("sequence", {"version": 2}, 3),
        ("sequence", {"sequence": "9"}, 3),
        ("time", {"sequence": "9"}, 3),
        ("sequence", {"sequence": 1}, 1),
        ("time", {"known_at": 15}, 1),
        ("position", {"known_at": 25}, 2),
        ("time", {"known_at": 25, "at": "2024-01-01"}, 2),
    ],
)
def test_order_and_bounds(order: str, bounds: Any, value: int) -> None:
    reference = Reference(None, {**MAPPING, "sequence": "seq", "order": order})
    reference.events(LATE, [10, 20, 30])
    assert same(reference.replay(**bounds)["x", "x-1"].state, {"v": value})


def test_order_by_sequence_needs_one() -> None:
    with pytest.raises(FoldError, match="sequence"):
        folded(None, [event("A", x=1)], {**MAPPING, "sequence": "seq", "order": "sequence"})


def test_audit() -> None:
    on = {"*": {"set": {"a": "data.a", "b": "data.b"}}, "End": {"delete": True}}
    reference = Reference({"on": on}, MAPPING)
    reference.events([event("E", a=1), event("E", a=Decimal("1.0"), b=None), event("End"), event("E", b=2)])
    trail = reference.audit("account-1")
    assert [row.changes for row in trail] == [
        ({"field": "a", "after": 1},),
        ({"field": "b", "after": None},),
        ({"field": "a", "before": Decimal("1.0")}, {"field": "b", "before": None}),
        ({"field": "b", "after": 2},),
    ]
    assert [(row.version, row.type, row.actor, row.deletes) for row in trail] == [
        (1, "E", "ann", False),
        (2, "E", "ann", False),
        (3, "End", "ann", True),
        (4, "E", "ann", False),
    ]


def test_diff() -> None:
    on = {"*": {"add": {"n": "data.n"}, "set": {"s": "data.s"}}, "End": {"delete": True}}
    reference = Reference({"on": on}, MAPPING)
    reference.events(
        [
            event("E", "a-1", 1, n=1, s="x"),
            event("E", "a-1", 2, n=2, s="x"),
            event("E", "a-1", 2, n=0),
            event("E", "a-2", 1, s="y"),
            event("End", "a-2", 2),
            event("E", "a-3", 2, s="z"),
            event("E", "a-1", 3, n=4),
        ]
    )
    one, two = {"at": "2024-01-01"}, {"at": "2024-01-02"}
    assert reference.diff(one, two) == {
        ("a-1", "n"): ("changed", 1, 3, (2, 3), (2,)),
        ("a-2", "s"): ("deleted", "y", MISSING, (5,), (5,)),
        ("a-3", "s"): ("created", MISSING, "z", (6,), (6,)),
    }
    assert reference.diff(two, one)["a-1", "n"] == ("changed", 3, 1, (2, 3), (2,))
    assert reference.diff(two, one)["a-2", "s"] == ("created", MISSING, "y", (5,), (5,))
    assert reference.changes(one, two) == {("a", "a-1"): "changed", ("a", "a-2"): "deleted", ("a", "a-3"): "created"}


def test_rfc7396_appendix_a(real_logs: Path) -> None:
    cases = json.loads((real_logs / "suites" / "rfc7396" / "appendix_a.json").read_text())
    assert len(cases) == 15
    for case in cases:
        assert same(merge_patch(case["original"], case["patch"]), case["result"])


def test_git_trees(real_logs: Path) -> None:
    """A history whose trees git itself lists after each checkpoint: renames concern two entities."""
    folder = real_logs / "git_harlequin"
    read = zstandard.ZstdDecompressor()
    lines = read.stream_reader((folder / "events.jsonl.zst").read_bytes()).read().splitlines()
    mapping = {
        "type": "type", "time": "monotonic_time", "sequence": "seq", "order": "sequence", "data": "record",
        "entities": {"from": "old_path", "path": "path"},
    }  # fmt: skip
    keep = {"set": {"mode": "data.mode", "blob": "data.blob"}}
    projection = {"on": {"FileDeleted": {"delete": True}, "FileRenamed[from]": {"delete": True}, "*[path]": keep}}
    reference = Reference(projection, mapping)
    reference.events([line.decode() for line in lines])
    for point in json.loads((folder / "checkpoints.json").read_text())["checkpoints"][-3:]:
        tree = read.stream_reader((folder / point["file"]).read_bytes()).read().decode()
        states = reference.replay(sequence=point["last_seq"])
        got = {(s.state["mode"], s.state["blob"], path) for (_, path), s in states.items() if not s.deleted}
        assert got == {tuple(line.split("\t")) for line in tree.splitlines()}


def test_states_of_the_eventsourcing_library(real_logs: Path) -> None:
    """Bank accounts and dogs as the library that stored them rebuilds them, balances exact."""
    folder = real_logs / "eventsourcing_lib"
    projection = {
        "types": {"balance": "decimal(38,2)"},
        "on": {
            "*.Opened": {"set": {"full_name": "data.full_name", "balance": 0, "is_closed": False}},
            "*.Credited": {"add": {"balance": "data.amount._data_"}},
            "*.Debited": {"subtract": {"balance": "data.amount._data_"}},
            "*.Closed": {"set": {"is_closed": True}},
            "*.Registered": {"set": {"name": "data.name", "tricks": "[]"}},
            "*.TrickAdded": {"append": {"tricks": "data.trick"}},
            "*.Renamed": {"set": {"name": "data.name"}},
        },
    }
    mapping = {
        "id": "id", "type": "topic", "time": "state.timestamp._data_", "entity": "originator_id", "data": "state",
        "sequence": "id", "order": "sequence",
    }  # fmt: skip
    reference = Reference(projection, mapping)
    reference.events((folder / "events.jsonl").read_text(encoding="utf-8").splitlines())
    states = reference.replay()
    expected = [parse(line) for line in (folder / "state_end.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(states) == len(expected)
    for want in expected:
        got = states["entity", want["_id"]]
        assert got.version == want["_version"]
        for field, value in got.state.items():
            assert same(Decimal(want[field]) if field == "balance" else want[field], value)
