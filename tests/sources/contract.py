"""What holds for every source that is read to its end: an implementation runs these tests on sources of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from esctl.log.commits import create_store, open_log
from esctl.log.writer import LogWriter, Part
from esctl.model import Cursor, FileCursor
from esctl.sources.protocol import Delivery, SourceReader
from tests.support.log_helpers import Unsynced


class Subject(ABC):
    """A source to be tried, whose records are delivered in several batches."""

    records: list[bytes]

    @abstractmethod
    def reader(self) -> SourceReader:
        """Return a new reader of the source."""

    @abstractmethod
    def grow(self) -> list[bytes]:
        """Add records to the source; return them, or nothing where a source of its kind cannot grow."""


def delivered(subject: Subject, known: Mapping[str, Cursor]) -> list[Delivery]:
    return list(subject.reader().open(known))


def raws(deliveries: list[Delivery]) -> list[bytes]:
    return [raw for each in deliveries for raw in each.batch["raw"].to_pylist()]


class SourceReaderContract:
    """Test classes of implementations inherit this, and have a fixture `subject`."""

    def test_all_records_come_in_order_under_one_name(self, subject: Subject) -> None:
        reader = subject.reader()
        deliveries = list(reader.open({}))
        assert raws(deliveries) == subject.records
        assert {each.source for each in deliveries} == {reader.name}
        assert reader.pending == 0
        assert len(deliveries) > 1, "the subject is to be delivered in several batches"

    def test_every_cursor_goes_on_right_after_its_delivery(self, subject: Subject) -> None:
        deliveries = delivered(subject, {})
        for number, each in enumerate(deliveries):
            rest = delivered(subject, {each.source: each.cursor})
            assert raws(rest) == raws(deliveries[number + 1 :])
            assert all(one.source == each.source for one in rest)

    def test_each_delivery_counts_its_records(self, subject: Subject) -> None:
        count = 0
        for each in delivered(subject, {}):
            count += each.batch.num_rows
            assert each.cursor.records == count

    def test_offsets_tell_records_apart(self, subject: Subject) -> None:
        offsets = [offset for each in delivered(subject, {}) for offset in each.batch["offset"].to_pylist()]
        assert offsets == sorted(set(offsets))

    def test_a_cursor_comes_back_from_a_commit_as_it_went_in(self, subject: Subject, tmp_path: Path) -> None:
        store = tmp_path / "store"
        create_store(store, False, Unsynced())
        deliveries = delivered(subject, {})
        for number, each in enumerate(deliveries):
            with LogWriter(store, files=Unsynced()) as writer:
                writer.append([Part(each.source, [each.batch], each.cursor)])
            kept = open_log(store).read().cursors
            assert kept == {each.source: each.cursor}
            assert raws(delivered(subject, kept)) == raws(deliveries[number + 1 :])

    def test_an_end_is_an_end_until_something_is_added(self, subject: Subject) -> None:
        last = delivered(subject, {})[-1]
        known = {last.source: last.cursor}
        assert delivered(subject, known) == []
        added = subject.grow()
        assert raws(delivered(subject, known)) == added

    def test_another_source_that_is_known_is_left_alone(self, subject: Subject) -> None:
        last = delivered(subject, {})[-1]
        other = FileCursor(7, "0" * 64, 7, "0" * 64, format=last.cursor.format, records=1)
        assert raws(delivered(subject, {"other": other})) == subject.records
        assert delivered(subject, {"other": other, last.source: last.cursor}) == []

    def test_progress_is_told_once(self, subject: Subject) -> None:
        deliveries = delivered(subject, {})
        assert all(each.read >= 0 for each in deliveries)
        assert any(each.read for each in deliveries)
