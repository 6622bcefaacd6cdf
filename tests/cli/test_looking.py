"""Looking at a log: its end, backwards, by a text in the records, at parts of payloads and states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support.cli_harness import good, plain_event, refused, write_lines

PATCH = '[projections.patch.on."*"]\nmerge_patch = "data"\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("looking")
    events: list[dict[str, Any]] = [
        plain_event(n, f"x-{n % 2}", n=n, deep={"k": [n, n + 0.5], "odd name": str(n)}) for n in range(6)
    ]
    events.append(plain_event(6, "x-0", n=None, word='Müller "M"'))
    write_lines(path / "a.jsonl", events)
    (path / "b.jsonl").write_text(
        '{"id": "esc", "type": "T", "time": "2024-02-01", "stream": "y", "data": "M\\u00fc"}\n'
    )
    (path / "c.jsonl").write_bytes(
        '{"id": "wide", "type": "T", "stream": "w", "data": {"w": "Müll"}}\n'.encode("utf-16")
    )
    (path / "d.jsonl").write_bytes(b'{"id": "ok", "stream": "z"}\nnot \xe4 JSON\n')
    good("ingest", "a.jsonl", "b.jsonl", "c.jsonl", "d.jsonl", "-q", cwd=path)
    return path


def positions(folder: Path, *options: str) -> list[int]:
    return [row["position"] for row in good("log", *options, "--columns", "position", "-q", cwd=folder).rows]


LISTED: tuple[tuple[list[str], list[int]], ...] = (
    (["--tail", "3"], [9, 10, 11]),
    (["--tail", "0"], []),
    (["--tail", "99"], list(range(1, 12))),
    (["--reverse"], list(range(11, 0, -1))),
    (["--reverse", "--tail", "2"], [11, 10]),
    (["--reverse", "--limit", "2"], [11, 10]),
    (["--tail", "3", "--limit", "1"], [9]),
    (["x-1", "--tail", "2"], [4, 6]),
    (["--where", "data.n < 3", "--tail", "1"], [3]),
    (["--grep", "Mü"], [7, 8, 9]),
    (["--grep", "Müller"], [7]),
    (["--grep", 'r "M"'], [7]),
    (["--grep", "odd name", "x-0", "--reverse"], [5, 3, 1]),
    (["--grep", "not "], [11]),
    (["--grep", "nowhere"], []),
    (["--invalid", "--reverse", "--tail", "1"], [11]),
)


def test_events_are_listed_from_the_end_and_by_a_text(folder: Path) -> None:
    for options, expected in LISTED:
        assert positions(folder, *options) == expected, options


def test_the_rows_of_one_event_are_turned_too(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{"id": str(n), "type": "T", "from": f"a-{n}", "to": f"b-{n}"} for n in range(2)])
    good("ingest", "a.jsonl", "-q", "--map", "entities.from=from", "--map", "entities.to=to", cwd=tmp_path)
    forth = good("log", "--columns", "entity", cwd=tmp_path).rows
    assert good("log", "--columns", "entity", "--reverse", cwd=tmp_path).rows == forth[::-1]


def test_an_empty_text_is_refused(folder: Path) -> None:
    assert refused("log", "--grep", "", code=2, cwd=folder)[0] == "--grep is empty"
    assert "--tail" in refused("log", "--tail", "-1", code=2, cwd=folder)[0]


def test_invalid_records_are_shown_with_their_text(folder: Path) -> None:
    row = good("log", "--invalid", "-q", cwd=folder).row
    assert (row["position"], row["raw"]) == (11, "not ä JSON")
    assert "not ä JSON" in good("log", "--invalid", "-q", "-f", "table", cwd=folder).text
    assert "raw" not in good("log", "--tail", "1", "-q", cwd=folder).row


def test_bytes_that_are_no_text_are_shown_escaped(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"id": "a"}\n{"n": "\xff\xfe"}\r\n')
    good("ingest", "a.jsonl", "-q", "--encoding", "utf-8", "--map", "entity==x", cwd=tmp_path)
    assert good("log", "--invalid", "-q", cwd=tmp_path).row["raw"] == r'{"n": "\xff\xfe"}'


def test_parts_of_payloads_are_columns(folder: Path) -> None:
    names = 'position,data.n,data.deep.k[1],"data.deep.""odd name"""'
    done = good("log", "x-1", "--columns", names, "--limit", "1", "-q", cwd=folder)
    assert done.row == {"position": 2, "data.n": 1, "data.deep.k[1]": 1.5, 'data.deep."odd name"': "1"}
    assert good("log", "--columns", "data.n", "--limit", "2", "-f", "csv", "-q", cwd=folder).text == "data.n\n0\n1\n"
    good("log", "--columns", "data.n,data.deep", "-o", "n.parquet", "-q", cwd=folder)
    assert str(pq.read_schema(folder / "n.parquet").field("data.n").type).startswith("decimal")
    told = refused("log", "--columns", "data.dep", "-q", code=2, cwd=folder)
    assert told == ("no data has 'dep', which --columns 'data.dep' asks for", "did you mean data.deep?")
    assert "unknown column" in refused("log", "--columns", "date.x", "-q", code=2, cwd=folder)[0]


@pytest.mark.parametrize("rules", ["", PATCH], ids=["set-wise", "event by event"])
def test_parts_of_payloads_and_states_stand_beside_a_trail_and_moments(folder: Path, rules: str) -> None:
    config = folder / "rules.toml"
    config.write_text(rules)
    own = ("--config", "rules.toml", "-q")
    rows = good("audit", "x-1", *own, "--columns", "position,data.n,data.deep.k[0]", cwd=folder).rows
    assert rows == [{"position": at, "data.n": at - 1, "data.deep.k[0]": at - 1} for at in (2, 4, 6)]
    asked = ("when", "n > 2", "x-1", *own, "--columns", "position,state.n,state.deep.k[1]")
    assert good(*asked, cwd=folder).rows == [{"position": 4, "state.n": 3, "state.deep.k[1]": 3.5}]
    assert "state" not in good("when", "n > 2", "x-1", *own, cwd=folder).row
    assert good("when", "n > 2", "x-1", *own, "--columns", "state", cwd=folder).row["state"]["n"] == 3
    message = refused("when", "n > 2", *own, "--columns", "state.m", code=2, cwd=folder)[0]
    assert message == "no state has 'm', which --columns 'state.m' asks for"


def test_a_part_of_a_state_is_a_column_in_every_format(folder: Path) -> None:
    for form in ("jsonl", "csv"):
        done = good("replay", "x-1", "--columns", "state.deep.k[0],state.n", "-f", form, "-q", cwd=folder)
        assert done.text.split() == (["state.deep.k[0],state.n", "5,5"] if form == "csv" else
                                     ['{"state.deep.k[0]":5,"state.n":5}'])  # fmt: skip
