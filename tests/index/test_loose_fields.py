"""What the manifest says of payloads kept as JSON text: fields that none of them has are read from columns alone."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from esctl import Store
from esctl.index.files.manifest import IndexFile
from esctl.index.scan import Form, Read
from tests.support.cli_harness import good, uncompacted

MARK = "\ue000"
NAMES = ("a", "A", "amount", "x/y", "x~y", "a.b", "", "0", "1", "-", "é", f"{MARK}k", f"{MARK}{MARK}k", "rare")
FORMS: tuple[Form, ...] = ("json", "text", "type")


def payloads() -> list[Any]:
    """Objects that fit columns, many that do not, and what is not an object."""
    fitting = [{"a": i, "amount": i + 0.25, "é": f"t{i}", "0": i % 2 == 0} for i in range(300)]
    odd: list[Any] = [{"a": i, name: value} for i, name in enumerate(NAMES) for value in (1, "two", None, [3])]
    odd += [{"rare": 10**30}, {"amount": 12.345}, {"amount": "text"}, {"a": {"b": 1}}, {}, [7, 8], "text", 5, None]
    return [*fitting, *odd, *fitting]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("loose")
    for number, some in enumerate((payloads(), [{"amount": 1.5, "a": 1}] * 50, payloads()[:200])):
        lines = [
            json.dumps({"id": f"{number}-{i}", "entity": f"e-{i % 7}", "data": data}) for i, data in enumerate(some)
        ]
        (folder / f"{number}.jsonl").write_text("".join(f"{line}\n" for line in lines))
        good("ingest", "-q", f"{number}.jsonl", "--map", "entity=entity", "--map", "data=data", cwd=folder)
    return Store.open(folder / ".esctl")


def read(store: Store) -> list[tuple[Any, ...]]:
    paths = [(name,) for name in NAMES] + [("a", "b"), (0,), (1,), ()]
    reads = {f"{form}{i}": Read(path, form) for i, path in enumerate(paths) for form in FORMS}
    rows = store.view.relation(["position"], reads)
    return store.connection.execute(f"SELECT * FROM ({rows}) ORDER BY position").fetchall()


def test_a_field_that_no_loose_payload_has_reads_the_same(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(store)
    monkeypatch.setattr(IndexFile, "may_be_loose", lambda file, path: file.untyped > 0)
    assert read(store) == found


@uncompacted
def test_some_files_have_a_field_in_columns_alone(store: Store) -> None:
    loose = [file.may_be_loose(("amount",)) for file in store.view.manifest.files]
    assert True in loose
    assert False in loose


def test_the_manifest_names_the_fields_of_loose_payloads(store: Store) -> None:
    rows = store.view.relation(["position"], {"j": Read((), "json")}, ["data IS NOT NULL"])
    texts = [text for _, text in store.connection.execute(f"SELECT position, j FROM ({rows})").fetchall()]
    names = {name for text in texts if isinstance(value := json.loads(text), dict) for name in value}
    told = {name for file in store.view.manifest.files for name in file.loose}
    assert {name for name in names if MARK not in name} == {name for name in told if MARK not in name}
    assert "rare" in told


def test_numbers_beside_the_columns_keep_their_digits(tmp_path: Path) -> None:
    amounts = ["0.25"] * 300 + ["12.345", "1234567890123456789012.5"]
    lines = [f'{{"id":"{i}","entity":"e","type":"Put","data":{{"amount":{text}}}}}\n' for i, text in enumerate(amounts)]
    (tmp_path / "a.jsonl").write_text("".join(lines))
    (tmp_path / "esctl.toml").write_text('[projections.p.on.Put]\nadd = { total = "data.amount" }\n')
    good("ingest", "a.jsonl", "--map", "entity=entity", "--map", "data=data", cwd=tmp_path)
    with Store.open(tmp_path / ".esctl") as store:
        assert any(file.may_be_loose(("amount",)) for file in store.view.manifest.files), "or nothing is looked for"
    total = Decimal("1234567890123456789099.845")
    assert f'{{"total":{total}}}' in good("replay", "-p", "p", cwd=tmp_path).text
    late = [good("log", "--where", f"data.amount = {text}", cwd=tmp_path).rows[0]["position"] for text in amounts[-2:]]
    assert late == [301, 302]
