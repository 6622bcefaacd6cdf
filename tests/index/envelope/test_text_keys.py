"""What a mapping says of the lines of text logs: for one source, for all, in a file and as options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from esctl.index.envelope.mapping import parse_mapping
from esctl.index.envelope.presets import PRESETS
from esctl.index.envelope.text.told import pattern_of, year_of
from esctl.model import MappingConfig
from tests.support.cli_harness import good

ONE, TWO = r"^(?P<time>\S+) (?P<order_id>o-\d) (?P<action>\w+)$", r"^(?P<time>\S+) (?P<action>\w+) (?P<order_id>o-\d)$"


def lines_of(options: list[str], source: str, table: dict[str, Any] | None = None) -> tuple[str, str]:
    """Return the pattern and the year of a source, as a mapping with some options gives them."""
    configured = parse_mapping(table or {})
    config = MappingConfig(configured.default, configured.sources, tuple(options))
    return pattern_of(config, source), year_of(config, source)


@pytest.mark.parametrize(
    ("options", "of_a", "of_b"),
    [
        ([f"pattern={ONE}"], (ONE, ""), (ONE, "")),
        ([f"b.log:pattern={ONE}"], ("", ""), (ONE, "")),
        ([f"b.log:pattern={ONE}", f"pattern={TWO}"], (TWO, ""), (ONE, "")),
        ([f"pattern={ONE}", f"pattern={TWO}"], (f"{ONE}\n{TWO}", ""), (f"{ONE}\n{TWO}", "")),
        ([f"b.log:pattern={TWO}", f"b.log:pattern={ONE}", "year=2020"], ("", "2020"), (f"{TWO}\n{ONE}", "2020")),
        (["b.log:year=2021", "year=2020"], ("", "2020"), ("", "2021")),
        (["b.log:preset=syslog"], ("", ""), (PRESETS["syslog"].stanza.pattern, "")),
        ([f"pattern={ONE}", "b.log:preset=syslog"], (ONE, ""), (PRESETS["syslog"].stanza.pattern, "")),
        (["entity=pattern=x", "type=year"], ("", ""), ("", "")),
    ],
)
def test_options_are_for_the_sources_that_they_name(
    options: list[str], of_a: tuple[str, str], of_b: tuple[str, str]
) -> None:
    assert lines_of(options, "logs/a.log") == of_a
    assert lines_of(options, "logs/b.log") == of_b


def test_options_come_before_the_file() -> None:
    table = {"pattern": ONE, "year": 2019, "sources": {"b.log": {"year": 2018}}}
    assert lines_of([], "a.log", table) == (ONE, "2019")
    assert lines_of([], "b.log", table) == (ONE, "2018")
    assert lines_of([f"b.log:pattern={TWO}", "a.log:year=2020"], "a.log", table) == (ONE, "2020")
    assert lines_of([f"b.log:pattern={TWO}", "a.log:year=2020"], "b.log", table) == (TWO, "2018")
    # A preset of records says nothing of lines.
    assert lines_of(["preset=cloudevents"], "a.log", table) == (ONE, "2019")


def entities(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for row in good("log", "--columns", "source,time,entity,type", cwd=folder).rows:
        found.setdefault(Path(row["source"]).name, []).append((row["time"], row["entity"], row["type"]))
    return found


def test_a_pattern_for_one_source_cuts_its_lines_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("2024-03-05T10:00:00Z o-1 paid\n2024-03-05T10:00:01Z o-2 paid\n")
    (tmp_path / "b.log").write_text("2024-03-05T10:00:02Z sent o-1\n2024-03-05T10:00:03Z sent o-2\n")
    options = ["--map", f"pattern={ONE}", "--map", f"b.log:pattern={TWO}"]
    expected = {
        "a.log": [("2024-03-05T10:00:00Z", "o-1", "paid"), ("2024-03-05T10:00:01Z", "o-2", "paid")],
        "b.log": [("2024-03-05T10:00:02Z", "o-1", "sent"), ("2024-03-05T10:00:03Z", "o-2", "sent")],
    }
    good("ingest", "a.log", "b.log", *options, cwd=tmp_path)
    assert entities(tmp_path) == expected
    good("verify", "--full", cwd=tmp_path)


def test_only_the_source_that_is_named_has_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id":"1","type":"T","time":"2024-03-05T10:00:00Z","entity":"x"}\n')
    (tmp_path / "b.log").write_text("2024-03-05T10:00:02Z sent o-1\n2024-03-05T10:00:03Z sent o-2\n")
    done = good("ingest", "a.jsonl", "b.log", "--map", f"b.log:pattern={TWO}", cwd=tmp_path)
    assert "is not used" not in done.err
    assert [row[1] for row in entities(tmp_path)["b.log"]] == ["o-1", "o-2"]


def test_a_year_for_one_source_is_that_of_its_times(tmp_path: Path) -> None:
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_text(f"<34>Mar  5 10:00:02 {name[0]}1 su: failed\n")
    options = ["--map", "year=2020", "--map", "b.log:year=2021"]
    good("ingest", "a.log", "b.log", "--preset", "syslog", *options, cwd=tmp_path)
    years = {name: [row[0][:4] for row in rows] for name, rows in entities(tmp_path).items()}
    assert years == {"a.log": ["2020"], "b.log": ["2021"]}
