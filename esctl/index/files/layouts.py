"""Group index files by the scan that can read them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from esctl.index.files.manifest import IndexFile, PayloadPath
from esctl.index.files.payload_columns import PayloadColumn


class Layout(Struct):
    """Files that one scan can read: no two of them keep a field in columns of different types."""

    files: list[IndexFile]
    columns: dict[str, PayloadColumn]  # by lower-case name, as DuckDB compares names
    sequence_key: str

    def takes(self, file: IndexFile) -> bool:
        """Return whether a file can be read in the same scan."""
        same = all(self.columns.get(column.name.lower(), column) == column for column in file.columns)
        return same and file.sequence_key == self.sequence_key

    def add(self, file: IndexFile) -> None:
        """Add a file to the scan."""
        self.files.append(file)
        self.columns.update({column.name.lower(): column for column in file.columns})

    @property
    def is_mixed(self) -> bool:
        """Return whether the files have different columns."""
        return any(file.columns != self.files[0].columns for file in self.files)

    def may_be_loose(self, path: PayloadPath) -> bool:
        """Return whether a payload path may be found in `data`."""
        return any(file.may_be_loose(path) for file in self.files)

    def column(self, field: str | int) -> PayloadColumn | None:
        """Return the typed column of a payload field, or None."""
        return next((column for column in self.columns.values() if column.field == field), None)

    def is_nullable(self, column: PayloadColumn) -> bool:
        """Return whether the field may be JSON null."""
        return any(name == column.field and "NULL" in kinds for file in self.files for name, kinds in file.fields)


def layouts(files: Sequence[IndexFile]) -> list[Layout]:
    """Return the layouts of files, each of files that one scan can read."""
    found: list[Layout] = []
    for file in files:
        layout = next((layout for layout in found if layout.takes(file)), None)
        if layout is None:
            layout = Layout([], {}, file.sequence_key)
            found.append(layout)
        layout.add(file)
    return found
