"""Objects keep what is promised of every source, and are read as files are, without a request that is not needed."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from esctl.api import Store
from esctl.cloud.client import Patience
from esctl.errors import EsctlError, InputError
from esctl.intake.intake import Outcome
from esctl.model import Cursor, ObjectCursor
from esctl.sources.files.reading import SourceOptions
from esctl.sources.formats.foreign import ForeignError
from esctl.sources.live import Connection, connect, from_url
from esctl.sources.objects import listing, spool
from esctl.sources.objects.failures import ChangedError, VanishedError
from esctl.sources.protocol import Delivery, SourceReader
from tests.sources.contract import SourceReaderContract, Subject, raws
from tests.sources.test_file_reader import COUNT, FORMATS, lines
from tests.support.object_server import ObjectServer

NAME = "s3://logs/a/source"


class ObjectSubject(Subject):
    """An object of some format, written by the same functions as files are for their tests."""

    def __init__(
        self, server: ObjectServer, path: Path, write: Callable[[Path, int], list[bytes]], grows: bool
    ) -> None:
        self.server, self.path, self.write, self.grows = server, path, write, grows
        self.url = NAME
        self.held: list[Iterator[SourceReader]] = []
        self.records = self.put(COUNT)

    def put(self, count: int) -> list[bytes]:
        records = self.write(self.path, count)
        self.server.objects["a/source"] = self.path.read_bytes()
        return records

    def reader(self) -> SourceReader:
        self.held.append(iter(opened(self.url).readers(SourceOptions(batch_rows=2))))
        return next(self.held[-1])

    def close(self) -> None:
        for each in self.held:
            each.close()  # type: ignore[attr-defined]

    def grow(self) -> list[bytes]:
        return self.put(COUNT + 3)[COUNT:] if self.grows else []


class TestObjects(SourceReaderContract):
    """What holds for every source."""

    @pytest.fixture(params=["gzip", "csv", "parquet"])
    def subject(self, server: ObjectServer, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Subject]:
        write, grows = FORMATS[request.param]
        made = ObjectSubject(server, tmp_path / "source", write, grows)
        yield made
        made.close()


def opened(url: str, notes: list[str] | None = None) -> Connection:
    return connect(from_url(url, {}, {}), (notes if notes is not None else []).append)


class Read:
    """What one look at an address gave: deliveries, in order, and what the readers told."""

    def __init__(self, url: str, known: dict[str, Cursor], options: SourceOptions) -> None:
        self.notes: list[str] = []
        self.deliveries: list[Delivery] = []
        self.names: list[tuple[str, int]] = []
        self.error: EsctlError | None = None
        try:
            for reader in opened(url, self.notes).readers(options):
                for each in reader.open(known):
                    known[each.source] = each.cursor
                    self.deliveries.append(each)
                self.names.append((reader.name, reader.pending))
        except EsctlError as error:
            self.error = error

    @property
    def records(self) -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        for each in self.deliveries:
            found.setdefault(each.source, []).extend(raws([each]))
        return {name: records for name, records in found.items() if records}


def read(url: str, known: dict[str, Cursor] | None = None, **options: Any) -> Read:
    return Read(url, {} if known is None else known, SourceOptions(**options))


def text(first: int, count: int) -> bytes:
    return b"".join(line + b"\n" for line in lines(first, count))


def got(server: ObjectServer) -> list[str]:
    keys = [key for kind, key in server.asked if kind == "GET"]
    server.forget()
    return sorted(keys)


def test_what_is_known_is_not_fetched_again(server: ObjectServer) -> None:
    server.objects = {f"a/{number}.jsonl": text(number * 10, 2) for number in range(5)}
    known: dict[str, Cursor] = {}
    assert list(read("s3://logs/a", known).records) == [f"s3://logs/a/{number}.jsonl" for number in range(5)]
    assert len(got(server)) == 5
    again = read("s3://logs/**/*.jsonl", known)
    assert (again.deliveries, got(server)) == ([], [])
    server.objects["a/2.jsonl"] += text(90, 1)
    server.objects["a/9.jsonl"] = text(95, 1)
    assert read("s3://logs", known).records == {
        "s3://logs/a/2.jsonl": [text(90, 1)], "s3://logs/a/9.jsonl": [text(95, 1)],
    }  # fmt: skip
    assert got(server) == ["a/2.jsonl", "a/9.jsonl"]


def test_what_vanished_is_no_error(server: ObjectServer) -> None:
    server.objects = {"a": text(0, 1), "b": text(5, 1)}
    known: dict[str, Cursor] = {}
    read("s3://logs", known)
    del server.objects["a"]
    assert read("s3://logs", known).error is None


def test_an_object_that_was_replaced_is_the_next_generation(server: ObjectServer) -> None:
    server.objects = {"a": text(0, 3)}
    known: dict[str, Cursor] = {}
    read("s3://logs/a", known)
    server.objects["a"] = text(50, 4)
    assert list(read("s3://logs/a", known).records) == ["s3://logs/a#2"]
    server.objects["a"] = text(0, 3)  # put back: its first generation is known by its ETag
    server.forget()
    assert (read("s3://logs/a", known).deliveries, got(server)) == ([], [])


def test_an_object_that_is_written_anew_with_the_same_bytes_is_fetched_once(server: ObjectServer) -> None:
    server.objects = {"a": text(0, 3)}
    known: dict[str, Cursor] = {}
    read("s3://logs/a", known)
    server.etag = lambda body: f'"{len(body)}-2"'  # as an upload in parts has it
    again = read("s3://logs/a", known)
    assert (again.records, len(again.deliveries), got(server)) == ({}, 1, ["a", "a"])
    assert (read("s3://logs/a", known).deliveries, got(server)) == ([], [])


def test_a_copy_is_told_to_be_a_known_object(server: ObjectServer) -> None:
    server.objects = {"a": text(0, 3), "copies/b": text(0, 3)}
    found = read("s3://logs")
    assert list(found.records) == ["s3://logs/a"]
    assert found.names == [("s3://logs/a", 0), ("s3://logs/a", 0)]


def test_the_beginning_of_a_known_object_is_known(server: ObjectServer, tmp_path: Path) -> None:
    def ingested() -> Outcome:
        server.forget()
        with Store.create(tmp_path / ".esctl", None, erasable=False) as store:
            return store.ingest("s3://logs")

    server.objects = {"a": text(0, 5), "copies/b.gz": gzip.compress(text(0, 3))}
    done = ingested()
    assert (done.summary.new, done.begun) == (5, (("s3://logs/copies/b.gz", "s3://logs/a"),))
    server.objects["a"] = text(0, 4)  # as it was before
    done = ingested()
    assert (done.summary.new, done.begun[0]) == (0, ("s3://logs/a", "s3://logs/a"))
    server.objects["a"] = text(0, 6)
    assert ingested().summary.new == 1


def test_a_local_file_is_known_as_an_object(server: ObjectServer, tmp_path: Path) -> None:
    from esctl.sources.files.finding import Source
    from esctl.sources.files.reading import FileReader

    path = tmp_path / "a.jsonl"
    path.write_bytes(text(0, 3))
    known = {each.source: each.cursor for each in FileReader(Source("a.jsonl", path), SourceOptions()).open({})}
    server.objects = {"a.jsonl.gz": gzip.compress(text(0, 4))}
    assert read("s3://logs", known).records == {"a.jsonl": [text(3, 1)]}
    assert not isinstance(known["a.jsonl"], ObjectCursor)


def test_an_unfinished_line_is_told_and_not_fetched_again(server: ObjectServer) -> None:
    server.objects = {"a": text(0, 2) + b'{"id": '}
    known: dict[str, Cursor] = {}
    for requests in (["a"], []):
        found = read("s3://logs", known)
        assert (found.names, got(server)) == ([("s3://logs/a", 7)], requests)
    final = read("s3://logs", known, final=True)
    assert (final.records, got(server)) == ({"s3://logs/a": [b'{"id": ']}, ["a"])


def test_another_way_to_read_is_not_known(server: ObjectServer) -> None:
    server.objects = {"a": b"x,y\n1,2\n"}
    known: dict[str, Cursor] = {}
    read("s3://logs", known)
    server.forget()
    found = read("s3://logs", known, input_format="text")
    assert (list(found.records), got(server)) == (["s3://logs/a#2"], ["a"])


def test_what_was_read_in_part_is_read_on(server: ObjectServer) -> None:
    server.objects = {"a": text(0, 6)}
    first = read("s3://logs", batch_rows=2).deliveries[0]
    known = {first.source: first.cursor}
    assert read("s3://logs", known).records == {"s3://logs/a": lines_of(2, 4)}


def lines_of(first: int, count: int) -> list[bytes]:
    return [line + b"\n" for line in lines(first, count)]


def test_an_empty_object_is_nothing(server: ObjectServer) -> None:
    server.objects = {"a/": b"", "a/b": b"", "a/c": text(0, 1)}
    found = read("s3://logs/a")
    assert (found.error, list(found.records), got(server)) == (None, ["s3://logs/a/c"], ["a/c"])


def test_an_empty_object_stands_for_the_folder_of_its_name(server: ObjectServer) -> None:
    server.objects = {"a": b"", "b": b"", "b/c": text(0, 1)}
    assert (read("s3://logs/a").error, read("s3://logs/a").records) == (None, {})
    assert list(read("s3://logs/b").records) == ["s3://logs/b/c"]


def zipped(members: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return held.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return held.getvalue()


@pytest.mark.parametrize(("key", "pack"), [("a!b.zip", zipped), ("a.tar", tarred)])
def test_members_of_an_archive_are_sources_and_known(
    server: ObjectServer, key: str, pack: Callable[[dict[str, bytes]], bytes]
) -> None:
    members = {"x.jsonl": text(0, 2), "README.md": b"hello", "y.jsonl": text(5, 2)}
    server.objects = {key: pack(members)}
    known: dict[str, Cursor] = {}
    found = read("s3://logs", known, batch_rows=1)
    names = [f"s3://logs/{key}!x.jsonl", f"s3://logs/{key}!y.jsonl"]
    assert list(found.records) == names
    assert any("README.md" in note for note in found.notes)
    assert got(server) == [key]
    assert (read("s3://logs", known).deliveries, got(server)) == ([], [])
    server.objects = {key: pack({**members, "z.jsonl": text(9, 1)})}
    assert list(read("s3://logs", known).records) == [f"s3://logs/{key}!z.jsonl"]
    assert got(server) == [key]
    assert (read("s3://logs", known).deliveries, got(server)) == ([], [])
    # Killed after any delivery, it is read on: the mark of the whole comes with the last one alone.
    server.objects = {key: pack(members)}
    for count in range(1, 4):
        known = {each.source: each.cursor for each in found.deliveries[:count]}
        rest = read("s3://logs", known)
        assert sum(map(len, rest.records.values())) == 4 - count
        assert got(server) == [key]


def test_a_packed_archive_is_told_by_its_name(server: ObjectServer) -> None:
    server.objects = {"a.tar.gz": gzip.compress(tarred({"x.jsonl": text(0, 2)}))}
    assert list(read("s3://logs").records) == ["s3://logs/a.tar.gz!x.jsonl"]


def test_the_same_member_twice_is_known_at_once(server: ObjectServer) -> None:
    server.objects = {"a.zip": zipped({"x": text(0, 2), "y": text(0, 2)})}
    assert list(read("s3://logs").records) == ["s3://logs/a.zip!x"]


def test_what_is_no_log_is_refused_and_the_rest_is_read(server: ObjectServer) -> None:
    server.objects = {"a.zip": zipped({"x": b"%PDF-1.7 ...", "y": text(0, 2)})}
    known: dict[str, Cursor] = {}
    found = read("s3://logs", known)
    assert list(found.records) == ["s3://logs/a.zip!y"]
    assert isinstance(found.error, ForeignError)
    assert not any(isinstance(each, ObjectCursor) and each.etag for each in known.values())


def test_an_object_that_changes_between_listing_and_reading_is_not_read(server: ObjectServer) -> None:
    server.objects = {"a": text(0, 2)}
    server.before_get = lambda key: server.objects.update({"a": text(50, 2)})
    found = read("s3://logs")
    assert isinstance(found.error, ChangedError)
    assert found.deliveries == []


def test_an_object_that_goes_between_listing_and_reading(server: ObjectServer) -> None:
    server.objects = {"a": text(0, 2), "b": text(5, 2)}
    server.before_get = lambda key: server.objects.pop("b", None) and None
    found = read("s3://logs")
    assert isinstance(found.error, VanishedError)
    assert list(found.records) == ["s3://logs/a"]


def test_a_body_that_is_cut_off_is_not_read(server: ObjectServer) -> None:
    server.objects = {"a": text(0, 2)}
    server.cut = lambda key: 20
    found = read("s3://logs")
    assert isinstance(found.error, InputError)
    assert found.deliveries == []


def test_a_connection_that_is_lost_is_gone_on_with(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esctl.cloud.client.PATIENCE", Patience(retries=2))
    cuts = iter([20])
    server.objects = {"a": text(0, 2)}
    server.cut = lambda key: next(cuts, None)
    assert read("s3://logs").records == {"s3://logs/a": lines_of(0, 2)}


@pytest.mark.parametrize("etag", ["", 'W/"weak"', '"' + "x" * 5000 + '"'])
def test_without_an_etag_that_tells_it_is_read_each_time(server: ObjectServer, etag: str) -> None:
    server.objects = {"a": text(0, 2)}
    server.etag = lambda body: etag
    known: dict[str, Cursor] = {}
    for records in (2, 0):
        found = read("s3://logs", known)
        assert (found.error, sum(map(len, found.records.values())), got(server)) == (None, records, ["a"])


@pytest.mark.parametrize(
    "key", ["a b+c?d=e&f#2%20%2F!x\\y:z", "ä/€/\u202e", "[1]*?.json", "k" * 1000, "a../b..c", "~", "\"<&>'"]
)
def test_odd_keys_are_read_under_their_own_names(server: ObjectServer, key: str) -> None:
    server.objects = {key: text(0, 2)}
    known: dict[str, Cursor] = {}
    assert list(read("s3://logs", known).records) == [f"s3://logs/{key}"]
    server.forget()
    assert (read(f"s3://logs/{key}", known).deliveries, got(server)) == ([], [])


def test_a_key_that_cannot_be_named_ends_it_once_all_before_is_read(server: ObjectServer) -> None:
    server.page = 2
    server.objects = {"a": text(0, 1), "b": text(3, 1), "c//d": text(5, 1), "e": text(9, 1)}
    found = read("s3://logs")
    assert found.error is not None
    assert "'c//d'" in found.error.message


def test_a_key_that_ends_as_a_folder_does_is_not_taken_for_another(server: ObjectServer) -> None:
    server.objects = {"a": text(0, 1), "a/": text(5, 2)}
    found = read("s3://logs")
    assert isinstance(found.error, ChangedError)
    assert found.records == {"s3://logs/a": lines_of(0, 1)}


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_each_cloud_is_read(server: ObjectServer, scheme: str) -> None:
    server.objects = {"a.json.gz": gzip.compress(text(0, 3))}
    known: dict[str, Cursor] = {}
    assert read(f"{scheme}://logs/*.gz", known).records == {f"{scheme}://logs/a.json.gz": lines_of(0, 3)}
    assert got(server) == ["a.json.gz"]
    for again in ("*.gz", "a.json.gz"):  # by listing, and by asking for it
        assert (read(f"{scheme}://logs/{again}", known).deliveries, got(server)) == ([], [])


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("s3://logs/b/*.gz", "the pattern matches nothing"),
        ("s3://logs/a/b.jsn", "did you mean s3://logs/a/b.json?"),
        ("s3://logs/zzz", "give an object, a folder or a pattern"),
    ],
)
def test_no_match_is_said_before_anything_is_read(server: ObjectServer, url: str, hint: str) -> None:
    server.objects = {"a/b.json": text(0, 1)}
    with pytest.raises(InputError) as caught:
        opened(url)
    assert caught.value.message.startswith(f"{url}: no such object")
    assert hint in caught.value.hint


def test_a_listing_is_taken_in_page_by_page(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_PAGE", 10)
    server.page = 10
    server.objects = {f"{number:04}": b"" for number in range(200)}
    readers = iter(opened("s3://logs").readers())
    for _ in range(5):
        next(readers)
    assert server.count("LIST") < 20
    assert sum(1 for _ in readers) == 195
    assert server.count("LIST") == 20


def test_what_comes_next_is_fetched_ahead_within_bounds(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_MOST_AHEAD", 3)
    monkeypatch.setattr(spool, "_BYTES_AHEAD", 500)
    server.objects = {f"{number}": text(number * 5, 2) for number in range(9)} | {"3": text(80, 30)}
    started: list[str] = []
    start = spool.Spool.start

    def counted(self: spool.Spool, one: Any) -> Any:
        started.append(one.key)
        return start(self, one)

    monkeypatch.setattr(spool.Spool, "start", counted)
    seen: list[list[str]] = []
    for reader in opened("s3://logs").readers():
        list(reader.open({}))
        seen.append(list(started))
    assert seen[0] == ["0", "1", "2"]  # not 3, which is too large
    assert sorted(seen[-1]) == sorted(server.objects)


def test_nothing_is_left_in_the_temporary_folder(
    server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server.objects = {f"{number}": text(number * 5, 2) for number in range(9)} | {"5": b"\x1f\x8b\x08 damaged"}
    readers = iter(opened("s3://logs").readers())
    reader = next(readers)
    deliveries = reader.open({})
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    assert next(deliveries).batch.num_rows == 2
    readers.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []
    assert read("s3://logs").error is not None
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_room_is_told(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.objects = {"a": text(0, 2)}

    def full(self: Path, *arguments: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    error = read("s3://logs").error
    assert error is not None
    assert "No space left on device" in error.message
    assert "TMPDIR" in error.hint
