"""Questions about all states there ever were: what is read, what holds in which bounds, what is refused and drawn."""

from __future__ import annotations

import builtins
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from esctl import Store
from esctl.ask.over_time.series import Sampling, series
from esctl.ask.over_time.when import Moments, when
from tests.support.cli_harness import esctl, good, on_terminal, plain_event, refused, write_lines

OVERSOLD = ("when", "reserved < 0", "-p", "sku", "--every")


def test_a_shelf_was_oversold_and_counted(samples: Path) -> None:
    row = good(*OVERSOLD, cwd=samples).row
    assert (row["entity"], row["type"], row["end_type"]) == (
        "sku-1007",
        "shop.inventory.shipped",
        "shop.inventory.counted",
    )
    before = good("replay", "sku-1007", "--before", row["start"], cwd=samples).row["state"]["reserved"]
    at, until = (good("replay", "sku-1007", "--at", row[end], cwd=samples).row["state"] for end in ("start", "end"))
    assert before >= 0 > at["reserved"]
    assert until["reserved"] >= 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 1),
        (["--count"], 1),
        (["--limit", "0"], 1),
        (["--last", "-f", "csv"], 1),
        (["sku-1001"], 0),
        (["--count", "sku-1001"], 0),
        (["--to", "2024-02-08"], 0),
        (["--from", "2024-02-10"], 1),  # it held there, from before
        (["--from", "2024-02-10", "--count"], 1),
        (["--from", "2024-02-15"], 0),
        (["--from", "2024-02-14T08:00:00Z"], 0),  # it ended at that very instant
    ],
)
def test_the_exit_code_tells_whether_it_held(samples: Path, arguments: list[str], code: int) -> None:
    done = esctl("when", "reserved < 0", "-p", "sku", "--exit-code", *arguments, cwd=samples)
    assert done.code == code, done.err


def test_what_held_before_the_bound_is_told(samples: Path) -> None:
    done = esctl(*OVERSOLD, "--from", "2024-02-10", "--exit-code", cwd=samples)
    assert (done.code, done.out) == (1, b"")
    assert "it held at --from already" in done.err
    assert good(*OVERSOLD, "--from", "2024-02-10", "--count", cwd=samples).row == {"entities": 0, "intervals": 0}


def test_every_event_of_an_instant_counts_as_one_moment_unless_asked_for(tmp_path: Path) -> None:
    events = [{**plain_event(number, n=n), "time": "2024-01-02T00:00:00Z"} for number, n in enumerate((1, 9, 2))]
    write_lines(tmp_path / "log.jsonl", events)
    good("ingest", "log.jsonl", "-q", cwd=tmp_path)
    assert good("when", "n > 5", cwd=tmp_path).rows == []
    row = good("when", "n > 5", "--each-event", cwd=tmp_path).row
    assert (row["position"], row["end_position"]) == (2, 3)


def test_findings_go_where_checks_are_shown(samples: Path) -> None:
    (run,) = json.loads(good(*OVERSOLD, "-f", "sarif", cwd=samples).text)["runs"]
    (result,) = run["results"]
    assert result["ruleId"] == "when"
    assert result["message"]["text"].startswith("reserved < 0 from 2024-02-09T15:48:51Z until 2024-02-14T08:00:00Z")
    assert "sku-1007" in json.dumps(result)
    assert good(*OVERSOLD, "-f", "junit", cwd=samples).text.count("<failure") == 1


def test_a_table_fits_a_terminal(samples: Path) -> None:
    shown, code = on_terminal(*OVERSOLD, "--color", "never", cwd=samples)
    assert code == 0
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert re.search(r"^sku-1007 +2024-02-09 +2024-02-14 ", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["when", "balanc < 0", "-p", "account"], "no field 'balanc'"),
        (["when", "balance <", "-p", "account"], "is not an SQL expression"),
        (["when", "sum(balance) > 1", "-p", "account"], "not allowed"),
        (["when", "1"], "PREDICATE: '1': a number value is neither true nor false"),
        (["replay", "--where", "1"], "--where: '1': a number value is neither true nor false"),
        (["log", "--where", "type"], "--where: 'type': a text value is neither true nor false"),
        (["replay", "--without", "upper(type)"], "--without: 'upper(type)': a text value is neither"),
        (["when", "balance < 0", "--first", "--last"], "more than one of"),
        (["when", "balance < 0", "--from", "version:3", "-p", "account"], "is not a bound"),
        (["series", "balance", "-p", "account"], "has no aggregate"),
        (["series", "sum(balance) + owner", "-p", "account"], "'owner' stands outside"),
        (["series", "sum(sum(balance))", "-p", "account"], "not allowed"),
        (["series", "median(balance)", "-p", "account"], "can be sampled"),
        (["series", "sum((select 1))", "-p", "account"], "not allowed"),
        (["series", "count(*); select 1"], "is not one SQL expression"),
        (["series", "count(*)", "--every", "7h"], "does not divide a day"),
        (["series", "count(*)", "--every", "1s", "--from", "2020-01-01"], "more than 100,000 points"),
        (["series", "count(*)", "--from", "@3"], "is not a bound of a grid"),
        (["series", "count(*)", "--plot", "-f", "csv"], "both given"),
        (["series", "count(*)", "--by", "entity", "--plot"], "at most 8 groups"),
    ],
)
def test_what_cannot_be_asked_is_refused(samples: Path, arguments: list[str], message: str) -> None:
    assert message in refused(*arguments, code=2, cwd=samples)[0]


def test_an_entity_that_is_none_is_not_found(samples: Path) -> None:
    for command in (["when", "balance < 0"], ["series", "sum(balance)"]):
        refused(*command, "account-999", code=4, cwd=samples)


@pytest.mark.parametrize("tz", ["UTC", "Europe/Vienna"])
def test_a_series_is_what_replays_add_up_to(samples: Path, tz: str) -> None:
    rows = good("series", "sum(balance)", "-p", "account", "--every", "2w", "--tz", tz, cwd=samples).rows
    assert len(rows) >= 6
    for row in rows[1::2]:
        states = json.loads(
            good("replay", "-p", "account", "--at", row["time"], "-q", "-f", "json", cwd=samples).text,
            parse_float=Decimal,
        )
        assert Decimal(str(row["value"])) == sum(state["state"]["balance"] for state in states)


def test_points_and_groups_without_states_are_there(samples: Path) -> None:
    rows = good("series", "count(*)", "-p", "account", "--every", "1d", "--from", "2023-12-30", "--to", "2024-01-04",
                "--by", "kind", cwd=samples).rows  # fmt: skip
    assert [row["value"] for row in rows[:4]] == [0, 0, 0, 0]
    assert rows[-1]["value"] > 0
    empty = good("series", "sum(balance)", "-p", "account", "--every", "1d", "--to", "2024-01-01", cwd=samples)
    assert empty.out == b""


def plans(answer: Any) -> int:
    """Count how often a plan reads files of the index."""
    ((_, text),) = answer.session.connection.execute(f"EXPLAIN {answer.sql}").fetchall()
    return text.count("READ_PARQUET")


def test_the_index_is_read_once(samples: Path, tmp_path: Path) -> None:
    # Of a log without undated events: what these are is asked apart.
    good("ingest", samples / "bank.jsonl", "--store", tmp_path / "s", "--config", samples / "esctl.toml", cwd=tmp_path)
    store = Store.open(tmp_path / "s", samples / "esctl.toml")
    scope = store.scope(projection="account")
    layouts = scope.view.relation(["position"]).count("read_parquet")
    bounds = store.point("2024-02-01", "--from", inclusive=False), store.point("2024-03-01", "--to")
    # Who did what at the moments that are found is looked up for these alone.
    assert plans(when(scope, Moments("balance < 100", "every", *bounds))) == 2 * layouts
    assert plans(series(scope, Sampling("sum(balance) / count(*)", "1d"))) == layouts
    assert plans(series(scope, Sampling("max(balance)", "1d", "owner"))) == layouts


def test_a_series_is_drawn(samples: Path) -> None:
    pytest.importorskip("plotille")
    drawn = good("series", "count(*)", "-p", "order", "--by", "status", "--plot", "--tz", "Asia/Tokyo", cwd=samples)
    assert "Legend" in drawn.text
    assert "cancelled" in drawn.text
    assert "\x1b" not in drawn.text
    shown, code = on_terminal("series", "sum(balance)", "-p", "account", "--plot", "--color", "always", cwd=samples)
    assert code == 0
    assert "\x1b[" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert all(len(line) <= 80 for line in plain.splitlines())
    good("series", "sum(balance)", "-p", "account", "--plot", "-o", "plot.txt", cwd=samples)
    assert "(sum(balance))" in (samples / "plot.txt").read_text(encoding="utf-8")


def test_without_the_extra_it_says_how_to_get_it(samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from esctl.errors import UsageError
    from esctl.output.charts.terminal import plot

    whole = builtins.__import__

    def lacking(name: str, *rest: Any, **more: Any) -> Any:
        if name == "plotille":
            raise ImportError(name)
        return whole(name, *rest, **more)

    answer = series(Store.open(samples / ".esctl").scope(), Sampling("count(*)", "1w"))
    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(UsageError, match="not installed") as caught:
        plot(answer, "count(*)", 80, 16, "UTC", color=False)
    assert "esctl-audit[plot]" in caught.value.hint


def test_a_condition_on_a_state_knows_what_it_is_of_and_when_it_is(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(n, f"thing-{1 + n % 2}", n=n) for n in range(3)])
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    for condition, found in (
        ("time < '2024-01-02T00:02:00Z'", ["thing-2"]),
        ("time = '2024-01-02T00:02:00Z'", ["thing-1"]),
        ("version = 2", ["thing-1"]),
        ("position = 2", ["thing-2"]),
        ("entity = 'thing-2' and kind = 'thing'", ["thing-2"]),
        ("entity like '%1' or n = 1", ["thing-1", "thing-2"]),
    ):
        rows = good("replay", "--where", condition, cwd=tmp_path).rows
        assert [row["entity"] for row in rows] == found, condition
    late = good("when", "time >= '2024-01-02T00:02:00Z'", cwd=tmp_path).rows
    assert [(row["entity"], row["position"]) for row in late] == [("thing-1", 3)]
