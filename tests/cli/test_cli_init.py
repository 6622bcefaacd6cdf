"""init writes an esctl.toml that changes nothing; config show says where each setting comes from."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from esctl.cli.options import Shared
from esctl.cli.settings import DEFAULTS, settings
from esctl.config import Setting
from tests.support.cli_harness import SAMPLES, good, plain_event, refused, write_lines


@pytest.mark.parametrize("name", ["bank.jsonl", "messy.jsonl", "orders_cdc.jsonl", "shop", "all"])
def test_what_init_writes_gives_the_same_states(tmp_path: Path, name: str) -> None:
    for path in SAMPLES.iterdir():
        if (name == "all" and (path.suffix == ".jsonl" or path.name == "shop")) or path.name == name:
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, tmp_path / path.name)
    good("ingest", ".", "-q", cwd=tmp_path)
    before, events = good("replay", cwd=tmp_path).rows, good("log", cwd=tmp_path).out
    assert before
    done = good("init", cwd=tmp_path)
    assert (done.out, done.err) == (b"", f"wrote {tmp_path / 'esctl.toml'}\n")
    text = (tmp_path / "esctl.toml").read_text(encoding="utf-8")
    assert text.startswith("#")
    assert set(tomllib.loads(text)) == {"mapping", "projections"}
    assert good("log", cwd=tmp_path).out == events
    after = good("replay", cwd=tmp_path).rows
    assert after == before


def test_types_of_one_pattern_get_one_rule(tmp_path: Path) -> None:
    names = ("*", None, "T[a]", "T?a]", "*")
    events = [
        {"id": f"e-{n}", "time": f"2024-01-01T00:00:0{n}Z", "type": name, "entity": "a-1", "data": {f"f{n}": n}}
        for n, name in enumerate(names)
    ]
    write_lines(tmp_path / "a.jsonl", events)
    good("ingest", "a.jsonl", "--map", "type=type", "--map", "entity=entity", "-q", cwd=tmp_path)
    before = good("replay", cwd=tmp_path).rows
    good("init", "-q", cwd=tmp_path)
    assert len(tomllib.loads((tmp_path / "esctl.toml").read_text(encoding="utf-8"))["projections"]["a"]["on"]) == 2
    assert good("replay", cwd=tmp_path).rows == before


def test_init_twice_refuses_and_can_be_forced(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [plain_event(1)])
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    good("init", "-q", cwd=tmp_path)
    written = (tmp_path / "esctl.toml").read_bytes()
    (tmp_path / "esctl.toml").write_bytes(written + b"# mine\n")
    message, hint = refused("init", code=2, cwd=tmp_path)
    assert "esctl.toml already exists" in message
    assert "--force" in hint
    assert (tmp_path / "esctl.toml").read_bytes() == written + b"# mine\n"
    assert good("init", "-o", "-", cwd=tmp_path).out == written
    good("init", "-o", "other.toml", cwd=tmp_path)
    assert (tmp_path / "other.toml").read_bytes() == written
    good("init", "--force", cwd=tmp_path)
    assert (tmp_path / "esctl.toml").read_bytes() == written


def test_a_mapping_given_by_map_is_written_too(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [{**plain_event(i), "other": f"else-{i}"} for i in range(3)])
    good("ingest", "a.jsonl", "--map", "entity=other", "-q", cwd=tmp_path)
    before = good("replay", cwd=tmp_path).rows
    good("init", "-q", cwd=tmp_path)
    assert tomllib.loads((tmp_path / "esctl.toml").read_text())["mapping"]["entity"] == "other"
    assert good("replay", cwd=tmp_path).rows == before


def test_config_show_names_every_origin(samples: Path) -> None:
    def origins(*arguments: str, **variables: str) -> dict[str, tuple[str, str]]:
        rows = good(*arguments, "config", "show", cwd=samples, **variables).rows
        assert all(list(row) == ["setting", "value", "origin"] for row in rows)
        return {row["setting"]: (row["value"], row["origin"]) for row in rows}

    plain = origins()
    assert plain["tz"] == ("UTC", "default")
    assert plain["config found"] == (str(samples / "esctl.toml"), "search")
    assert plain["store found"] == (str(samples / ".esctl"), "search")
    assert plain["mapping.sources.*bank.jsonl.entity"] == ("stream", str(samples / "esctl.toml"))
    assert origins("--tz", "Asia/Kathmandu")["tz"] == ("Asia/Kathmandu", "--tz")
    assert origins(ESCTL_TZ="Asia/Kathmandu")["tz"] == ("Asia/Kathmandu", "ESCTL_TZ")
    assert origins("--tz", "UTC", ESCTL_TZ="Asia/Kathmandu")["tz"] == ("UTC", "--tz")
    assert origins(ESCTL_FORMAT="json", ESCTL_QUIET="1")["format"] == ("json", "ESCTL_FORMAT")
    assert origins(ESCTL_QUIET="1")["quiet"] == ("true", "ESCTL_QUIET")
    assert origins("--limit", "999")["limit"] == ("999", "--limit")
    assert settings(Shared(limit=0))[list(DEFAULTS).index("limit")] == Setting("limit", "0", "--limit")
    assert origins("--columns", "setting,value,origin")["columns"] == (
        "setting,value,origin",
        "--columns",
    )
    assert origins(ESCTL_COLUMNS="setting, value,origin")["columns"] == ("setting,value,origin", "ESCTL_COLUMNS")
    assert origins(ESCTL_CONFIG="./esctl.toml")["config"] == ("esctl.toml", "ESCTL_CONFIG")


def test_config_show_takes_the_output_table(samples: Path, tmp_path: Path) -> None:
    config = tmp_path / "esctl.toml"
    config.write_text('[output]\ntz = "Asia/Kathmandu"\nformat = "csv"\n')
    text = good("--config", config, "config", "show", cwd=samples).text
    assert f"tz,Asia/Kathmandu,{config}\n" in text
    assert f"format,csv,{config}\n" in text
    assert text.startswith("setting,value,origin\n")


def test_init_changes_no_state_where_there_are_more_types_or_kinds_than_it_lists(tmp_path: Path) -> None:
    types = [{**plain_event(n, "busy-1", **{f"f{n}": n}), "type": f"T{n:02d}"} for n in range(45)]
    untyped = [{**plain_event(n, "bare-1", **{f"f{n}": n}), "type": "Known" if n % 2 else None} for n in range(50, 56)]
    kinds = [plain_event(100 + n, f"k{n:02d}-1") for n in range(45)]
    write_lines(tmp_path / "a.jsonl", [*types, *untyped, *kinds])
    good("ingest", "a.jsonl", "-q", cwd=tmp_path)
    before = good("replay", cwd=tmp_path).rows
    good("init", "-q", cwd=tmp_path)
    text = (tmp_path / "esctl.toml").read_text()
    assert good("replay", cwd=tmp_path).rows == before
    assert "# 5 events of the 5 other types: this rule is for every event, those with a rule too\n" in text
    assert "# 3 events without a type: this rule is for every event, those with a rule too\n" in text
    assert text.endswith(
        "# 7 more kinds have no projection here, so their payloads are merged: k38, k39, k40, k41, k42, ...\n"
    )


def test_init_has_a_rule_for_tombstones_however_rare_they_are(tmp_path: Path) -> None:
    from esctl.ask.events.starter_toml import _projection
    from esctl.model import TOMBSTONE

    text = _projection("busy", [*((f"T{n}", 2) for n in range(50)), (TOMBSTONE, 1)], {})
    rules = tomllib.loads(text)["projections"]["busy"]["on"]
    assert rules[TOMBSTONE] == {"delete": True}
    assert next(iter(rules)) == "*"
