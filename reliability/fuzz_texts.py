"""Fuzz the texts that people and programs write: times, sizes, paths, configuration, SQL, keys, notes and proofs."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from esctl.ask.over_time.aggregates import parse_aggregates
from esctl.ask.over_time.grid import parse_step
from esctl.ask.scope.basis import read_basis, to_json
from esctl.cli.options import parse_columns
from esctl.config import read_config
from esctl.engine.allowlist import checked_select
from esctl.engine.duckdb import connect
from esctl.engine.sizes import parse_size
from esctl.engine.zones import find_zone
from esctl.errors import EsctlError
from esctl.index.envelope.mapping import mapping_hash, override, parse_mapping
from esctl.index.envelope.paths import format_path, parse_path
from esctl.index.envelope.stanza_toml import to_toml
from esctl.ledger.prove.judge import Trust, judge_proof, read_proof
from esctl.ledger.prove.proof_file import Proof, content_of
from esctl.ledger.sign.checkpoint import Head, parse_checkpoint, sign
from esctl.ledger.sign.note import SigningKey, parse_note, parse_signing, parse_verifier
from esctl.log.leaves.leaf import Leaf, digest
from esctl.log.merkle import leaf_hash, verify_inclusion
from esctl.projection.expressions import Expression
from esctl.projection.expressions import Path as Names
from esctl.projection.spec import parse_projections
from esctl.projection.values import Shape, Value
from esctl.timespec import parse_as_of, point_text
from reliability.target import Target, each

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = SigningKey("keeper", bytes(range(32)))
ROOT = Path(__file__).resolve().parents[1]


def text_targets(folder: Path) -> list[Target]:
    """Return the targets that read texts."""
    return [
        Target("timespec", 20, _lines(POINTS), each(_point)),
        Target("sizes and steps", 0.5, _lines(SHORT), each(_short)),
        Target("paths", 15, _lines(PATHS), each(_path)),
        Target("esctl.toml", 4, _configurations(), each(lambda data: _configuration(folder, data))),
        Target("expressions", 1.5, _lines(EXPRESSIONS), each(_expression)),
        Target("sql", 3, _lines(QUERIES), each(_query)),
        Target("keys", 12, _lines((KEY.text, KEY.verifier.text)), each(_key)),
        Target("notes and checkpoints", 14, _notes(), each(_checkpoint)),
        Target("proofs", 12, _proofs(), each(_proof)),
        Target("basis", 6, _bases(), each(lambda data: _basis(folder, data)), is_json=True),
    ]  # fmt: skip


def _lines(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(text.encode() for text in texts)


POINTS = (
    "2024-02-01T14:03:00Z", "2024-02-01", "20240201", "@123", "seq:9", "version:5", "id:evt-9", "now", "2h ago",
    "yesterday", "2024-02-01 14:03:00.123456+05:45", "1706796180", "1706796180123", "Thu, 01 Feb 2024 14:03:00 GMT",
    "01/Feb/2024:14:03:00 +0000", "3 weeks ago", "today", "9999-12-31", "0001-01-01T00:00:00Z",
)  # fmt: skip
SHORT = ("2GiB", "512MB", "1.5 kB", "4096", "15m", "1h", "1d", "3mo", "+05:45", "Europe/Vienna", "a,b")
ZONES = ("UTC", "Europe/Vienna", "+05:45", "Pacific/Apia")


def _text(data: bytes) -> str:
    """Decode a text as a command line does: bytes that are not UTF-8 become lone surrogates."""
    return data.decode("utf-8", "surrogateescape").replace("\x00", "")


def _point(data: bytes) -> None:
    text = _text(data)
    for number, zone in enumerate(ZONES):
        at = parse_as_of(text, inclusive=number % 2 == 0, tz=zone, now=lambda: NOW)
        again = parse_as_of(point_text(at), inclusive=at.inclusive, now=lambda: NOW)
        told = (at.kind, at.instant, at.number, at.value)
        assert (again.kind, again.instant, again.number, again.value) == told, (told, again)


def _short(data: bytes) -> None:
    text = _text(data)
    for read in (lambda: parse_size(text, "--x"), lambda: parse_step(text), lambda: find_zone(text)):
        _read_or_refuse(read)
    parse_columns(text)


def _read_or_refuse(read: Callable[[], object]) -> None:
    with suppress(EsctlError):
        read()


PATHS = (
    "data.items[0].name",
    'data."user name"',
    "id",
    'a."b\\"c".d',
    "record.x",
    "entity={a}/{b}",
    "id==file",
    "[0][1]",
)


def _path(data: bytes) -> None:
    text = _text(data)
    _read_or_refuse(lambda: override(None, [text]))
    path = parse_path(text)
    assert parse_path(format_path(path)) == path


def _configurations() -> tuple[bytes, ...]:
    written_out = [path.read_bytes() for path in sorted(ROOT.glob("*/esctl.toml"))]
    rich = b"""
[mapping]
id = ["source", "id"]
entity = "{data.table}/{data.pk}"
sequence = ["lsn", "seq"]
kind = { const = "file" }
[mapping.entities]
from = "data.from"
[mapping.aliases]
request = ["requestID", "data.requestId"]
[mapping.sources."audit/*.json.gz"]
preset = "cloudtrail"
[projections.account]
entities = "account-*"
types = { balance = "decimal(18,2)" }
[projections.account.on."Money*[from]"]
when = "data.amount > 10000 and not coalesce(data.test, false)"
append = { large = "{'id': id, 'amount': data.amount}" }
add = { balance = "data.amount" }
unset = ["x"]
[projections.free]
sql = "select entity, count(*) as n from events group by entity"
[output]
tz = "Europe/Vienna"
"""
    return (*written_out, rich)


def _configuration(folder: Path, data: bytes) -> None:
    path = folder / "esctl.toml"
    path.write_bytes(data)
    config = read_config(path)
    parse_projections(config.projections, config.name)
    mapping = parse_mapping(config.mapping, config.name)
    mapping_hash(mapping)
    if mapping.default is not None:
        path.write_text(to_toml(mapping.default), encoding="utf-8")
        again = parse_mapping(read_config(path).mapping, config.name)
        assert again.default == mapping.default, (mapping.default, again.default)


EXPRESSIONS = (
    "data.amount > 10000", "{'id': id, 'amount': data.amount}", "coalesce(data.x, 'a') || lower(type)",
    "-data.a + 2 * (3 - data.b) / 4 % 5",
    "case when data.a is null then 1 else data.b end", "cast(data.x as decimal(18,2))",
    "data.x in (1, 2) and not data.y like 'a%'",
    "data.amount between 1 and 2 or data.\"user name\" = 'x'", "round(data.a, 2)", "[data.a, 1, 'x']",
    "substr(data.a, 1, 2)",
    "data.items[0].name", "try_cast(data.x as bigint)", "greatest(data.a, 1)",
    "sum(balance) / count(*) filter (status = 'open')",
    "count(distinct owner)", "avg(balance) filter (where balance > 0)", "time > '2024-01-01'",
)  # fmt: skip
_NUMBERS = {"amount": Value("amount", "number", Shape(18, 2)), "time": Value("time", "time")}
_connection = connect(threads=1)


def _resolve(path: Names) -> Value:
    name = path[-1]
    return _NUMBERS.get(str(name), Value("j", "dynamic", None, "t", "k", "n"))


def _expression(data: bytes) -> None:
    text = _text(data)
    _read_or_refuse(lambda: parse_aggregates(text).inputs(_resolve))
    compiled = Expression(text, "here").compile(_resolve)
    # However odd the text, its SQL is one scalar expression for DuckDB, without a subquery or a table.
    sql = f"SELECT {compiled.sql}"
    row = _connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
    found = json.loads(row[0]) if row else {}
    assert not found["error"], (text, sql[:500], found.get("error_message"))
    (statement,) = found["statements"]
    assert statement["node"]["from_table"]["type"] == "EMPTY"
    assert len(statement["node"]["select_list"]) == 1
    assert '"SUBQUERY"' not in row[0]


QUERIES = (
    "select * from events where type = 'x' order by time limit 3", "with a as (select 1) select * from a",
    "select count(*) filter (where data.x > 1) from events group by all", "from account('2024-01-01')",
    "select * from (pivot events on type in ('a') using count(*))", "values (1, 'a''b')",
    "select unnest([1, 2]) union all select 3",
    "select 1; select 2", "select * from read_csv('x')", "with x as (copy (select 1) to 'y') select 1",
    "from range(10) t(x) -- c",
    "select list_transform([1], lambda x: x + 1), {'a': 1}.a, $$text$$",
    "with recursive r as (select 1 union all select 2) from r",
)  # fmt: skip


def _query(data: bytes) -> None:
    select = checked_select(_connection, _text(data), "the query", ("events",), ("account",))
    kinds = {str(node.get("type")) for node in select.nodes()}
    assert not kinds & {"INSERT_STATEMENT", "COPY_STATEMENT", "DELETE_STATEMENT", "UPDATE_STATEMENT"}, kinds
    names = {str(node.get("function_name", "")).lower() for node in select.nodes()}
    assert not [name for name in names if name.startswith(("read_", "getenv", "pragma_", "duckdb_"))], names


def _key(data: bytes) -> None:
    text = _text(data)
    for read in (parse_verifier, parse_signing):
        try:
            key = read(text)
        except ValueError:
            continue
        assert key.text == text.strip()


def _head(size: int, root: bytes) -> bytes:
    return sign(Head("esctl/5f0c8a5e-0000-4000-8000-000000000000", size, root), KEY)


def _notes() -> tuple[bytes, ...]:
    return (_head(1, bytes(32)), _head(10**9, b"\xff" * 32))


def _checkpoint(data: bytes) -> None:
    import base64

    try:
        note = parse_note(data)
    except ValueError:
        return
    lines = [f"— {one.name} {base64.b64encode(one.id + one.value).decode()}\n" for one in note.signatures]
    assert f"{note.text}\n{''.join(lines)}".encode() == data
    try:
        checkpoint = parse_checkpoint(data)
    except ValueError:
        return
    assert note.text.startswith(checkpoint.head.text)
    if Trust((KEY.verifier,), True).keys and _signed(checkpoint):
        assert checkpoint.note.text in {parse_note(one).text for one in _notes()}


def _signed(checkpoint: object) -> bool:
    try:
        return bool(Trust((KEY.verifier,), True).find_signers(checkpoint))  # type: ignore[arg-type]
    except ValueError:
        return False


RAW = b'{"id": 1}\n'
_LEAF = Leaf(1, 1_700_000_000_000_000, 0, None, "-", "-", digest(b"", RAW), digest(b"", b"a.jsonl"))


def _proofs() -> tuple[bytes, ...]:
    other = leaf_hash(b"other")
    from hashlib import sha256

    root = sha256(b"\x01" + _LEAF.hash + other).digest()
    assert verify_inclusion(_LEAF.hash, 0, 2, [other], root)
    whole = Proof(0, (other,), _head(2, root), content_of(_LEAF, b"", "a.jsonl").extra).data
    alone = Proof(0, (), _head(1, _LEAF.hash), content_of(_LEAF, b"", "a.jsonl").extra).data
    erased = Proof(0, (other,), _head(2, root), f"esctl/erased/1\n1\n{_LEAF.hash.hex()}\n".encode()).data
    return (whole, alone, erased)


def _proof(data: bytes) -> None:
    read = read_proof(data, "proof")
    assert read.proof.data == data
    for raw in (RAW, None, b""):
        judged = judge_proof(read, raw, Trust((KEY.verifier,), True))
        if judged.result == "proven":
            # Only what was signed can be proven, nothing that was changed.
            assert (read.content.leaf, raw) in ((_LEAF, RAW), (_LEAF, None)), data


def _bases() -> tuple[bytes, ...]:
    from esctl.model import Basis

    basis = Basis(5, "0" * 64, {"at": "2024-01-01T00:00:00Z"}, ("@3",), "m" * 16, "p" * 16, "0.1", 0)
    return ((to_json(basis) + "\n").encode(),)


def _basis(folder: Path, data: bytes) -> None:
    path = folder / "basis"
    path.write_bytes(data)
    basis = read_basis(path)
    path.write_text(to_json(basis) + "\n", encoding="utf-8")
    assert read_basis(path) == basis
