"""Whatever happens to a bucket, and wherever reading it ends: what is in it is read, and no more than of files."""

from __future__ import annotations

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esctl.cloud.address import parse_address
from esctl.cloud.client import open_bucket
from esctl.model import Cursor
from esctl.sources.files.finding import Source
from esctl.sources.files.reading import SourceOptions, file_readers
from esctl.sources.names import generations
from esctl.sources.objects.connect import Objects
from esctl.sources.protocol import SourceReader
from tests.sources.contract import raws
from tests.sources.test_file_reader import lines
from tests.support.effort import examples
from tests.support.object_server import ObjectServer

OPTIONS = SourceOptions(batch_rows=2)
KEYS = ("a.jsonl", "b/c.jsonl.gz", "d.jsonl")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(KEYS),
        st.sampled_from(["put", "append", "append", "delete", "cut"]),
        st.integers(0, 3),  # which records
        st.integers(0, 6),  # how many
        st.one_of(st.none(), st.integers(0, 4)),  # after how many deliveries reading ends
    ),
    min_size=1,
    max_size=7,
)


class Side:
    """What was read on one side: records by the name of their source, and the cursors that are known."""

    def __init__(self) -> None:
        self.known: dict[str, Cursor] = {}
        self.records: dict[str, list[bytes]] = {}

    def read(self, readers: list[SourceReader], stop: int | None) -> bool:
        """Read, up to `stop` deliveries with records; tell whether all was read."""
        for reader in readers:
            for each in reader.open(self.known):
                if each.batch.num_rows and stop == 0:
                    return False
                stop = stop - 1 if stop is not None and each.batch.num_rows else stop
                self.known[each.source] = each.cursor
                self.records.setdefault(each.source, []).extend(raws([each]))
        return True

    def has(self, key: str, data: bytes) -> bool:
        """Tell whether a generation of an object begins with all its whole lines."""
        whole, name = data[: data.rfind(b"\n") + 1], f"s3://logs/{key}"
        known = (b"".join(self.records.get(each, ())) for each in generations(name, self.known))
        return not whole or any(each.startswith(whole) for each in known)

    @property
    def count(self) -> int:
        return sum(map(len, self.records.values()))


def changed(held: dict[str, bytes], key: str, what: str, first: int, count: int) -> None:
    # Of two files of which one begins as the other, that is read anew each time; an object is known by its ETag.
    text = b"".join(line + b"\n" for line in lines(100 * KEYS.index(key) + 10 * first, count))
    if what == "delete":
        held.pop(key, None)
    elif what == "append":
        held[key] = held.get(key, b"") + text
    elif what == "cut":
        held[key] = held.get(key, b"")[:-5]
    else:
        held[key] = text


def packed(key: str, data: bytes) -> bytes:
    return gzip.compress(data, mtime=0) if key.endswith(".gz") else data


@settings(max_examples=examples(60, 4), suppress_health_check=list(HealthCheck), deadline=None)
@given(STEPS)
def test_nothing_of_a_bucket_is_lost_or_read_again(
    server: ObjectServer, steps: list[tuple[str, str, int, int, int | None]]
) -> None:
    held: dict[str, bytes] = {}
    objects, files = Side(), Side()
    address = parse_address("s3://logs")
    bucket = Objects(open_bucket(address), address, lambda text: None)
    for key, what, first, count, stop in [*steps, (KEYS[0], "append", 0, 0, None)]:
        changed(held, key, what, first, count)
        server.objects = {key: packed(key, data) for key, data in held.items()}
        if not held:
            continue
        found = bucket.readers(OPTIONS)
        is_done = objects.read(found, stop)  # type: ignore[arg-type]
        found.close()  # type: ignore[attr-defined]
        with TemporaryDirectory() as folder:
            sources = []
            for name, data in sorted(server.objects.items()):
                path = Path(folder) / name.replace("/", "_")
                path.write_bytes(data)
                sources.append(Source(f"s3://logs/{name}", path))
            assert files.read(file_readers(sources, OPTIONS), stop) == is_done  # type: ignore[arg-type]
        if is_done:
            assert not [name for name in held if files.has(name, held[name]) and not objects.has(name, held[name])]
        assert objects.count <= files.count
