"""Real purchases: identical rows are real, ids have leading zeros, dates are bare digits."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from tests.support.real_log_helpers import Rows, json_lines, load, rows_of, states

MAPPING = """
[mapping]
entity = "customer_id"
time = "date"
type = { const = "Purchased" }
order = "position"
"""
PROJECTION = """
[projections.customer.on."*"]
count = "purchases"
add = { cds = "data.number_of_cds", spent = "data.dollar_value" }
max = { largest = "CAST(data.dollar_value AS DECIMAL(12,2))" }
"""


@pytest.fixture(scope="module")
def purchases(real_logs: Path) -> Rows:
    """Give the purchases as the log has them."""
    path = real_logs / "cdnow_sample" / "cdnow_sample.jsonl"
    if not path.is_file():
        pytest.skip("no cdnow_sample among the real logs")
    return json_lines(path)


@pytest.fixture(scope="module")
def store(real_logs: Path, purchases: Rows, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Give the purchases read into a store."""
    path = real_logs / "cdnow_sample" / "cdnow_sample.jsonl"
    store, summary = load(tmp_path_factory.mktemp("cdnow"), [path], MAPPING + PROJECTION)
    assert (summary.new, summary.duplicates, summary.invalid) == (len(purchases), 0, 0)
    return store


def totals(purchases: Rows) -> dict[str, dict[str, Any]]:
    """Sum the purchases of each customer by hand."""
    by_customer: dict[str, Rows] = defaultdict(list)
    for purchase in purchases:
        by_customer[purchase["customer_id"]].append(purchase)
    return {
        customer: {
            "purchases": len(own),
            "cds": sum(int(purchase["number_of_cds"]) for purchase in own),
            "spent": sum((Decimal(purchase["dollar_value"]) for purchase in own), Decimal(0)),
            "largest": max(Decimal(purchase["dollar_value"]) for purchase in own),
        }
        for customer, own in by_customer.items()
    }


def test_totals_of_every_customer(store: Store, purchases: Rows) -> None:
    expected = totals(purchases)
    assert any(customer.startswith("0") for customer in expected)
    assert states(store) == expected


def test_totals_at_a_day(store: Store, purchases: Rows) -> None:
    for day in ("19970101", "19970630", "19971231"):
        until = [purchase for purchase in purchases if purchase["date"] <= day]
        written = f"{day[:4]}-{day[4:6]}-{day[6:]}"
        assert states(store, at=written) == totals(until)
        before = [purchase for purchase in purchases if purchase["date"] < day]
        assert states(store, before=written) == totals(before)


def test_repeated_purchases_are_versions(store: Store, purchases: Rows) -> None:
    counts = Counter(purchase["customer_id"] for purchase in purchases)
    assert {row["entity"]: row["version"] for row in rows_of(store.replay())} == counts
    assert {row["entity"]: row["events"] for row in rows_of(store.entities())} == counts


def without_number(purchases: Rows) -> Rows:
    """Leave out the running number, so that identical purchases are identical rows."""
    rows = [{key: value for key, value in purchase.items() if key != "seq"} for purchase in purchases]
    assert len({json.dumps(row) for row in rows}) < len(rows)
    return rows


@pytest.mark.parametrize("mapping", [MAPPING, ""], ids=["mapped", "detected"])
def test_identical_json_lines_are_all_kept(purchases: Rows, tmp_path: Path, mapping: str) -> None:
    lines = [json.dumps(row) for row in without_number(purchases)]
    (tmp_path / "purchases.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    projection = PROJECTION if mapping else ""
    store, summary = load(tmp_path / "store", [tmp_path / "purchases.jsonl"], mapping + projection)
    assert (summary.new, summary.duplicates, summary.conflicts) == (len(lines), 0, 0)
    assert sum(row["count"] for row in rows_of(store.types())) == len(lines)
    if mapping:
        assert states(store) == totals(purchases)


@pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("tsv", "\t"), ("csv", ";")])
def test_identical_rows_of_a_table_are_all_kept(purchases: Rows, tmp_path: Path, suffix: str, delimiter: str) -> None:
    rows = without_number(purchases)
    with (tmp_path / f"purchases.{suffix}").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    store, summary = load(tmp_path / "store", [tmp_path / f"purchases.{suffix}"], MAPPING + PROJECTION)
    assert (summary.new, summary.duplicates, summary.invalid) == (len(rows), 0, 0)
    assert states(store) == totals(purchases)


def test_lines_that_are_no_table_are_kept_as_evidence(real_logs: Path, purchases: Rows, tmp_path: Path) -> None:
    """The original is a text of columns without names: nothing can be read from it, and nothing is lost."""
    path = real_logs / "cdnow_sample" / "CDNOW_sample.txt"
    _, summary = load(tmp_path, [path], MAPPING)
    assert (summary.new, summary.invalid) == (len(purchases), len(purchases))


def test_the_envelope_is_found_without_a_mapping(real_logs: Path, purchases: Rows, tmp_path: Path) -> None:
    path = real_logs / "cdnow_sample" / "cdnow_sample.jsonl"
    store, summary = load(tmp_path, [path])
    assert (summary.new, summary.duplicates, summary.invalid) == (len(purchases), 0, 0)
    counts = Counter(purchase["customer_id"] for purchase in purchases)
    assert {row["entity"]: row["events"] for row in rows_of(store.entities())} == counts
