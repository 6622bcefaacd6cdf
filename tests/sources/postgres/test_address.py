"""What a URL says of a slot, and what it must not say."""

from __future__ import annotations

import pytest

from esctl.errors import UsageError
from esctl.sources.postgres.address import parse_slot_address

Q = "slot=s&publication=p"


def test_a_whole_url() -> None:
    pytest.importorskip("psycopg")
    found = parse_slot_address("postgres://me@h:5433/shop?slot=s_1&publication=p,Q&publication=r&sslmode=require")
    assert (found.slot, found.publications, found.where) == ("s_1", ("p", "Q", "r"), "postgres://h/shop")
    conninfo = found.address.conninfo()
    for part in ("host=h", "port=5433", "user=me", "dbname=shop", "sslmode=require", "connect_timeout=10"):
        assert part in conninfo.split()
    assert "timezone=UTC" in conninfo
    assert "slot" not in conninfo


def test_names_in_a_url_are_quoted_for_libpq() -> None:
    pytest.importorskip("psycopg")
    from psycopg.conninfo import conninfo_to_dict

    found = parse_slot_address(f"postgresql://m%40e@/it%27s%20one?host=/tmp/x&options=-c%20work_mem%3D1MB&{Q}")
    told = conninfo_to_dict(found.address.conninfo())
    assert (told["user"], told["dbname"], told["host"]) == ("m@e", "it's one", "/tmp/x")
    assert str(told["options"]).startswith("-c work_mem=1MB -c datestyle=ISO")


def test_a_service_is_named() -> None:
    assert parse_slot_address(f"postgres:///?service=shop&{Q}").where == "postgres://service shop/"


@pytest.mark.parametrize(
    "url",
    [
        f"postgres://me:hush@h/db?{Q}",
        f"postgres://me:@h/db?{Q}",
        f"postgres://h/db?{Q}&password=hush",
        f"postgres://h/db?{Q}&sslpassword=hush",
        f"postgres://me:hush@h:x/db?{Q}",
        f"postgres://me:hush@a,b/db?{Q}",
    ],
)
def test_a_secret_is_refused_and_not_told(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_slot_address(url)
    assert "hush" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgres://h/db", "does not name one slot"),
        ("postgres://h/db?slot=s", "does not name a publication"),
        ("postgres://h/db?slot=s&publication=,", "does not name a publication"),
        ("postgres://h/db?slot=s&slot=t&publication=p", "does not name one slot"),
        ("postgres://h/db?slot=S&publication=p", "'S' is no name of a slot"),
        ("postgres://h/db?slot=a%22b&publication=p", "is no name of a slot"),
        (f"postgres://h/db?{Q}&replication=true", "replication is not to be set"),
        (f"postgres://a,b/db?{Q}", "several hosts"),
    ],
)
def test_a_wrong_url_is_named(url: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_slot_address(url)
    assert said in caught.value.message
