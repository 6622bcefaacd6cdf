"""A notebook and the command line give the same answers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from esctl import Store
from esctl.errors import InputError, NotFoundError, UsageError
from tests.support.cli_harness import good, lines

QUESTIONS: dict[str, tuple[Callable[[Store], Any], list[str]]] = {
    "replay": (lambda s: s.replay("account-013", at="2024-02-01"), ["replay", "account-013", "--at", "2024-02-01"]),
    "replay before": (lambda s: s.replay("sku-10*", before="@6500"), ["replay", "sku-10*", "--before", "@6500"]),
    "replay where": (
        lambda s: s.replay(where="balance > 20000", projection="account"),
        ["replay", "--where", "balance > 20000", "-p", "account"],
    ),
    "replay deleted": (lambda s: s.replay("account-*", deleted=True), ["replay", "account-*", "--deleted"]),
    "diff": (
        lambda s: s.diff("2024-02-01", "2024-02-03", "account-01*"),
        ["diff", "2024-02-01", "2024-02-03", "account-01*"],
    ),
    "audit": (
        lambda s: s.audit("account-017", start="2024-03-05", end="2024-03-08", field="daily_limit"),
        ["audit", "account-017", "--from", "2024-03-05", "--to", "2024-03-08", "--field", "daily_limit"],
    ),
    "audit by actor": (
        lambda s: s.audit(actor="svc-*", type="AddressChanged", at="2024-03-31"),
        ["audit", "--actor", "svc-*", "--type", "AddressChanged", "--at", "2024-03-31"],
    ),
    "types": (lambda s: s.types(), ["types"]),
    "entities": (lambda s: s.entities(), ["entities"]),
    "events": (lambda s: s.events("account-013", "sensor-1"), ["log", "account-013", "sensor-1"]),
}


@pytest.fixture(scope="module")
def opened(samples: Path) -> Store:
    return Store.open(samples / ".esctl")


@pytest.mark.parametrize("name", QUESTIONS)
def test_answers_are_those_of_the_command_line(opened: Store, samples: Path, name: str) -> None:
    ask, arguments = QUESTIONS[name]
    relation = ask(opened)
    printed = [json.loads(line, parse_float=Decimal) for line in lines(good(*arguments, "-q", cwd=samples).text)]
    assert printed
    assert relation.rows() == printed
    table = pq.read_table(io.BytesIO(good(*arguments, "-q", "-f", "parquet", cwd=samples).out))
    assert relation.arrow().equals(table)


def test_a_frame_has_the_columns_of_the_table(opened: Store) -> None:
    pytest.importorskip("pandas")
    frame = opened.replay("account-013").df()
    assert list(frame.columns) == opened.replay("account-013").arrow().column_names
    assert frame["state.balance"].to_list() == [Decimal("13333.66")]


def test_mistakes_are_errors_with_hints(opened: Store, samples: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no entity 'account-0133'") as missing:
        opened.replay("account-0133")
    assert "did you mean" in missing.value.hint
    with pytest.raises(UsageError, match="--at 'soon' is no point in time"):
        opened.replay(at="soon")
    with pytest.raises(UsageError, match="both given"):
        opened.replay(at="@1", before="@2")
    with pytest.raises(InputError, match="no store"):
        Store.open(tmp_path)


def test_a_store_is_found_from_below_its_folder(samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(samples / "shop")
    store = Store.open(tz="Asia/Kathmandu")
    assert store.path == samples / ".esctl"
    (row,) = store.replay("account-013", at="2024-02-01").rows()
    assert row["time"].endswith("Z")
