"""What somebody types who has never seen it: it works, or the answer says what to type instead."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.support.cli_harness import Done, esctl, good

SHOP = """
[projections.cart]
kinds = ["cart"]

[projections.cart.on."*"]
merge = "data"
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    lines = [
        {
            "id": f"e{n}",
            "type": "Added",
            "time": f"2024-03-{n:02d}T10:00Z",
            "stream": "cart-1",
            "data": {"n": {"net": n}},
        }
        for n in range(1, 21)
    ]
    (folder / "a.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    (folder / "esctl.toml").write_text(SHOP)
    good("ingest", "a.jsonl", cwd=folder)
    return folder


def hint(done: Done) -> str:
    (found,) = re.findall(r"^hint: (.*)$", done.err, re.M)
    return str(found)


@pytest.mark.parametrize("text", ["5.3.2024", "05.03.2024", "5.3.2024 23:59:59.999999", "05.03.2024, 23:59:59.999999"])
def test_a_date_with_points_has_its_day_first(shop: Path, text: str) -> None:
    (row,) = good("replay", "cart-1", "--at", text, cwd=shop).rows
    assert row["version"] == 5


def test_a_date_with_slashes_is_asked_about(shop: Path) -> None:
    assert hint(esctl("replay", "--at", "05/03/2024", cwd=shop)) == "write its year first: 2024-05-03 or 2024-03-05"
    assert hint(esctl("replay", "--at", "13/03/2024 9:00", cwd=shop)) == "write its year first: '2024-03-13 9:00'"


def test_options_of_the_store_alone_show_that_store(shop: Path, tmp_path: Path) -> None:
    store = str(shop / ".esctl")
    done = esctl("--store", store, cwd=tmp_path)
    assert done.code == 2
    assert done.err.startswith(f"store {store}: 20 records, 1 entity,")
    lines = [line for line in done.err.splitlines()[1:] if " replay " in line]
    words = shlex.split(lines[0].partition("  the state")[0])
    assert good(*words[1:], cwd=tmp_path).rows[0]["entity"] == "cart-1"


def test_help_of_a_group_has_whole_sentences(tmp_path: Path) -> None:
    for group in ("view", "emit", "key"):
        assert "..." not in good(group, "--help", cwd=tmp_path).out.decode().partition("Options:")[0].partition("\n")[2]


def test_a_projection_named_as_a_table_is_told_how_to_be_asked(shop: Path) -> None:
    told = hint(esctl("sql", "select * from cart", cwd=shop))
    assert told == "states are at a time: write cart() for now, or cart('2024-02-01')"


def test_a_sum_of_what_stands_in_objects_is_told_to_be_cast(shop: Path) -> None:
    assert "(data.a.b)::decimal(18,2)" in hint(esctl("sql", "select sum(data.n.net) from events", cwd=shop))
    (row,) = good("sql", "select sum((data.n.net)::decimal(18,2)) as s from events", cwd=shop).rows
    assert row["s"] == 210


def test_columns_of_a_relation_have_an_order(shop: Path) -> None:
    assert "ORDER BY" not in good("sql", "describe events", cwd=shop).err


def test_a_bundle_that_is_not_there_is_no_file(shop: Path) -> None:
    assert "none.zip: no such file" in esctl("verify-bundle", "none.zip", cwd=shop).err


GERMAN = "Nr;Tag;Fach;Betrag\r\n" + "".join(
    f"B{n};{n % 28 + 1:02d}.03.2024;K{n % 3};1.234,{n:02d} M\xfcnzen\r\n" for n in range(40)
)


@pytest.fixture
def postings(tmp_path: Path) -> Path:
    (tmp_path / "p.csv").write_bytes(GERMAN.encode("cp1252"))
    return tmp_path


def test_what_map_said_before_is_told_when_it_is_replaced(postings: Path) -> None:
    assert esctl("ingest", "p.csv", cwd=postings).code == 2
    assert "replaced" not in good("reindex", "--map", "entity=Fach", cwd=postings).err
    done = esctl("reindex", "--map", "id=Nr", cwd=postings)
    assert "note: replaced by what --map says now: --map entity=Fach" in done.err
    (both,) = re.findall(r"^note: for both: esctl (.*)$", done.err, re.M)
    assert "replaced" not in good(*shlex.split(both), cwd=postings).err
    assert "replaced" not in good("reindex", "--map", "id=Nr", "--map", "entity=Tag", cwd=postings).err
    good(*shlex.split(both), cwd=postings)
    assert {row["entity"] for row in good("entities", cwd=postings).rows} == {"K0", "K1", "K2"}


def test_what_was_not_found_is_told_and_left_to_be_filled_in(postings: Path) -> None:
    done = esctl("ingest", "p.csv", cwd=postings)
    assert re.search(r"^  actor +none  \(.*--map actor=PATH\)$", done.err, re.M)
    good("init", cwd=postings)
    lines = (postings / "esctl.toml").read_text().splitlines()
    assert '# entity = "..."  # not found: what an event is about' in lines
    assert '# actor = "..."  # not found: who did it' in lines


def test_an_option_of_reading_that_comes_too_late_is_told(postings: Path) -> None:
    good("ingest", "p.csv", "--map", "entity=Fach", cwd=postings)
    done = good("ingest", "p.csv", "--decimal", ",", cwd=postings)
    assert "note: --decimal , does not apply to p.csv" in done.err
    assert "does not apply" not in good("ingest", "p.csv", "--decimal", ".", cwd=postings).err


def test_a_record_of_another_encoding_is_told_as_text(postings: Path) -> None:
    good("ingest", "p.csv", "--map", "entity=Fach", "--map", "id=Nr", cwd=postings)
    done = good("show", "B7", cwd=postings)
    assert "note: @8, read as utf-8 or cp1252: B7;08.03.2024;K1;1.234,07 M\xfcnzen" in done.err
    assert str(done.rows[0]["raw"]).startswith("base64:")
