"""A notebook and the command line give the same answers."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from esctl import Store
from esctl.errors import InputError, NotFoundError, UsageError
from tests.support.cli_harness import esctl, good, lines

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
        lambda s: s.audit("account-017", from_="2024-03-05", to="2024-03-08", field="daily_limit"),
        ["audit", "account-017", "--from", "2024-03-05", "--to", "2024-03-08", "--field", "daily_limit"],
    ),
    "audit by actor": (
        lambda s: s.audit(actor="svc-*", type="AddressChanged", at="2024-03-31"),
        ["audit", "--actor", "svc-*", "--type", "AddressChanged", "--at", "2024-03-31"],
    ),
    "diff summary": (
        lambda s: s.diff("2024-02-01", "2024-02-03", summary=True),
        ["diff", "2024-02-01", "2024-02-03", "--summary"],
    ),
    "diff what if": (
        lambda s: s.diff_what_if("account-013", without=["@4976"]),
        ["diff", "--what-if", "--without", "@4976", "account-013"],
    ),
    "diff known": (
        lambda s: s.diff_known("@6000", "@6500", "sku-10*"),
        ["diff", "--known-at", "@6000", "@6500", "sku-10*"],
    ),
    "blame": (
        lambda s: s.blame("account-013", field="balance", all=True),
        ["blame", "account-013", "--field", "balance", "--all"],
    ),
    "revert": (lambda s: s.revert("account-013", to="2024-02-01"), ["revert", "account-013", "--to", "2024-02-01"]),
    "when": (
        lambda s: s.when("balance > 20000", which="every", from_="2024-02-01", projection="account"),
        ["when", "balance > 20000", "--every", "--from", "2024-02-01", "-p", "account"],
    ),
    "when counted": (
        lambda s: s.when("balance > 20000", which="every", projection="account").counted(),
        ["when", "balance > 20000", "--count", "-p", "account"],
    ),
    "series": (
        lambda s: s.series("sum(balance)", every="1w", to="2024-03-01", projection="account"),
        ["series", "sum(balance)", "--every", "1w", "--to", "2024-03-01", "-p", "account"],
    ),
    "sql": (
        lambda s: s.sql("select type, count(*) n from events group by 1 order by 1"),
        ["sql", "select type, count(*) n from events group by 1 order by 1"],
    ),
    "trace": (lambda s: s.trace("@60", depth=2), ["trace", "@60", "--depth", "2"]),
    "events filtered": (
        lambda s: s.events(type="Money*", to="2024-01-03", where="data.amount > 100"),
        ["log", "--type", "Money*", "--to", "2024-01-03", "--where", "data.amount > 100"],
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


def test_findings_and_proofs_are_those_of_the_command_line(opened: Store, samples: Path, tmp_path: Path) -> None:
    def printed(*arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line, parse_float=Decimal) for line in lines(esctl(*arguments, "-q", cwd=samples).text)]

    health = opened.doctor("account-*")
    assert health.rows() == printed("doctor", "account-*")
    assert health.found is any(row["count"] for row in health.rows())
    assert opened.occurrences(["late"]).rows() == printed("doctor", "--late")
    verified = opened.verify()
    assert verified.verified.is_intact
    assert [row["check"] for row in verified.rows()] == [row["check"] for row in printed("verify")]
    states = tmp_path / "states.csv"
    states.write_text("entity,balance\naccount-013,1\n", encoding="utf-8")
    compared = opened.reconcile(states, "account-013")
    assert compared.differs
    assert compared.rows() == printed("reconcile", str(states), "account-013")


def test_evidence_is_taken_in_and_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    from esctl.ledger.sign.checkpoints import make_checkpoint
    from esctl.ledger.sign.keys import new_key

    log = tmp_path / "a.jsonl"
    event = '{{"id":{0},"type":"T","time":"2024-01-0{0}T00:00:00Z","stream":"a-1","data":{{"n":{0}}}}}\n'
    log.write_text("".join(map(event.format, (1, 2))), encoding="utf-8")
    store = Store.create(tmp_path / ".esctl", None)
    assert store.ingest(str(log)).summary.new == 2
    log.write_text("".join(map(event.format, (1, 2, 3))), encoding="utf-8")
    assert store.ingest(str(log)).summary.new == 1
    assert store.replay().rows()[0]["state"] == {"n": 3}  # the store looks at its new head by itself
    make_checkpoint(store.path, new_key("k"))
    proofs = store.prove("3", "@1")
    assert proofs.positions == (1, 3)
    assert [proof.index for proof in proofs] == [0, 2]
    archive = tmp_path / "evidence.zip"
    assert store.bundle(archive, "a-1").positions == (1, 2, 3)
    assert archive.stat().st_size
    with pytest.raises(NotFoundError, match="no event '9'"):
        store.prove("9")


def test_a_page_is_a_part_of_the_rows(opened: Store) -> None:
    for relation in (opened.replay("account-*"), opened.events(), opened.audit("account-013")):
        rows = relation.rows()
        assert relation.page(0, 3) + relation.page(3, 4) == rows[:7]
        assert relation.page(len(rows) - 1, 10) == rows[-1:]
        assert relation.page(len(rows), 10) == []
        assert relation.has_rows()


def test_what_runs_can_be_cancelled_from_another_thread(opened: Store) -> None:
    relation = opened.events()
    endless = replace(
        relation, answer=replace(relation.answer, sql="SELECT count(*) AS position FROM range(10000000000000) t(i)",
        columns=relation.answer.columns[:1])
    )  # fmt: skip
    timer = threading.Timer(0.3, endless.cancel)
    timer.start()
    with pytest.raises(Exception, match=r"(?i)interrupt"):
        endless.rows()
    timer.join()
    assert relation.page(0, 1)  # the connection can be asked again


def test_a_frame_has_the_columns_of_the_table(opened: Store) -> None:
    pytest.importorskip("pandas")
    frame = opened.replay("account-013").df()
    assert list(frame.columns) == opened.replay("account-013").arrow().column_names
    assert frame["state.balance"].to_list() == [Decimal("13333.66")]


def test_mistakes_are_errors_with_hints(opened: Store, samples: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no entity 'account-0133'") as missing:
        opened.replay("account-0133")
    assert "did you mean" in missing.value.hint
    with pytest.raises(UsageError, match="--at 'soon' is not a point in time"):
        opened.replay(at="soon")
    with pytest.raises(UsageError, match="both given"):
        opened.replay(at="@1", before="@2")
    with pytest.raises(InputError, match="no store"):
        Store.open(tmp_path)


def test_names_that_select_nothing_are_refused(opened: Store) -> None:
    only: Any = "foo"
    for ask, told in (
        (lambda: opened.occurrences(("late", "typo")), "doctor has no check 'typo'"),
        (lambda: opened.occurrences("lates"), "doctor has no check 'lates'"),
        (lambda: opened.occurrences(()), "no check of doctor is named"),
        (lambda: opened.prove(), "no event is named"),
        (lambda: opened.events(only=only), "only='foo' selects no events"),
        (lambda: opened.events(grep="\ud800"), "grep='\\\\ud800' is no text"),
    ):
        with pytest.raises(UsageError, match=told) as mistake:
            ask()
        assert mistake.value.hint


def test_a_store_is_found_from_below_its_folder(samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(samples / "shop")
    store = Store.open(tz="Asia/Kathmandu")
    assert store.path == samples / ".esctl"
    (row,) = store.replay("account-013", at="2024-02-01").rows()
    assert row["time"].endswith("Z")
