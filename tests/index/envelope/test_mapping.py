"""The user's mapping: TOML, --map, paths."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from esctl.engine.duckdb import connect
from esctl.errors import UsageError
from esctl.index.envelope.mapping import laid_over_recognised, mapping_hash, override, parse_mapping, stanza_for
from esctl.index.envelope.paths import format_path, json_pointer, parse_path
from esctl.index.envelope.presets import PRESETS
from esctl.index.envelope.stanza_toml import to_toml
from esctl.model import MARK, MappingConfig, Stanza


def read(text: str) -> MappingConfig:
    return parse_mapping(tomllib.loads(text).get("mapping", {}), "esctl.toml")


def default(text: str) -> Stanza:
    stanza = read(text).default
    assert stanza is not None
    return stanza


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("id", ("id",)),
        ("data.account", ("data", "account")),
        ('data."user name"', ("data", "user name")),
        ('"a.b"."c\\"d\\\\"', ("a.b", 'c"d\\')),
        ("resources[0].ARN", ("resources", 0, "ARN")),
        ("[2][0]", (2, 0)),
        ("headers.X-GitHub-Event", ("headers", "X-GitHub-Event")),
        ("@timestamp", ("@timestamp",)),
        ('""', ("",)),
        ("", ()),
    ],
)
def test_paths(text: str, path: tuple[str | int, ...]) -> None:
    assert parse_path(text) == path
    assert parse_path(format_path(path)) == path


@pytest.mark.parametrize("text", ["a..b", ".a", "a.", 'a"b"', '"a', "a[x]", "a[", "a]", "a[0]b", "a[-1]"])
def test_paths_that_cannot_be_read(text: str) -> None:
    with pytest.raises(UsageError, match="is not a path"):
        parse_path(text)


keys = st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 10**6))


@given(st.lists(keys).map(tuple))
def test_any_path_can_be_written(path: tuple[str | int, ...]) -> None:
    assert parse_path(format_path(path)) == path


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1))
def test_pointer_reaches_any_key(key: str) -> None:
    # A judged text writes a key that begins with MARK with one more.
    written = MARK + key if key.startswith(MARK) else key
    value = CONNECTION.execute(
        "SELECT json_extract_string(json_object($1::VARCHAR, 'found'), $2::VARCHAR)", [written, json_pointer((key,))]
    ).fetchall()
    assert value == [("found",)]


CONNECTION = connect(threads=1)


def test_pointer_escapes() -> None:
    assert json_pointer(("a/b", "c~d", 0)) == "/a~1b/c~0d/0"
    assert json_pointer(()) == ""


def test_values_of_every_kind() -> None:
    stanza = default(
        """
        [mapping]
        id = ["source", "id"]
        type = ["type", { const = "event" }]
        time = "time"
        entity = "{data.table}/{data.pk}"
        kind = { const = "file" }
        sequence = ["source.lsn", "source.seq"]
        data = "data"
        order = "sequence"
        [mapping.entities]
        from = "data.from"
        to = ["data.to", "data.target"]
        [mapping.aliases]
        request = ["requestID", "data.requestId"]
        """
    )
    assert stanza == Stanza(
        "custom",
        id_parts=("source", "id"),
        type=("type", "=event"),
        time=("time",),
        entity=("{data.table}/{data.pk}",),
        kind=("=file",),
        sequence=("source.lsn", "source.seq"),
        data=("data",),
        order="sequence",
        entities=(("from", ("data.from",)), ("to", ("data.to", "data.target"))),
        aliases=(("request", ("requestID", "data.requestId")),),
    )


def test_id_of_parts_and_of_alternatives() -> None:
    assert default('mapping.id = { parts = ["a", "b"] }').id_parts == ("a", "b")
    assert default('mapping.id = { first = ["a", "b"] }').id == ("a", "b")
    assert default('mapping.id = ["a"]').id == ("a",)


def test_preset_with_overrides() -> None:
    stanza = default('mapping.preset = "cloudtrail"\nmapping.actor = "userIdentity.userName"')
    assert stanza.actor == ("userIdentity.userName",)
    assert stanza.type == PRESETS["cloudtrail"].stanza.type
    roles = default('mapping.preset = "cloudevents"\nmapping.entities.order = "data.order"')
    assert roles.entity == ()
    assert roles.entities == (("order", ("data.order",)),)
    assert default('mapping.preset = "cloudevents"\nmapping.id = "id"').id_parts == ()


def test_roles_stand_beside_an_entity_of_their_own() -> None:
    stanza = default('mapping.entity = "stream"\nmapping.entities.from = "data.from"')
    assert stanza.entity == ("stream",)
    assert stanza.entities == (("from", ("data.from",)),)


def test_sources_are_tried_in_file_order() -> None:
    config = read(
        """
        [mapping]
        type = "rest"
        [mapping.sources."audit/*.json.gz"]
        preset = "cloudtrail"
        [mapping.sources."*.json.gz"]
        type = "kind"
        """
    )
    cases = {
        "audit/a.json.gz": "eventName",
        "/var/audit/a.json.gz": "eventName",
        "audit/a.json.gz#2": "eventName",
        "other/a.json.gz": "kind",
        "AUDIT/a.json": "rest",
        "-": "rest",
    }
    found = {name: stanza_for(config, name) for name in cases}
    assert {name: stanza.type[0] for name, stanza in found.items() if stanza} == cases
    assert stanza_for(MappingConfig(), "a") is None
    assert stanza_for(read('[mapping.sources."a"]\ntype = "x"'), "b") is None


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('mapping.entitty = "a"', "esctl.toml: mapping.entitty is not a mapping key", "did you mean 'entity'?"),
        (
            'mapping.preset = "cloudtrial"',
            "esctl.toml: mapping.preset: there is no preset 'cloudtrial'",
            "did you mean 'cloudtrail'?",
        ),
        ("mapping.id = 3", "esctl.toml: mapping.id is not a path", "template"),
        ('mapping.time = "a..b"', "esctl.toml: mapping.time: 'a..b' is not a path", "data.items"),
        ('mapping.time = "=x"', "esctl.toml: mapping.time: '=x' is not a path", "const"),
        ('mapping.type = "{a"', "esctl.toml: mapping.type: the braces of '{a' do not match", "template"),
        ('mapping.type = "{a..b}"', "esctl.toml: mapping.type: 'a..b' is not a path", ""),
        ('mapping.order = "tme"', "esctl.toml: mapping.order: 'tme' is not known", "sequence"),
        ('mapping.order = "sequence"', "no sequence is mapped", "sequence = PATH"),
        ('mapping.entities = "a"', "esctl.toml: mapping.entities is not a table", "[mapping.entities]"),
        ('mapping.entities.from = ""', "esctl.toml: mapping.entities.from is not a path", ""),
        ("mapping = 1", "esctl.toml: mapping is not a table", "[mapping]"),
        ("mapping.sources = 1", "esctl.toml: mapping.sources is not a table", ""),
        ('[mapping.sources."a/*"]\nid = 1', 'esctl.toml: mapping.sources."a/*".id is not a path', ""),
    ],
)
def test_errors_name_file_and_key(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        read(text)
    assert message in error.value.message
    assert hint in error.value.hint


def test_map_options() -> None:
    stanza = override(None, ["entity=data.id", "type==file", "sequence=lsn", "sequence=seq", "order=sequence"])
    assert stanza == Stanza("custom", entity=("data.id",), type=("=file",), sequence=("lsn", "seq"), order="sequence")
    roles = override(PRESETS["cloudtrail"].stanza, ["entities.from=data.from", "entities.to={data.x}/{data.y}"])
    assert roles.entities == (("from", ("data.from",)), ("to", ("{data.x}/{data.y}",)))
    assert roles.entity == ()
    assert roles.time == ("eventTime",)
    preset = override(Stanza("custom", id=("x",)), ["preset=cloudevents", "aliases.request=requestid"])
    assert preset.id_parts == ("source", "id")
    assert preset.aliases == (("request", ("requestid",)),)


@pytest.mark.parametrize(
    "option", ["entity", "entity=", "enitty=a", "entities=a", "order=up", "preset=x", "id=a..b", "=a"]
)
def test_wrong_map_options(option: str) -> None:
    with pytest.raises(UsageError, match="--map"):
        override(None, [option])


def test_hash_follows_the_meaning() -> None:
    one = read('[mapping]\nid = "a"\ntype = "b"')
    assert mapping_hash(one) == mapping_hash(read('[mapping]\n# a comment\ntype = ["b"]\nid = "a"'))
    assert mapping_hash(one) != mapping_hash(read('[mapping]\nid = "a"\ntype = "c"'))
    assert mapping_hash(MappingConfig()) != mapping_hash(one)
    assert len(mapping_hash(one)) == 16


path_text = st.lists(keys, min_size=1, max_size=3).map(format_path)
alternatives = st.lists(
    st.one_of(
        path_text.filter(lambda text: "{" not in text and "}" not in text),
        st.text(st.characters(exclude_categories=["Cs"])).map("=".__add__),
        st.sampled_from(["{a}/{b}", "{data.x}"]),
    ),
    max_size=3,
).map(tuple)
named = st.lists(
    st.tuples(st.text(st.characters(exclude_categories=["Cs"])), alternatives), max_size=3, unique_by=lambda p: p[0]
)


@st.composite
def stanzas(draw: st.DrawFn) -> Stanza:
    changes: dict[str, Any] = {
        key: draw(alternatives) for key in ("type", "time", "entity", "kind", "actor", "data", "sequence")
    }
    parts = draw(alternatives)
    own = draw(st.sampled_from(["id", "dedupe_by"]))
    changes |= {"id_parts": parts} if len(parts) > 1 else {own: draw(alternatives)}
    changes |= {"entities": tuple(draw(named)), "aliases": tuple(draw(named))}
    columns = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=2).map(tuple)
    changes["row_keys"] = tuple(sorted(draw(st.dictionaries(st.sampled_from(["shop.acc", "t", '"']), columns)).items()))
    changes["order"] = draw(st.sampled_from(["time", "position", *(["sequence"] if changes["sequence"] else [])]))
    return Stanza("custom", **changes)


@given(stanzas())
def test_toml_says_the_same(stanza: Stanza) -> None:
    config = parse_mapping(tomllib.loads(to_toml(stanza))["mapping"])
    assert (config.default or Stanza("custom")) == stanza


@pytest.mark.parametrize("name", PRESETS)
def test_toml_of_a_preset_is_its_name(name: str) -> None:
    assert to_toml(PRESETS[name].stanza) == f'[mapping]\npreset = "{name}"\n'
    changed = override(PRESETS[name].stanza, ["actor=who", "order=position"])
    assert default(to_toml(changed)) == changed


def test_keys_of_tables_are_said_beside_what_is_recognised() -> None:
    stanza = default('mapping.row_keys = { "shop.lines" = ["order_nr", "line"], b = "nr", c = [] }')
    assert dict(stanza.row_keys) == {"shop.lines": ("order_nr", "line"), "b": ("nr",), "c": ()}
    known = replace(PRESETS["maxwell"].stanza, row_keys=(("b", ("id",)), ("d", ("id",))))
    laid = laid_over_recognised(stanza, known)
    assert (laid.name, dict(laid.row_keys)["d"], dict(laid.row_keys)["b"]) == ("maxwell", ("id",), ("nr",))
    with pytest.raises(UsageError, match="row_keys is not a table"):
        default('mapping.row_keys = "nr"')


def test_a_mapped_sequence_is_the_order_unless_said_otherwise() -> None:
    assert default('mapping.sequence = "lsn"').order == "sequence"
    assert default('mapping.sequence = "lsn"\nmapping.order = "time"').order == "time"
    assert override(None, ["sequence=lsn"]).order == "sequence"
