"""Every small input that is kept beside the repository, held against what is expected of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.cases import CASES, case
from tests.support.cli_harness import esctl, good


class Facts(NamedTuple):
    """What is so of a case: of the named files (else all), read with some options into a store of their own."""

    files: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    code: int = 0
    told: tuple[str, ...] = ()  # on stderr
    events: Sequence[Mapping[str, Any]] | int = ()  # of each event some columns, in order; or how many there are
    states: Mapping[str, Mapping[str, Any]] = {}  # some fields of some entities


def dated(*times: str | None) -> list[dict[str, str | None]]:
    return [{"time": time} for time in times]


def days(month: str, count: int, clock: str = "00:00:00") -> list[dict[str, str | None]]:
    return dated(*[f"2024-{month}-{day + 1:02d}T{clock}Z" for day in range(count)])


X = {"entity": "x-1"}
FRACTION = dated("2024-03-05T02:14:42.123000Z", "2024-03-05T02:14:43Z")
MICROS = dated("2024-03-05T02:14:42.123456Z", "2024-03-05T02:14:43Z")
BOB = [{"entity": "bob", "actor": "arn:aws:iam::111122223333:user/adm"}] * 2
OKTA = [
    {"entity": entity, "actor": "adm@x.test"} for _ in range(3) for entity in ("User/bob@x.test", "UserGroup/Admins")
]
KEYED = Facts(
    ("kv.tsv",),
    events=[{"type": "CustomerRegistered", "time": "2024-03-01T09:00:00Z", "entity": "cust-1"}, {}, {}, {}],
)
SECONDS = [f"2024-03-01T00:00:0{second}Z" for second in range(8)]

FACTS: dict[str, list[Facts]] = {
    "01": [
        Facts(
            events=[
                {"type": "CustomerRegistered", "time": "2024-03-01T09:00:00Z"}, {"type": "LimitRaised"},
                {"entity": "cust-1"}, {"entity": "cust-2"},
            ],
            states={"cust-2": {"limit": 10}},
        )
    ],
    "02": [
        Facts(
            events=[
                {"time": "2024-06-02T05:40:02Z", "entity": "https://x/doc1", "actor": "ann@x.test"},
                {"time": "2024-06-11T00:15:00Z", "entity": "https://x/doc1", "actor": "bob@x.test"},
            ],
            states={"https://x/doc1": {"Size": 9007199254740993}},
        )
    ],
    "03": [Facts(events=4, states={"inv-1": {"Customer": "c-1", "Total": 90.05, "Reason": "line1\nline2"}})],
    "04": [
        Facts(
            events=[{"actor": "u7"}, {"actor": "u8"}],
            states={"acc-1": {"accountId": "acc-1", "owner": "O1", "amount": 12.5}},
        )
    ],
    "06": [Facts(events=[{**X, "type": "T", **at} for at in days("03", 3)], states={"x-1": {"n": 3}})],
    "08": [Facts(events=BOB)],
    "09": [Facts(told=("4 events of no entity are ignored",), states={"order-1": {"paid": 10, "total": 10}})],
    "10": [
        Facts(("d.jsonl",), events=[{"entity": "public.orders/7", **at} for at in days("03", 3, "09:00:00")] + [{}]),
        Facts(("p.jsonl",), events=[{"entity": "public.orders/7"}] * 3),
    ],
    "11": [
        Facts(
            (name,),
            events=[{"time": "2024-03-01T09:00:00Z", "id": "65e1a0000000000000000000"}, {}],
            states={"order-9": {"total": 12.3}},
        )
        for name in ("m.json", "r.json")
    ],
    "14": [Facts(told=("kubernetes_audit",), events=2)],
    "15": [Facts(events=[{"id": f"aa-{n}/{at}"} for n in (1, 2) for at in ("RequestReceived", "ResponseComplete")])],
    "16": [Facts(("old.json",), events=2), Facts(("items.json",), events=3), Facts(("items.pretty.json",), events=3)],
    "19": [Facts(events=days("03", 3))],
    "20": [
        Facts(("le.jsonl",), told=("read as UTF-16",), events=days("03", 3, "10:00:00")),
        Facts(("u.csv",), told=("read as UTF-16",), events=days("03", 2, "10:00:00")),
    ],
    "21": [
        Facts(
            options=("--map", "entity=konto", "--decimal", ","),
            events=dated("2024-03-01T09:00:00Z", "2024-03-13T10:00:00Z"),
        ),
        Facts(
            told=("to read them as numbers, in a store of its own: --decimal ,",),
            events=dated("2024-03-01T09:00:00Z", "2024-03-13T10:00:00Z"),
        ),
    ],
    "22": [Facts(("sep.csv",), events=2), Facts(("ps.csv",), events=1), Facts(("preamble.csv",), events=2)],
    "24": [Facts((name,), events=3) for name in ("logs.tar.gz", "logs.zip")],
    "25": [Facts(code=3, told=("1,990 new records are in the log",), events=1990)],
    "29": [Facts(events=2)],
    "30": [Facts(("cri.log",), events=3), Facts(("cw.log",), events=3), KEYED],
    "32": [Facts((name,), events=FRACTION) for name in ("e.jsonl", "i.jsonl")],
    "33": [
        Facts(("us.jsonl",), events=dated("2024-03-05T02:14:42Z", "2024-03-13T14:14:43Z")),
        Facts(("dmy.jsonl",), events=dated("2024-03-05T02:14:42Z", "2024-03-13T02:14:43Z")),
        Facts(("dot.jsonl",), events=dated("2024-03-05T02:14:42Z", "2024-03-13T02:14:00Z")),
        Facts(("ymd.jsonl",), events=dated("2024-03-05T02:14:42Z", "2024-03-06T02:14:43Z")),
        Facts(("ora.jsonl",), events=dated("2024-03-05T02:14:42.123456Z", "2024-03-05T14:14:43Z")),
        Facts(("mssql.jsonl",), events=dated("2024-03-05T02:14:00Z", "2024-03-13T14:14:00Z")),
        Facts(("ambig.jsonl",), code=2, told=("day-first", "month-first"), events=dated(None, None)),
        Facts(("ambig.jsonl",), ("--time-format", "%d/%m/%Y"), events=[{"time": "2024-03-05T02:14:42Z"}, {}]),
    ],
    "34": [
        Facts(("ft.jsonl",), events=MICROS),
        Facts(("ticks.jsonl",), events=MICROS),
        Facts(("dt.jsonl",), events=FRACTION),
    ],
    "36": [Facts(told=("1 event has no time",), events=dated(*SECONDS, None))],
    "38": [Facts(told=("newest_first",), states={"bob": {"role": "none"}})],
    "40": [Facts(states={"t-a/inv-1": {"Customer": "c-1"}, "t-b/inv-1": {"Customer": "c-9"}})],
    "41": [Facts(events=4)],
    "43": [Facts(told=("left out", "CloudTrail-Digest"), events=[{"entity": "iam.amazonaws.com"}, *BOB])],
    "44": [Facts(told=("out/manifest.json", "out/README.md"), events=[X])],
    "45": [
        Facts(("naive.jsonl",), ("--tz", "Europe/Vienna"), told=("that its clocks show twice",), events=6),
        Facts(("gap.jsonl",), ("--tz", "Europe/Vienna"), told=("1 that they never show",), events=3),
    ],
    "47": [Facts(events=[*dated(*SECONDS[:5]), *[X] * 5], states={"x-1": {"n": 14}})],
    "48": [Facts(events=OKTA)],
    "52": [Facts(events=days("03", 3, "10:00:00"))],
    "53": [Facts(events=2, states={"x-1": {"n": 2}})],
    "55": [Facts(events=[{"time": "2024-03-01T08:00:00Z", "entity": "n-1"}, {"entity": "n-1"}])],
    "56": [Facts(events=[*[{}] * 9, *dated("2016-12-31T23:59:59Z", *["2017-01-01T00:00:00Z"] * 2)])],
}  # fmt: skip
ELSEWHERE = {
    "12": "rows of change logs have tests of their own",
    "28": "strays between records have tests of their own",
    "51": "texts that are no Unicode have tests of their own",
}
"""Cases that no table tells."""


def test_each_case_is_told() -> None:
    if not CASES.is_dir():
        pytest.skip("the cases are not beside this repository")
    assert {path.name[:2] for path in CASES.iterdir() if path.is_dir()} <= {*FACTS, *ELSEWHERE}


@pytest.mark.parametrize(
    ("number", "facts"), [(number, each) for number, found in FACTS.items() for each in found],
    ids=[f"{number}-{'+'.join(each.files)}{each.code or ''}" for number, found in FACTS.items() for each in found],
)  # fmt: skip
def test_a_case_gives_what_is_expected_of_it(number: str, facts: Facts, tmp_path: Path) -> None:
    names = case(number, tmp_path)
    done = esctl("ingest", *(facts.files or names), *facts.options, cwd=tmp_path)
    assert done.code == facts.code, done.err
    assert [text for text in facts.told if text not in done.err] == [], done.err
    if facts.events:
        rows = good("log", "--columns", "time,type,entity,actor,id,invalid", "--limit", "5000", cwd=tmp_path).rows
        if isinstance(facts.events, int):
            assert sum(row["invalid"] is None for row in rows) == facts.events
        else:
            assert [{key: row[key] for key in each} for row, each in zip(rows, facts.events, strict=True)] == [
                dict(each) for each in facts.events
            ]
    if facts.states:
        states = {row["entity"]: row["state"] for row in good("replay", cwd=tmp_path).rows}
        assert {
            entity: {name: states[entity].get(name) for name in fields} for entity, fields in facts.states.items()
        } == facts.states


def test_a_message_that_is_null_deletes_what_it_is_of(tmp_path: Path) -> None:
    good("ingest", *case("01", tmp_path), cwd=tmp_path)
    before = good("replay", "--at", "2024-03-02T12:00:00Z", cwd=tmp_path).rows
    assert before[0]["state"] == {"limit": 250, "name": "N1"}


def test_an_event_is_found_by_its_request(tmp_path: Path) -> None:
    good("ingest", *case("15", tmp_path), cwd=tmp_path)
    assert len(good("show", "aa-1", cwd=tmp_path).rows) == 2


def test_two_records_that_are_alike_are_found(tmp_path: Path) -> None:
    good("ingest", *case("41", tmp_path), cwd=tmp_path)
    assert esctl("doctor", "--repeats", cwd=tmp_path).rows


def test_a_month_before_the_format_changed_can_be_asked(tmp_path: Path) -> None:
    good("ingest", *case("47", tmp_path), cwd=tmp_path)
    assert good("replay", "--at", "2024-03-15", cwd=tmp_path).rows[0]["state"] == {"n": 4}


def test_a_row_of_a_change_log_is_as_it_was(tmp_path: Path) -> None:
    case("10", tmp_path)
    good("ingest", "d.jsonl", cwd=tmp_path)
    totals = [
        row["state"]["total"]
        for at in ("2024-03-01T12:00:00Z", "2024-03-02T12:00:00Z", "2024-03-04")
        for row in good("replay", "--at", at, cwd=tmp_path).rows
    ]
    assert totals == [49.50, 25.50]
