"""The options of ingest: how sources are read, what their records mean, how they are followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from esctl.cli.arguments import MAP_HELP, DedupeBy, LinePattern, TimeFormat
from esctl.cli.groups import Group
from esctl.errors import UsageError

if TYPE_CHECKING:
    from esctl.cli.options import Shared
    from esctl.intake.follow import Pace
    from esctl.sources.files.reading import SourceOptions

InputFormat = Annotated[
    str,
    typer.Option(
        "--input-format",
        metavar="FORMAT",
        help="auto, jsonl, json, json-document, csv, tsv, text, parquet, arrow, avro or evtx.",
    ),
]
RecordsPath = Annotated[
    str | None,
    typer.Option("--records-path", metavar="PATH", help="Where the records are in what wraps them: a.events, a[].b[]."),
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", metavar="NAME", help="How text is encoded, as cp1252 or utf-16, where it is not UTF-8."),
]
Null = Annotated[str | None, typer.Option("--null", metavar="TEXT", help="The CSV cell text that means null.")]
Header = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Whether the first row of CSV names the columns; else that is found."),
]
Decimal = Annotated[
    str | None, typer.Option("--decimal", metavar="MARK", help="The decimal mark of numbers in CSV: , or .")
]
Final = Annotated[bool, typer.Option("--final", help="Accept an unfinished last line.")]
MaxRecord = Annotated[str, typer.Option("--max-record", metavar="SIZE", help="The longest record to accept.")]
MaxExpansion = Annotated[
    int,
    typer.Option(
        "--max-expansion", metavar="N", min=1, help="A compressed source may unpack to N times its size (or 1 GiB)."
    ),
]
MaxUnpacked = Annotated[
    str, typer.Option("--max-unpacked", metavar="SIZE", help="What a compressed source may unpack to.")
]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="[SOURCE:]KEY=PATH", help=f"{MAP_HELP} Kept for the commands that follow."),
]
PresetName = Annotated[
    str | None,
    typer.Option("--preset", metavar="NAME", help="The format of the events, as esctl presets lists it."),
]
Follow = Annotated[
    bool,
    typer.Option("--follow", help="Keep reading lines appended to the files, as tail -F does, until stopped."),
]
CommitEvery = Annotated[
    str, typer.Option("--commit-every", metavar="TIME", help="With --follow: the longest that a record waits (500ms).")
]
CommitRecords = Annotated[
    int, typer.Option("--commit-records", metavar="N", min=1, help="With --follow: how many records wait at most.")
]


class Reading(Group, frozen=True):
    """How the bytes of files are read."""

    input_format: InputFormat = "auto"
    records_path: RecordsPath = None
    encoding: Encoding = None
    null: Null = None
    header: Header = None
    decimal: Decimal = None
    final: Final = False
    max_record: MaxRecord = "256MiB"
    max_expansion: MaxExpansion = 1000
    max_unpacked: MaxUnpacked = "1TiB"

    def options(self) -> SourceOptions:
        """Return the options that sources are read with. Raises UsageError for a size that is none."""
        from esctl.engine.sizes import parse_size
        from esctl.sources.files.reading import SourceOptions
        from esctl.sources.streams import Limits

        return SourceOptions(
            input_format=self.input_format,
            records_path=self.records_path,
            encoding=self.encoding,
            null=self.null,
            header=self.header,
            decimal=self.decimal,
            final=self.final,
            max_record_bytes=parse_size(self.max_record, "--max-record"),
            limits=Limits(self.max_expansion, parse_size(self.max_unpacked, "--max-unpacked")),
        )


class Meaning(Group, frozen=True):
    """What the records mean; kept in the store for later commands."""

    mapping: Map = None
    time_format: TimeFormat = None
    pattern: LinePattern = None
    dedupe_by: DedupeBy = None
    preset: PresetName = None

    def overrides(self, shared: Shared) -> list[str] | None:
        """Return the mapping options kept in the store, updated with these; None if none of these is given."""
        from esctl.config import find_store
        from esctl.index.envelope.map_options import merge_options, read_overrides, split_paths

        mapping = self.mapping if self.preset is None else [f"preset={self.preset}", *(self.mapping or ())]
        if mapping is None and self.time_format is None and self.pattern is None and self.dedupe_by is None:
            return None
        found = find_store(shared.store)
        kept = read_overrides(found) if found is not None else ()
        by = split_paths(self.dedupe_by)
        return merge_options(kept, mapping, time_format=self.time_format, pattern=self.pattern, dedupe_by=by)


class Following(Group, frozen=True):
    """Whether sources are followed, and how often new records are committed."""

    follow: Follow = False
    commit_every: CommitEvery = "1s"
    commit_records: CommitRecords = 500_000

    def pace(self) -> Pace:
        """Return how often to commit. Raises UsageError if `--commit-every` is not a time."""
        import re

        from esctl.intake.follow import Pace

        found = re.fullmatch(r"([0-9]{1,6})(ms|s|m)", self.commit_every.strip())
        if found is None or not int(found[1]):
            raise UsageError(f"--commit-every {self.commit_every!r} is not a time", "write it like 500ms, 2s or 1m")
        return Pace(int(found[1]) * {"ms": 0.001, "s": 1, "m": 60}[found[2]], self.commit_records)
