"""Which sources are live ones, and what is said of them where that is wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from esctl.errors import UsageError
from esctl.sources.live import KINDS, Live, connect, from_url, kind_of, parse_source, without_secrets
from tests.support.cli_harness import esctl, good, plain_event, write_lines


@pytest.mark.parametrize(
    ("argument", "kind"),
    [
        ("kafka://h:9092/t", "kafka"),
        ("KAFKA://h/t", "kafka"),
        ("kafka:h/t", ""),
        ("S3://b/k", "objects"),
        ("a.jsonl", ""),
    ],
)
def test_a_kind_is_told_by_the_scheme(argument: str, kind: str) -> None:
    assert kind_of(argument) == kind


def test_a_url_is_told_without_secrets() -> None:
    assert without_secrets("kafka://me:pw@h:1,g:2/t?sasl.password=x") == "kafka://h:1,g:2/t"


def test_a_pattern_of_keys_is_told_whole() -> None:
    assert without_secrets("s3://b/logs/?.json") == "s3://b/logs/?.json"


def test_a_source_of_the_configuration_may_be_a_url_of_any_kind() -> None:
    assert parse_source("trail", {"url": "s3://b/**/*.gz"}, "esctl.toml") == Live("objects", "s3://b/**/*.gz", "trail")
    assert parse_source("x", {"url": "kafka://h/t", "from": "end"}, "esctl.toml").kind == "kafka"


def test_a_source_of_the_configuration() -> None:
    table = {"kafka": "h:9092/t", "from": "end", "property": {"client.id": "me"}}
    live = parse_source("orders", table, "esctl.toml")
    assert live == Live("kafka", "kafka://h:9092/t", "orders", {"from": "end"}, {"client.id": "me"})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("kafka://h/t", "is not a table"),
        ({}, "has to say one of"),
        ({"kafka": 1}, "kafka is not a text"),
        ({"kafka": "h/t", "url": "s3://b/k"}, "has to say one of url, kafka, postgres"),
        ({"url": "ftp://h/k"}, "url is of no kind of source that is known"),
        ({"url": "s3://b/k", "from": "end"}, "from is not a setting"),
        ({"kafka": "h/t", "form": "end"}, "form is not a setting"),
        ({"kafka": "h/t", "property": "x"}, "property is not a table"),
        ({"kafka": "h/t", "property": {"a": 1}}, "property.a is not a text"),
    ],
)
def test_a_wrong_source_of_the_configuration_is_named(table: object, message: str) -> None:
    with pytest.raises(UsageError, match=r"^esctl.toml: \[sources.x\]") as caught:
        parse_source("x", table, "esctl.toml")
    assert message in caught.value.message


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Live]:
    found: list[Live] = []
    module = ModuleType("opens_nothing")
    vars(module)["connect"] = lambda live, note: found.append(live)
    monkeypatch.setitem(sys.modules, KINDS["kafka"].module, module)
    return found


def test_options_that_a_kind_does_not_take_are_refused(opened: list[Live]) -> None:
    with pytest.raises(UsageError, match=r"kafka://h/t: --slot is not for kafka"):
        connect(from_url("kafka://h/t", {"slot": "x"}, {}), print)
    connect(from_url("kafka://h/t", {"from": "end"}, {"a": "b"}), print)
    assert [each.where for each in opened] == ["kafka://h/t"]


def test_options_of_live_sources_need_one(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1)])
    done = esctl("ingest", "a.jsonl", "--from", "end", cwd=tmp_path)
    assert done.code == 2
    assert "--from is for live sources" in done.err
    done = esctl("ingest", "a.jsonl", "-X", "secret", cwd=tmp_path)
    assert (done.code, "secret" in done.err) == (2, False)


def test_a_name_that_is_a_file_too_is_refused(tmp_path: Path) -> None:
    (tmp_path / "esctl.toml").write_text('[sources.orders]\nkafka = "h:1/t"\n')
    write_lines(tmp_path / "orders", [plain_event(1)])
    done = esctl("ingest", "orders", cwd=tmp_path)
    assert done.code == 2
    assert "orders is a file and a source of esctl.toml" in done.err
    good("ingest", "./orders", cwd=tmp_path)
