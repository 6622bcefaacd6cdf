"""Compare the summaries of commits, and the parts that they name, with what the commits add up to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from esctl.errors import InputError
from esctl.ledger.check.findings import Check, Finding, Kind
from esctl.log.commit_json import store_state_from_json
from esctl.log.commits import is_head_summary, read_part, summary_names
from esctl.log.lines import from_line, to_line
from esctl.log.segments import SegmentEntry, SegmentPart, chunks_of
from esctl.log.store_state import StoreState
from esctl.storage.local import read_regular

_LARGEST = 1 << 30
_NOT_THE_SUM = "it is not what the commits add up to; the next ingest mends it"


class Summaries(Struct):
    """The summaries of a store, compared as its commits are added up. `base` is the store before its first commit."""

    path: Path
    names: dict[str, int]  # file names, with the number of the commit
    base: StoreState
    findings: dict[str, Finding] = field(default_factory=dict)
    parts: dict[SegmentPart, Sequence[SegmentEntry] | None] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path, names: Sequence[str], base: StoreState) -> Summaries:
        """Return the summaries among the names of a folder's files."""
        return cls(path, summary_names(names), base)

    @property
    def numbers(self) -> frozenset[int]:
        """Return the numbers of the commits that have a summary."""
        return frozenset(self.names.values())

    def compare(self, store_state: StoreState) -> None:
        """Compare the summaries of a commit with the store as it was then."""
        for name in [name for name, seq in self.names.items() if seq == store_state.seq]:
            try:
                data = read_regular(self.path / "commits" / name, _LARGEST)
                value = from_line(data)
                summary = store_state_from_json(self.base, value)
                is_same = to_line(value) == data and self._matches(summary, store_state)
            except FileNotFoundError:
                is_same = is_head_summary(name)  # a writer may have removed it meanwhile
            except (InputError, OSError, ValueError, KeyError, TypeError, AttributeError):
                is_same = False
            if not is_same:
                self._add_finding("changed", _NOT_THE_SUM, name)

    def _matches(self, claimed: StoreState, store_state: StoreState) -> bool:
        """Return whether a summary matches a store state; a part that cannot be read is a finding of its own."""
        start = 0
        for chunk in chunks_of(claimed.segments):
            held = self._read_entries(chunk) if isinstance(chunk, SegmentPart) else chunk
            count = chunk.count if isinstance(chunk, SegmentPart) else len(chunk)
            if held is not None and tuple(held) != tuple(store_state.segments[start : start + count]):
                return False
            start += count
        return start == len(store_state.segments) and replace(claimed, segments=()) == replace(store_state, segments=())

    def _read_entries(self, part: SegmentPart) -> Sequence[SegmentEntry] | None:
        if part not in self.parts:
            try:
                self.parts[part] = read_part(self.path, part)
            except InputError:
                self.parts[part] = None
                self._add_finding("changed", "it is not as it was written; mend it with: esctl repair", part.file)
        return self.parts[part]

    def _add_finding(self, kind: Kind, message: str, name: str) -> None:
        file = f"commits/{name}"
        self.findings.setdefault(file, Finding(kind, message, file))

    def check(self, due: set[int], last: int, known: bool) -> Check:
        """Return the check. `due` are the commits that should have a summary, `last` is the last commit there is."""
        if not known:
            return Check("summaries", "the commits", len(self.names), skipped="the commits do not add up")
        for name, seq in self.names.items():
            if seq > last:
                self._add_finding("rolled back", f"it is of commit {seq}, which is not there", name)
        missing = len(due - self.numbers)
        note = f"{missing} missing: written again by the next ingest" if missing else ""
        findings = tuple(self.findings[file] for file in sorted(self.findings))
        return Check("summaries", "the commits", len(self.names) + len(self.parts), findings, note=note)
