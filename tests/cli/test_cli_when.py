"""The questions about moments, fields and reverts hold the contract of the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from esctl import Store
from esctl.ask.over_time.when import Moments, when
from tests.support.cli_harness import esctl, good, ingest_samples, plain_event, refused, write_lines

WHEN = [
    "entity",
    "kind",
    "start",
    "end",
    "position",
    "id",
    "type",
    "actor",
    "end_position",
    "end_id",
    "end_type",
    "end_actor",
]
BLAME = [
    "entity",
    "kind",
    "field",
    "value",
    "change",
    "contributions",
    "position",
    "time",
    "role",
    "type",
    "actor",
    "id",
]
REVERT = ["entity", "kind", "op", "field", "value", "from", "to", "undoes", "undoes_ids"]

MAPPED = """
[mapping]
id = "id"
type = "type"
time = "time"
entity = "stream"
sequence = "seq"
data = "data"
"""


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ingest_samples(tmp_path_factory.mktemp("when"))


@pytest.mark.parametrize(
    ("arguments", "columns"),
    [
        (["when", "reserved < 0", "-p", "sku"], WHEN),
        (["when", "reserved < 0", "-p", "sku", "--count"], ["entities", "intervals"]),
        (["series", "sum(balance)", "-p", "account", "--every", "1mo"], ["time", "value"]),
        (["series", "count(*)", "--by", "kind", "--every", "1mo"], ["time", "group", "value"]),
        (["blame", "account-017"], BLAME),
        (["revert", "account-017", "--to", "2024-03-04"], REVERT),
    ],
)
def test_columns_are_those_documented(samples: Path, arguments: list[str], columns: list[str]) -> None:
    rows = good(*arguments, cwd=samples).rows
    assert rows
    assert list(rows[0]) == columns
    header = good(*arguments, "-f", "csv", cwd=samples).text.splitlines()[0]
    assert header.split(",") == columns


def test_an_assertion_ends_with_1_when_it_ever_held(samples: Path) -> None:
    def code(*arguments: str) -> int:
        return esctl("when", *arguments, "-q", cwd=samples).code

    assert code("reserved < 0", "-p", "sku", "--exit-code") == 1
    assert code("reserved < 0", "-p", "sku") == 0
    assert code("balance < 0", "-p", "account", "--exit-code") == 0
    assert code("reserved < 0", "-p", "sku", "--exit-code", "--from", "2024-02-15") == 0
    assert code("reserved < 0", "-p", "sku", "--exit-code", "--from", "2024-02-10") == 1  # it holds already
    assert code("reserved < 0", "-p", "sku", "--exit-code", "--without", "position = 6478") == 0


def test_an_assertion_reads_as_a_check_in_ci(samples: Path) -> None:
    document = json.loads(good("when", "reserved < 0", "-p", "sku", "-f", "sarif", cwd=samples).text)
    (result,) = document["runs"][0]["results"]
    assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "sku-1007"
    text = good("when", "balance < 0", "-p", "account", "-f", "junit", cwd=samples).text
    assert 'failures="0"' in text


def test_all_entities_are_asked_in_one_scan_and_their_moments_in_another(tmp_path: Path) -> None:
    write_lines(tmp_path / "log.jsonl", [plain_event(number, f"thing-{number % 7}") for number in range(50)])
    good("ingest", "log.jsonl", cwd=tmp_path)
    store = Store.open(tmp_path / ".esctl")
    answer = when(store.scope(), Moments("n > 20", "every"))
    (explained,) = [text for _, text in store.connection.execute(f"EXPLAIN {answer.sql}").fetchall()]
    assert explained.count("READ_PARQUET") == 2


def test_a_point_of_a_series_is_the_sum_over_the_states_of_then(samples: Path) -> None:
    rows = good("series", "sum(balance)", "-p", "account", "--every", "1mo", cwd=samples).rows
    for row in rows:
        states = good("replay", "-p", "account", "--at", row["time"], cwd=samples).rows
        total = sum(round(state["state"]["balance"] * 100) for state in states)
        assert round(row["value"] * 100) == total


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["when", "nowhere > 1", "-p", "sku"], 2, "nowhere"),
        (["when", "reserved <", "-p", "sku"], 2, "PREDICATE"),
        (["when", "reserved < 0", "--first", "--last"], 2, "--first"),
        (["when", "balance < 0", "account-0177"], 4, "account-0177"),
        (["series", "balance", "-p", "account"], 2, "balance"),
        (["series", "sum(balance)", "--every", "7x"], 2, "7x"),
        (["series", "sum(balance)", "-p", "account", "--every", "1s"], 2, "points"),
        (["blame"], 2, "ENTITY"),
        (["blame", "account-0177"], 4, "account-0177"),
        (["blame", "account-017", "--field", "balanse"], 4, "balanse"),
        (["revert", "account-017"], 2, "--to"),
    ],
)
def test_mistakes_are_told_in_two_lines(samples: Path, arguments: list[str], code: int, message: str) -> None:
    assert message in refused(*arguments, "-q", code=code, cwd=samples)[0]


def test_bounds_by_event_or_sequence_are_those_by_position(tmp_path: Path) -> None:
    events = [{**plain_event(n, f"thing-{n % 2}", n=n // 2 % 2), "seq": 10 * n} for n in range(24)]
    write_lines(tmp_path / "a.jsonl", events)
    (tmp_path / "esctl.toml").write_text(MAPPED)
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)

    def moments(start: str, end: str, *options: str) -> bytes:
        return good("when", "n = 1", "--every", "--from", start, "--to", end, *options, cwd=tmp_path).out

    for first, last in ((0, 23), (3, 15), (6, 7)):
        for options in ((), ("--each-event",)):
            wanted = moments(f"@{first + 1}", f"@{last + 1}", *options)
            assert 0 < wanted.count(b"\n") < 13
            assert moments(f"id:evt-{first}", f"id:evt-{last}", *options) == wanted
            assert moments(f"seq:{10 * first}", f"seq:{10 * last}", *options) == wanted
