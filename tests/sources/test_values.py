"""JSON values: elements cut out of arrays, wrapped arrays and streams, whatever the chunks; nothing dropped."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from esctl.errors import InputError, UsageError
from esctl.model import Cursor
from esctl.sources.files.finding import Source, expand
from esctl.sources.files.reading import FORMATS, SourceOptions, read
from esctl.sources.formats.detect import sniff
from esctl.sources.formats.json.scan import START, State, scan

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
)
TEXTS = st.one_of(st.text(alphabet='{}[]",:\\ \n\x1ea1é', max_size=12), st.text(max_size=8))
JSON = st.recursive(
    st.one_of(SCALARS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=4)
BROKEN = st.one_of(
    st.text(alphabet='{}[]",:\\ \n1a', max_size=40).map(str.encode),
    st.binary(max_size=40),
    JSON.map(lambda value: json.dumps(value).encode()).flatmap(
        lambda text: st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(
            lambda at: text[: at[0]] + text[at[1] :]
        )
    ),
)
INDENTS = st.sampled_from([None, 0, 1, 3])


class Given:
    """What reading bytes gave."""

    def __init__(self, path: Path, options: SourceOptions, cursors: dict[str, Cursor] | None = None) -> None:
        self.cursors = dict(cursors or {})
        self.raws: list[bytes] = []
        self.spans: list[tuple[int, bytes]] = []
        reading = read(Source(str(path), path), options, self.cursors)
        for delivery in reading:
            self.raws += delivery.batch["raw"].to_pylist()
            self.spans += zip(delivery.batch["offset"].to_pylist(), delivery.batch["raw"].to_pylist(), strict=True)
            self.cursors[reading.name] = delivery.cursor
        self.pending, self.format = reading.pending_bytes, reading.format
        self.cursor = self.cursors.get(reading.name)

    @property
    def values(self) -> list[Any]:
        return [json.loads(raw) for raw in self.raws]


def take(folder: Path, data: bytes, **options: Any) -> Given:
    path = folder / "file"
    path.write_bytes(data)
    return Given(path, SourceOptions(**options))


def naive_brackets(
    text: bytes, deepest: int, depth: int, in_string: bool, escaped: bool
) -> tuple[list[tuple[int, int, int, bool]], State]:
    found = []
    for at, byte in enumerate(text):
        if escaped:
            escaped = False
        elif byte == ord("\\"):
            escaped = True
        elif byte == ord('"'):
            in_string = not in_string
        elif not in_string and byte in b"{}[]":
            before, depth = depth, depth + 1 if byte in b"{[" else max(depth - 1, 0)
            if min(before, depth) <= deepest:
                found.append((at, before, depth, byte in b"[]"))
    return found, State(depth, in_string, escaped)


@given(
    text=st.one_of(BROKEN, st.lists(OBJECTS, max_size=5).map(lambda value: json.dumps(value, indent=1).encode())),
    deepest=st.integers(0, 3),
    cut=st.integers(0, 60),
    state=st.builds(State, st.integers(0, 3), st.booleans(), st.booleans()),
)
def test_the_scanner_is_the_naive_scanner(text: bytes, deepest: int, cut: int, state: State) -> None:
    expected, end = naive_brackets(text, deepest, *state)
    parts, at = [], 0
    for piece in (text[:cut], text[cut:]):
        brackets, state = scan(np.frombuffer(piece, np.uint8), deepest, state)
        rows = zip(*(getattr(brackets, name).tolist() for name in ("at", "before", "after", "square")), strict=True)
        parts += [(row[0] + at, *row[1:]) for row in rows]
        at += len(piece)
    assert parts == expected
    assert state == end


def test_the_scanner_carries_over_its_own_blocks() -> None:
    text = (b'{"a":"' + b"\\\\" * 700_001 + b'\\"{"}') * 3
    brackets, end = scan(np.frombuffer(text, np.uint8), 5)
    assert brackets.after.tolist() == [1, 0] * 3
    assert end == START


@given(values=st.lists(JSON, max_size=6), indent=INDENTS, size=st.integers(1, 30), bom=st.sampled_from(["", "\ufeff"]))
def test_array_elements_are_records(
    values: list[Any], indent: int | None, size: int, bom: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = (bom + json.dumps(values, indent=indent, ensure_ascii=False)).encode("utf-8", "surrogatepass")
    got = take(tmp_path_factory.mktemp("array"), data, input_format="json", batch_bytes=size)
    assert got.values == values
    assert got.pending == 0
    assert all(data[offset : offset + len(raw)] == raw for offset, raw in got.spans)


@given(
    documents=st.lists(st.lists(OBJECTS, max_size=4), min_size=1, max_size=4),
    around=OBJECTS,
    indent=INDENTS,
    size=st.integers(1, 30),
    path=st.sampled_from([("Records",), ("a", "b.c")]),
)
def test_elements_of_wrapped_arrays_are_records(
    documents: list[list[Any]],
    around: Any,
    indent: int | None,
    size: int,
    path: tuple[str, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    texts = []
    for number, values in enumerate(documents):
        value: Any = values
        for name in reversed(path):
            noise = {key: inner for key, inner in around.items() if key != name}
            value = {**noise, name: value} if number % 2 else {name: value, **noise}
        texts.append(json.dumps(value, indent=indent))
    data = "\n".join(texts).encode()
    records_path = ".".join(f'"{name}"' for name in path)
    got = take(tmp_path_factory.mktemp("wrapped"), data, records_path=records_path, batch_bytes=size)
    assert got.values == [value for values in documents for value in values]
    assert got.pending == 0


@given(
    values=st.lists(OBJECTS, max_size=6),
    indent=INDENTS,
    size=st.integers(1, 30),
    glue=st.sampled_from(["", "\n", " ", "\x1e"]),
)
def test_values_one_after_another_are_records(
    values: list[Any], indent: int | None, size: int, glue: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = glue.join(json.dumps(value, indent=indent) for value in values).encode()
    got = take(tmp_path_factory.mktemp("values"), data, input_format="json", batch_bytes=size)
    # An only object that happens to hold one array of objects is a wrapper.
    if got.cursor is None or got.cursor.dialect["shape"] == "values":
        assert got.values == values
    assert got.pending == 0


@given(data=BROKEN, start=st.sampled_from([b"", b"[", b'{"Records":[', b'[{"a":1},']), size=st.integers(1, 12))
def test_broken_json_gives_the_same_records_for_any_chunks_and_drops_nothing(
    data: bytes, start: bytes, size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data = start + data
    assume(
        not data.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")) and data[1:4] != b"\x2a\x4d\x18"
    )
    folder = tmp_path_factory.mktemp("broken")
    whole = take(folder, data, input_format="json", final=True)
    cut = take(folder, data, input_format="json", final=True, batch_bytes=size)
    assert whole.spans == cut.spans
    assert all(data[offset : offset + len(raw)] == raw for offset, raw in whole.spans)
    left_out = b"".join(uncovered(data.removeprefix(b"\xef\xbb\xbf"), whole.spans, data))
    if whole.cursor is not None and whole.cursor.dialect["shape"] != "wrapped":
        brackets = b"[]}" if whole.cursor.dialect["shape"] == "array" else b""
        assert left_out.strip(b" \t\r\n\x1e," + brackets) == b"", whole.spans


def uncovered(text: bytes, spans: list[tuple[int, bytes]], data: bytes) -> Iterator[bytes]:
    at = len(data) - len(text)
    for offset, raw in spans:
        assert offset >= at
        yield data[at:offset]
        at = offset + len(raw)
    yield data[at:]


@given(values=st.lists(OBJECTS, min_size=1, max_size=5), cut=st.integers(0, 120), indent=INDENTS, wrapped=st.booleans())
def test_a_grown_value_file_gives_its_new_elements(
    values: list[Any], cut: int, indent: int | None, wrapped: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("grown") / "file"
    data = json.dumps({"Records": values} if wrapped else values, indent=indent).encode()
    options = SourceOptions(input_format="json", records_path="Records" if wrapped else None)
    path.write_bytes(data[:cut])
    first = Given(path, options)
    path.write_bytes(data)
    if cut < len(data) and not first.raws and first.cursor is None:
        assert Given(path, options).values == values
        return
    assert first.values + Given(path, options, first.cursors).values == values
    assert Given(path, options, Given(path, options, first.cursors).cursors).raws == []


def test_what_no_bracket_encloses_is_kept(tmp_path: Path) -> None:
    assert take(tmp_path, b'[1, "a,]", {"b":2} , tru, , {"c":3},]', input_format="json").raws == [
        b"1", b'"a,]"', b'{"b":2}', b"tru", b",", b'{"c":3}', b",",
    ]  # fmt: skip
    assert take(tmp_path, b'{"a":1} oops\n{"b":2}]\n', input_format="json").raws == [
        b'{"a":1}',
        b"oops",
        b'{"b":2}',
        b"]",
    ]


def test_an_unfinished_value_waits_and_a_broken_one_is_kept(tmp_path: Path) -> None:
    unfinished = take(tmp_path, b'[{"a":1},\n {"b":"x')
    assert (unfinished.raws, unfinished.pending) == ([b'{"a":1}'], len(b',\n {"b":"x'))
    broken = take(tmp_path, b'[{"a":1},\n {"b":"x},\n {"c":3}]', input_format="json")
    assert (broken.raws, broken.pending) == ([b'{"a":1}', b'{"b":"x},\n {"c":3}]'], 0)
    final = take(tmp_path, b'[{"a":1},\n {"b":"x', final=True)
    assert (final.raws, final.pending) == ([b'{"a":1}', b'{"b":"x'], 0)


def test_a_value_over_the_limit_is_an_error(tmp_path: Path) -> None:
    data = b'[{"a":1},{"b":"' + b"x" * 50 + b'"}]'
    for size in (5, 1 << 20):
        with pytest.raises(InputError, match=r"byte [89] ") as caught:
            take(tmp_path, data, input_format="json", batch_bytes=size, max_record_bytes=40)
        assert "--max-record" in caught.value.hint


def test_an_object_is_opened_up_only_when_it_is_no_event_itself(tmp_path: Path) -> None:
    def shown(value: Any, **options: Any) -> list[Any]:
        return take(tmp_path, json.dumps(value, indent=1).encode(), **options).values

    two = [{"a": 1}, {"a": 2}]
    assert shown({"kind": "EventList", "metadata": {"x": [{}]}, "items": two}) == two
    assert shown({"owner": "me", "filters": ["x"], "anything": two}) == two
    for whole in ({"id": "7", "type": "Order", "items": two}, {"a": two, "b": two}, {"a": [1]}, {"a": {"b": two}}):
        assert shown(whole) == [whole]
    assert shown({"a": {"b": two}}, records_path="a.b") == two
    with pytest.raises(UsageError, match=r"--records-path 'a.b' is not an array in it"):
        shown({"a": {"c": two}}, records_path="a.b")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"", "jsonl"),
        (b'{"a":1}\n{"b":2}\n', "jsonl"),
        (b'\xef\xbb\xbf\n{"a":1}', "jsonl"),
        (b'{"a":1}\n{broken\n{"b":2}\n', "jsonl"),
        (b'{"a":1,\n{"b":2}\n{"c":3}\n', "jsonl"),
        (b'{"a":\n{"b":2}\n{"c":3}\n', "jsonl"),
        (b'"x":1}\n{"b":2}\n', "jsonl"),
        (b'garbage, here\n{"b":2,"c":3}\n', "jsonl"),
        (b"[2024-01-01 10:00:00] INFO, started\n[2024-01-01 10:00:01] INFO, x\n", "text"),
        (b"2024-01-01 10:00:00,123 INFO a\n2024-01-01 10:00:00,124 INFO b\n", "text"),
        (b" 00004 0001 19970101  2   29.33\n 00004 0001 19970118  2   29.73\n", "jsonl"),
        (b"1\n2\n", "jsonl"),
        (b"\x00\x01\x02\xff,\n\x00,", "jsonl"),
        (b"[1]\n[2]\n", "jsonl"),
        (b'{"a":1}\0{"b":2}\0{"c":3}', "json"),
        (b'{"records":[{"a":1}]}\n', "json"),
        (b'{"Records":[{"a":1}]}\n{"Records":[]}\n', "json"),
        (b'{"Records":[]}', "json"),
        (b'[{"a":1},{"b":2}]\n', "json"),
        (b'[\n{"a":1},\n{"b":2}\n]\n', "json"),
        (b'{\n "a": 1\n}\n{\n "a": 2\n}\n', "json"),
        (b'{\n "a": 1,\n b: 2\n}\n', "json"),
        (b'{"a":1}{"b":2}', "json"),
        (b"a,b\n1,2\n", "csv"),
        (b"a;b\n1;2,5\n", "csv"),
        (b"a|b\n1|2\n", "csv"),
        (b",a,b\n0,1,2\n", "csv"),
        (b'\xef\xbb\xbf"a","b"\n"x\ny",2\n', "csv"),
        (b"a\tb\n1\t2\n", "tsv"),
        (b"\ta\n0\t2\n", "tsv"),
        (b"PAR1....", "parquet"),
        (b"ARROW1\0\0", "arrow"),
    ],
)
def test_formats_are_told_from_content(head: bytes, expected: str) -> None:
    assert sniff(head) == expected


def test_a_line_longer_than_the_head_is_told_from_its_beginning() -> None:
    assert sniff(b'{"Records":[{"a":1},{"a":', whole=False) == "json"
    assert sniff(b'[{"a":1},{"a":', whole=False) == "json"
    assert sniff(b'{"a":"xxxxxx', whole=False) == "jsonl"
    assert sniff(b'{"a":1} {"b":2} {"c":', whole=False) == "json"


@given(st.binary(max_size=200))
def test_any_bytes_have_a_format(head: bytes) -> None:
    assert sniff(head) in FORMATS
    assert sniff(head, whole=False) in FORMATS


def test_a_json_document_is_one_record_and_known_again(tmp_path: Path) -> None:
    for data in (b"", b"not json", b'{"a":1}\n{"b":2}'):
        path = tmp_path / f"file{len(data)}"
        path.write_bytes(data)
        options = SourceOptions(input_format="json-document", batch_bytes=3)
        first = Given(path, options)
        assert first.raws == [data]
        assert Given(path, options, first.cursors).raws == []
        path.write_bytes(data + b" ")
        assert Given(path, options, first.cursors).raws == [data + b" "]


def canonical(raws: list[bytes]) -> list[str]:
    return sorted(json.dumps(json.loads(raw), sort_keys=True) for raw in raws)


@pytest.mark.parametrize("size", [997, 1 << 26])
def test_cloudtrail_arrays_and_lines_hold_the_same_records(real_logs: Path, size: int) -> None:
    folder = real_logs / "cloudtrail_stratus"
    options = SourceOptions(batch_bytes=size)
    arrays = [Given(source.path, options) for source in expand([str(folder / "docs")]) if source.path]
    lines = Given(folder / "cloudtrail_stratus.jsonl", options)
    assert {given.format for given in arrays} == {"json"}
    assert sum(given.pending for given in arrays) == 0
    assert len(lines.raws) == 310
    assert canonical([raw for given in arrays for raw in given.raws]) == canonical(lines.raws)


def test_cloudtrail_files_as_delivered_are_wrapped_on_one_line(real_logs: Path, tmp_path: Path) -> None:
    lines = Given(real_logs / "cloudtrail_stratus" / "cloudtrail_stratus.jsonl", SourceOptions())
    got = take(tmp_path, b'{"Records":[' + b",".join(raw.strip() for raw in lines.raws) + b"]}")
    assert got.format == "json"
    assert got.raws == [raw.strip() for raw in lines.raws]


@pytest.mark.parametrize("input_format", ["auto", *FORMATS])
def test_no_file_of_the_json_test_suite_crashes(real_logs: Path, input_format: str) -> None:
    for source in expand([str(real_logs / "suites" / "JSONTestSuite")]):
        assert source.path is not None
        data = source.path.read_bytes()
        if input_format in ("parquet", "arrow", "avro", "evtx"):
            with pytest.raises(InputError):
                Given(source.path, SourceOptions(input_format=input_format))
            continue
        got = Given(source.path, SourceOptions(input_format=input_format, final=True))
        assert got.pending == 0
        assert all(data[offset : offset + len(raw)] == raw for offset, raw in got.spans)
        if input_format == "json-document":
            assert got.raws == [data]
        if input_format == "json" and source.name.rpartition("/")[2].startswith("y_"):
            assert same(got.values, document_values(data)), source.name


def document_values(data: bytes) -> list[Any]:
    value = json.loads(data)
    return value if isinstance(value, list) else [value]


def same(left: list[Any], right: list[Any]) -> bool:
    return len(left) == len(right) and all(
        one == other or (isinstance(one, float) and math.isnan(one)) for one, other in zip(left, right, strict=True)
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"id": 1, "n": 1}\n{"id": 2, "n": N}',
        '{"Records": [{"id": 1}, {"id": 2, "n": N}]}',
        '{"n": N, "Records": [{"id": 1}, {"id": 2}]}',
        '{"n": N, "Records": [{"id": 1}]}\n{"n": N, "Records": [{"id": 2}]}',
        '{"id": 1,\n"n": 1}\n{"id": 2,\n"n": N}',
    ],
)
def test_an_integer_longer_than_python_reads_hides_no_record(tmp_path: Path, text: str) -> None:
    given = take(tmp_path, text.replace("N", "9" * 5000).encode())
    assert (len(given.raws), given.pending) == (2, 0)
    assert all(f'"id": {number}' in raw.decode() for number, raw in enumerate(given.raws, 1))
