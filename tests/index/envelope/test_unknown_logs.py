"""Logs that no preset covers are read right, or are asked about: never wrong without a word."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from esctl.index.envelope.detect import detect
from esctl.index.envelope.paths import look_up, parse_path
from tests.index.envelope.unknown_logs import UNKNOWN, Record, Unknown
from tests.support.cli_harness import esctl, good

KNOWN = [name for name, log in UNKNOWN.items() if not log.asks]


def found_in(records: list[Record]) -> dict[str, str | None]:
    stanza = detect(records[:1000]).stanza
    within = f"{stanza.unwrap}." if stanza.unwrap else ""
    told = {name: getattr(stanza, name) for name in ("entity", "time", "actor", "type")}
    return {name: within + paths[0] if paths else None for name, paths in told.items()}


def expected_of(log: Unknown) -> dict[str, str | None]:
    return {"entity": log.entity, "time": log.time, "actor": log.actor, "type": log.type or "=event"}


def as_csv(records: list[Record]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("count", [20, 2000])
def test_entity_time_actor_and_type_are_right(name: str, count: int) -> None:
    assert found_in(UNKNOWN[name].records(count)) == expected_of(UNKNOWN[name])


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 12])
def test_few_records_are_read_right_or_asked_about(name: str, count: int) -> None:
    found = detect(UNKNOWN[name].records(count))
    if not found.candidates or found.stanza.entity:
        assert found_in(UNKNOWN[name].records(count))["entity"] == UNKNOWN[name].entity
    if not found.times:
        assert found_in(UNKNOWN[name].records(count))["time"] == UNKNOWN[name].time


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("count", [20, 2000])
def test_order_size_and_format_give_the_same_mapping(name: str, count: int) -> None:
    records = UNKNOWN[name].records(count)
    expected = detect(UNKNOWN[name].records(300)).stanza
    samples = [
        records,
        records[::-1],
        random.Random(3).sample(records, count),
        [dict(reversed(record.items())) for record in records],
        [record | {"unused": None} for record in records],
    ]
    if UNKNOWN[name].flat:
        samples.append(list(csv.DictReader(io.StringIO(as_csv(records)))))
    for sample in samples if count < 100 else samples[2:3]:
        assert detect(sample[:1000]).stanza == expected


def filled(template: str | None, record: Record) -> str | None:
    if template is None or template.startswith("="):
        return template and template[1:]
    pieces = re.split(r"\{([^{}]*)\}", template) if "{" in template else ["", template]
    return "".join(str(look_up(record, parse_path(piece))) if at % 2 else piece for at, piece in enumerate(pieces))


@pytest.mark.parametrize("name", KNOWN)
def test_all_formats_are_read_alike_and_as_the_events_that_they_are(name: str, tmp_path: Path) -> None:
    log = UNKNOWN[name]
    records = log.records(40)
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "b.json").write_text(json.dumps(records, indent=1))
    (tmp_path / "c.json").write_text(json.dumps({"page": 1, "auditEntries": records}))
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    if log.flat:
        (tmp_path / "e.csv").write_text(as_csv(records))
    names = sorted(path.name for path in tmp_path.iterdir())
    done = esctl("ingest", *names, cwd=tmp_path)
    assert done.code == 0, done.err
    assert done.err.count("mapping of ") == 1, done.err
    opened = [
        {key: json.loads(value) if str(value).startswith('{"') else value for key, value in record.items()}
        for record in records
    ]
    columns: list[list[str | None]] = [
        [filled(path, record) for record in opened] for path in (log.entity, log.actor, log.type)
    ]
    columns[2] = [text or "event" for text in columns[2]]
    expected = set(zip(times(log, opened), *columns, strict=True))
    read = good("log", "--columns", "time,entity,actor,type", cwd=tmp_path).rows
    assert {(row["time"], row["entity"], row["actor"], row["type"]) for row in read} == expected


def times(log: Unknown, records: list[Record]) -> list[str]:
    from esctl.index.decode.times.python import likely_instant
    from esctl.timespec import format_instant

    texts = [filled(log.time, record) for record in records]
    found: list[Any] = [look_up(record, parse_path(log.time)) if "{" not in log.time else None for record in records]
    written = [json.dumps(each) if isinstance(each, dict) else text for each, text in zip(found, texts, strict=True)]
    instants = [likely_instant(re.sub(r"^(\d\d)\.(\d\d)\.(\d{4})", r"\3-\2-\1", text or "")) for text in written]
    return [format_instant(instant) for instant in instants if instant is not None]


def asked(folder: Path, records: list[Record]) -> str:
    (folder / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    done = esctl("ingest", "a.jsonl", cwd=folder)
    assert done.code == 2, done.err
    (hint,) = re.findall(r"^hint: say which it is: esctl (.*)$", done.err, re.M)
    return str(hint)


@pytest.mark.parametrize("name", [name for name, log in UNKNOWN.items() if log.asks])
def test_what_nobody_could_tell_is_asked(name: str, tmp_path: Path) -> None:
    hint = asked(tmp_path, UNKNOWN[name].records(20))
    good(*shlex.split(hint), cwd=tmp_path)
    assert None not in {row["entity"] for row in good("log", cwd=tmp_path).rows}


def test_two_things_of_which_none_tells_the_other_are_asked_about(tmp_path: Path) -> None:
    records = [
        {"at": f"2024-01-01T00:00:{i:02d}Z", "action": "moved", "machine id": f"m{i % 3}", "room": f"r{i % 4}"}
        for i in range(14)
    ]
    hint = asked(tmp_path, records)
    assert hint == "reindex --map 'entity=\"machine id\"'"
    assert {row["entity"] for row in good("log", cwd=tmp_path).rows} == {None}
    good(*shlex.split(hint), cwd=tmp_path)
    assert {row["entity"] for row in good("log", cwd=tmp_path).rows} == {"m0", "m1", "m2"}


def test_two_times_are_asked_about(tmp_path: Path) -> None:
    records = [
        {"openedAt": f"2024-01-01T00:00:{i:02d}Z", "closedAt": f"2024-01-02T00:00:{59 - i:02d}Z", "order": f"o{i % 3}"}
        for i in range(14)
    ]
    hint = asked(tmp_path, records)
    assert hint == "reindex --map time=closedAt"
    assert {row["time"] for row in good("log", cwd=tmp_path).rows} == {None}
    good(*shlex.split(hint), cwd=tmp_path)
    assert None not in {row["time"] for row in good("log", cwd=tmp_path).rows}


def test_a_hint_keeps_what_was_said_and_names_the_store(tmp_path: Path) -> None:
    records = [{"t": f"2024-01-01T00:00:{i:02d}Z", "room": f"r{i % 4}", "machine": f"m{i % 3}"} for i in range(14)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    done = esctl("ingest", "a.jsonl", "--map", "time=t", "--map", "type==moved", "--store", "my store", cwd=tmp_path)
    (hint,) = re.findall(r"^hint: say which it is: esctl (.*)$", done.err, re.M)
    assert hint == "reindex --map time=t --map type==moved --map entity=machine --store 'my store'"
    good(*shlex.split(hint), cwd=tmp_path)
    (row,) = good("log", "--limit", "1", "--store", "my store", cwd=tmp_path).rows
    assert (row["type"], row["entity"]) == ("moved", "m0")


def test_what_numbers_the_events_is_proposed_last(tmp_path: Path) -> None:
    records = [{"Buchungsnr": f"B{n}", "Schrank": f"DE{n % 3}", "Tag": f"2024-03-{n % 20 + 1:02d}"} for n in range(60)]
    assert asked(tmp_path, records) == "reindex --map entity=Schrank"
