"""What `--map` says: of all sources or some, before esctl.toml, and how that is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from esctl.errors import UsageError
from esctl.index.envelope.map_options import merge_options
from esctl.index.envelope.mapping import override, split_option
from tests.support.cli_harness import esctl, good, refused


def two(folder: Path) -> None:
    for name in ("a", "b"):
        lines = [{"id": f"{name}{n}", "type": "T", "stream": f"s-{n}", "acct": f"{name}-1", "n": n} for n in range(3)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def entities(folder: Path) -> list[str]:
    return [row["entity"] for row in good("entities", cwd=folder).rows]


@pytest.mark.parametrize(
    ("option", "parts"),
    [
        ("entity=data.x", ("", "entity", "data.x")),
        ("b.jsonl:entity=data.x", ("b.jsonl", "entity", "data.x")),
        ("dt=2024/b:c.jsonl:entities.from=data.x", ("dt=2024/b:c.jsonl", "entities.from", "data.x")),
        ("logs.zip!a.jsonl:type==const", ("logs.zip!a.jsonl", "type", "=const")),
        ("ignore=type = 'x:entity=y'", ("", "ignore", "type = 'x:entity=y'")),
        ("entty=x", ("", "entty", "x")),
        ("b.jsonl:entty=x", ("b.jsonl", "entty", "x")),
    ],
)
def test_an_option_is_split_at_its_key(option: str, parts: tuple[str, str, str]) -> None:
    assert split_option(option) == parts


def test_an_option_for_a_source_is_for_that_alone(tmp_path: Path) -> None:
    two(tmp_path)
    good("ingest", "a.jsonl", "b.jsonl", "--map", "b.jsonl:entity=acct", cwd=tmp_path)
    assert entities(tmp_path) == ["b-1", "s-0", "s-1", "s-2"]
    good("reindex", "--map", "entity=acct", "--map", "[a]*:entity=stream", cwd=tmp_path)
    assert entities(tmp_path) == ["b-1", "s-0", "s-1", "s-2"]


def test_what_is_said_of_other_sources_stays(tmp_path: Path) -> None:
    two(tmp_path)
    good("ingest", "a.jsonl", "--map", "a.jsonl:entity=acct", cwd=tmp_path)
    good("ingest", "b.jsonl", "--map", "b.jsonl:entity=acct", cwd=tmp_path)
    assert entities(tmp_path) == ["a-1", "b-1"]
    good("reindex", "--map", "b.jsonl:entity=stream", cwd=tmp_path)
    assert entities(tmp_path) == ["a-1", "s-0", "s-1", "s-2"]
    good("reindex", "--map", "", cwd=tmp_path)
    assert entities(tmp_path) == ["s-0", "s-1", "s-2"]
    assert merge_options(["a:id=x", "type=y"], ["type=z"], time_format=["usual"]) == [
        "a:id=x",
        "type=z",
        "time_format=usual",
    ]


def test_what_goes_before_esctl_toml_is_said(tmp_path: Path) -> None:
    two(tmp_path)
    good("ingest", "a.jsonl", "b.jsonl", "--map", "b.jsonl:entity=acct", cwd=tmp_path)
    (tmp_path / "esctl.toml").write_text(
        '[mapping]\nentity = "stream"\n[mapping.sources."b*"]\nentity = "stream"\ntype = "type"\n'
    )
    told = good("reindex", cwd=tmp_path).err
    place = 'mapping.sources."b*".entity'
    assert f"note: --map b.jsonl:entity=acct goes before {place} of esctl.toml (stream)" in told
    assert "mapping.entity of" not in told
    assert "esctl reindex --map ''" in told
    shown = {row["setting"]: row for row in good("config", "show", cwd=tmp_path).rows}
    assert shown["mapping.sources.b*.entity"]["origin"].endswith("esctl.toml, behind --map b.jsonl:entity=acct")
    assert shown["mapping.entity"]["origin"].endswith("esctl.toml")
    assert shown['read."b.jsonl".entity'] == {"setting": 'read."b.jsonl".entity', "value": "acct", "origin": "--map"}
    assert shown['read."b.jsonl".type']["origin"].endswith("esctl.toml")
    assert shown['read."a.jsonl".entity']["origin"].endswith("esctl.toml")
    assert "goes before" not in good("reindex", "--map", "", cwd=tmp_path).err


def test_where_a_recognised_mapping_is_from(tmp_path: Path) -> None:
    two(tmp_path)
    good("ingest", "a.jsonl", "b.jsonl", "--map", "type=acct", cwd=tmp_path)
    origins = {row["setting"]: row["origin"] for row in good("config", "show", cwd=tmp_path).rows}
    assert origins['read."a.jsonl" and 1 more.entity'] == "recognised"
    assert origins['read."a.jsonl" and 1 more.type'] == "--map"


def test_an_option_for_no_source_is_said(tmp_path: Path) -> None:
    two(tmp_path)
    told = good("ingest", "a.jsonl", "--map", "c.jsonl:entity=acct", cwd=tmp_path).err
    assert "note: --map c.jsonl:... is for no source that there is; sources: a.jsonl" in told
    assert "is for no source" in esctl("reindex", cwd=tmp_path).err


def test_a_stanza_for_no_source_is_said(tmp_path: Path) -> None:
    two(tmp_path)
    stanza = '[mapping.sources."{}"]\nentity = "acct"\n'
    (tmp_path / "esctl.toml").write_text("".join(map(stanza.format, ("audit/*.json", "a*", "a.jsonl"))))
    told = good("ingest", "a.jsonl", "b.jsonl", cwd=tmp_path).err
    idle = '[mapping.sources."audit/*.json"], [mapping.sources."a.jsonl"]'
    assert f"note: {idle} of esctl.toml are for no source that there is; sources: a.jsonl, b.jsonl" in told
    assert "are for no source" in good("reindex", cwd=tmp_path).err
    origins = {row["setting"]: row["origin"] for row in good("config", "show", cwd=tmp_path).rows}
    assert origins["mapping.sources.audit/*.json.entity"].endswith("esctl.toml, for no source that there is")
    assert origins["mapping.sources.a*.entity"].endswith("esctl.toml")
    (tmp_path / "esctl.toml").write_text(stanza.format("b*"))
    assert "for no source" not in good("reindex", cwd=tmp_path).err


def test_a_wrong_option_is_told_with_its_source(tmp_path: Path) -> None:
    two(tmp_path)
    good("ingest", "a.jsonl", cwd=tmp_path)
    told, hint = refused("reindex", "--map", "a.jsonl:entty=x", code=2, cwd=tmp_path)
    assert (told, hint) == ("--map a.jsonl.entty is not a mapping key", "did you mean 'entity'?")
    with pytest.raises(UsageError, match="is not KEY=PATH"):
        override(None, ["a.jsonl:entity="])


def test_a_path_that_no_record_has_is_told(tmp_path: Path) -> None:
    two(tmp_path)
    done = good("ingest", "a.jsonl", "b.jsonl", "--map", "data=chg", cwd=tmp_path)
    assert "note: a.jsonl: the data is said to be chg, which none of its first records has" in done.err
    assert "note: b.jsonl: the data is said to be chg" in done.err
    (tmp_path / "esctl.toml").write_text('[mapping]\nid = "id"\ntype = "kind"\nentity = "stream"\n')
    done = good("reindex", "--map", "", cwd=tmp_path)
    assert "note: a.jsonl: the type is said to be kind, which none" in done.err
    assert "the entity is" not in done.err


def test_a_path_that_records_have_is_not_told(tmp_path: Path) -> None:
    two(tmp_path)
    good("ingest", "a.jsonl", "b.jsonl", "-q", cwd=tmp_path)
    for options in (["entity=acct"], ["entity={stream}/{acct}", "data=record", "type==T"], ["entities.of=acct"]):
        done = good("reindex", *(word for each in options for word in ("--map", each)), cwd=tmp_path)
        assert "is said to be" not in done.err


@pytest.mark.parametrize("option", ["newest_first=true", "newest_first=false", "ignore_case=true"])
def test_a_switch_is_told_as_it_is_written(option: str, tmp_path: Path) -> None:
    two(tmp_path)
    good("ingest", "a.jsonl", "--map", option, cwd=tmp_path)
    assert good("log", cwd=tmp_path).rows
