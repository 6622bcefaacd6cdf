"""The dialect of a text table, detected by its first bytes: delimiter, what comes before the header, and quotes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from itertools import islice

from msgspec import Struct

from esctl.sources.pieces import BOM

_ROWS_LOOKED_AT = 50
_DELIMITERS = ",;\t|"
_NAME = re.compile(r"@?[^\W\d][\w .:/@#()%$\[\]-]{0,127}")
_PLAIN_NAME = re.compile(r"@?[^\W\d][\w.-]{0,127}")
_ODD_ROWS = 0.2  # the share of rows that may have more or fewer cells than the header
_MOST_LINES_BEFORE = 20  # lines that may come before the header
_FLOW_HEADER = re.compile(r"[a-z][a-z0-9-]*(?: [a-z][a-z0-9-]*){3,}\r?")
_FLOW_FIELDS = {
    "account-id", "dstaddr", "flow-direction", "interface-id", "log-status", "pkt-dstaddr", "pkt-srcaddr", "srcaddr",
    "subnet-id", "tgw-id", "vpc-id",
}  # fmt: skip
"""Some of the names in the header of an AWS flow log, whose cells are separated by blanks, with "-" for nothing:
https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html"""
W3C = "#Fields:"
"""How the header of a log in the W3C's extended format begins."""
_SEPARATOR = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)


class Dialect(Struct, frozen=True):
    """How rows are written. `columns`: how many there are if no header names them, else 0.

    `skip` lines come before the header. `trailing`: each row ends with a delimiter that the header lacks. `spaced`: a
    blank follows each delimiter. `escape` comes before a quote within quotes, and is "" if quotes are doubled.
    `decimal` is the mark of fractions, `names` a known set of column names for rows without a header. `fields` is the
    mark that begins the header (`#fields`): then lines with its first character are comments, a row is one line, its
    cells may have quotes only if `quoted`, and each row has `path` as its `_path`. `commas`: numbers seem to have a
    decimal comma, but nobody said so, and they stay texts.
    """

    delimiter: str = ","
    skip: int = 0
    trailing: bool = False
    escape: str = ""
    columns: int = 0
    decimal: str = ""
    null: str | None = None
    names: str = ""
    fields: str = ""
    path: str = ""
    spaced: bool = False
    quoted: bool = False
    commas: bool = False

    @property
    def has_quotes(self) -> bool:
        """Return whether cells may be in quotes."""
        return self.quoted or not self.fields

    def as_text(self) -> dict[str, str]:
        """Return the dialect as a cursor keeps it."""
        found = {"delimiter": self.delimiter}
        given = {
            "skip": str(self.skip) if self.skip else "",
            "trailing": "1" if self.trailing else "",
            "escape": self.escape,
            "columns": str(self.columns) if self.columns else "",
            "decimal": self.decimal,
            "names": self.names,
            "fields": self.fields,
            "path": self.path,
            "spaced": "1" if self.spaced else "",
            "quoted": "1" if self.quoted else "",
            "commas": "1" if self.commas else "",
        }
        found |= {key: text for key, text in given.items() if text}
        return found if self.null is None else {**found, "null": self.null}


def dialect_of(texts: Mapping[str, str]) -> Dialect:
    """Return the dialect that a cursor keeps."""
    return Dialect(
        delimiter=texts.get("delimiter", ","),
        skip=int(texts.get("skip", "0")),
        trailing="trailing" in texts,
        escape=texts.get("escape", ""),
        columns=int(texts.get("columns", "0")),
        decimal=texts.get("decimal", ""),
        null=texts.get("null"),
        names=texts.get("names", ""),
        fields=texts.get("fields", ""),
        path=texts.get("path", ""),
        spaced="spaced" in texts,
        quoted="quoted" in texts,
        commas="commas" in texts,
    )


def find_dialect(text: bytes, whole: bool, named: bool = True) -> Dialect | None:
    """Return the dialect of a table, or None if a text is not one; `named`: its header must look like names."""
    if named and b"\0" in text:
        return None
    decoded = text.removeprefix(BOM).decode(errors="replace")
    if stated := _find_zeek(decoded) or _find_w3c(decoded, whole) or _find_flow_log(decoded):
        return stated
    if found := _SEPARATOR.match(decoded):
        return _complete_dialect(Dialect(found[1], skip=1), decoded, whole)
    for skip, rest in enumerate(_without_first_lines(decoded)):
        dialect = _find_delimiter(rest.lstrip("\r\n") if not skip else rest, whole, named, least_rows=1 if skip else 0)
        if dialect is not None:
            return _complete_dialect(Dialect(dialect, skip=skip), decoded, whole)
        if not named:
            return None
    return None


def _find_zeek(text: str) -> Dialect | None:
    """Return the dialect that a log of Zeek states in its first lines, or None for another text."""
    if not text.startswith("#separator "):
        return None
    first, *lines = text.split("\n", _MOST_LINES_BEFORE)
    separator = re.sub(r"\\x([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), first.split(" ", 1)[1].strip("\r"))
    stated = {
        name: rest for line in lines if line[:1] == "#" for name, _, rest in [line.strip("\r").partition(separator)]
    }
    skip = next((number for number, line in enumerate(lines, 1) if line.startswith("#fields" + separator)), None)
    if len(separator) != 1 or skip is None:
        return None
    null, path = stated.get("#unset_field", "-"), stated.get("#path", "")
    return Dialect(separator, skip=skip, null=null, fields="#fields", path=path)


def _find_flow_log(text: str) -> Dialect | None:
    """Return the dialect of a flow log of AWS, by its header, or None for another text."""
    header = text.partition("\n")[0]
    is_flow_log = _FLOW_HEADER.fullmatch(header) is not None and len(_FLOW_FIELDS.intersection(header.split())) > 1
    return Dialect(" ", null="-") if is_flow_log else None


def _find_w3c(text: str, whole: bool) -> Dialect | None:
    """Return the dialect of a log in the W3C's extended format, whose header is a comment, or None for another text.

    https://www.w3.org/TR/WD-logfile.html. Programs put blanks between cells (IIS, the firewall of Windows), tabs
    (CloudFront, whose header has blanks all the same) or commas (Exchange).
    """
    lines = text.splitlines()
    skip = next((number for number, line in enumerate(lines[:_MOST_LINES_BEFORE]) if line.startswith(W3C)), None)
    if skip is None or any(line.strip() and line[:1] != "#" for line in lines[:skip]):
        return None
    rows = [line for line in lines[skip + 1 : skip + 1 + _ROWS_LOOKED_AT] if line and line[:1] != "#"]
    rows = rows[: len(rows) - 1] if not (whole and text.endswith("\n")) and len(rows) > 1 else rows
    header = lines[skip].removeprefix(W3C).strip()
    delimiter = "\t" if "\t" in (rows[0] if rows else header) else " "
    delimiter = "," if "," in header and " " not in header else delimiter
    names = w3c_names(lines[skip])

    def fitting(dialect: Dialect) -> int:
        return sum(len(cells) == len(names) for row in rows for cells in _read_rows(row, dialect, True))

    plain = sum(len(row.rstrip(delimiter).split(delimiter)) == len(names) for row in rows)
    quoted = delimiter == "," or fitting(Dialect(delimiter)) > plain
    trailing = bool(rows) and all(row.endswith(delimiter) and row.count(delimiter) == len(names) for row in rows)
    return Dialect(delimiter, skip=skip, null="-", fields=W3C, quoted=quoted, trailing=trailing)


def w3c_names(header: str) -> list[str]:
    """Return the names of the columns in a header line, whatever separates them."""
    return re.split(r"[\s,]+", header.removeprefix(W3C).strip())


def is_separated(text: bytes) -> bool:
    """Return whether a text begins by naming its delimiter, as Zeek writes it or as Excel understands it."""
    start = text[:16].removeprefix(BOM).decode(errors="replace")
    return start.startswith("#separator ") or _SEPARATOR.match(start) is not None


def _without_first_lines(text: str) -> list[str]:
    """Return a text without its first 0, 1, 2, ... lines, up to _MOST_LINES_BEFORE."""
    found, at = [text], 0
    for _ in range(_MOST_LINES_BEFORE):
        at = text.find("\n", at) + 1
        if not at or at >= len(text):
            break
        found.append(text[at:])
    return found


def _find_delimiter(text: str, whole: bool, named: bool, least_rows: int) -> str | None:
    """Return the delimiter that gives a text the most columns, or None if it is a table with none of them."""
    if least_rows and text[:1] in "\r\n":
        return None
    escapes = ("", "\\") if '\\"' in text else ("",)

    def columns(dialect: Dialect) -> int:
        return _count_columns(text, dialect, whole, named, least_rows)

    widths = {mark: max(columns(Dialect(mark, escape=escape)) for escape in escapes) for mark in _DELIMITERS}
    best = max(widths, key=lambda delimiter: widths[delimiter])
    return best if widths[best] > 1 else None


def _count_columns(text: str, dialect: Dialect, whole: bool, named: bool, least_rows: int) -> int:
    """Count the columns that a text has in a dialect; 0 if it does not look like a table."""
    rows = _read_rows(text, dialect, whole)
    if len(rows) <= least_rows or (named and not _are_names(rows[0], _NAME if len(rows) > 1 else _PLAIN_NAME)):
        return 0
    if least_rows and not all(cell.strip() for cell in rows[0]):
        return 0
    odd = sum(_count_cells(row, len(rows[0])) != len(rows[0]) for row in rows[1:])
    return len(rows[0]) if odd <= max(_ODD_ROWS * len(rows), 1 if least_rows and len(rows) > 2 else 0) else 0


def _count_cells(row: list[str], columns: int) -> int:
    return columns if len(row) > columns and not any(row[columns:]) else len(row)


def _read_rows(text: str, dialect: Dialect, whole: bool, strict: bool = False) -> list[list[str]]:
    """Return the first rows of a text, or [] if it cannot be read."""
    how = {"escapechar": dialect.escape, "doublequote": True} if dialect.escape else {}
    source = io.StringIO(text, newline="")
    try:
        reader = csv.reader(source, delimiter=dialect.delimiter, strict=strict, **how)  # type: ignore[arg-type]
        rows = [row for row in islice(reader, _ROWS_LOOKED_AT) if row]
    except csv.Error:
        return []
    if not (whole and text.endswith("\n")) and 1 < len(rows) < _ROWS_LOOKED_AT:
        rows.pop()
    return rows


_COMMA = re.compile(r"[-+]?(?:[0-9]{1,3}(?:[.][0-9]{3})+,[0-9]+|[0-9]+,(?:[0-9]{1,2}|[0-9]{4,}))")
"""A number that surely has a decimal comma: before just three digits, it may separate thousands."""


def has_commas(text: bytes, dialect: Dialect, whole: bool) -> bool:
    """Return whether some cells are numbers with a decimal comma."""
    rows = _read_rows(text.decode(errors="replace"), dialect, whole)
    return any(_COMMA.fullmatch(cell) for row in rows for cell in row)


def _complete_dialect(dialect: Dialect, text: str, whole: bool) -> Dialect:
    """Return a dialect with what its rows show: trailing delimiters, blanks after delimiters, escaped quotes."""
    rest = _without_first_lines(text)[dialect.skip]
    slashed = Dialect(dialect.delimiter, escape="\\")
    if (
        '\\"' in rest
        and not _read_rows(rest, dialect, whole, strict=True)
        and _read_rows(rest, slashed, whole, strict=True)
    ):
        dialect = Dialect(dialect.delimiter, skip=dialect.skip, escape="\\")
    rows = _read_rows(rest, dialect, whole)
    longer = [row for row in rows[1:] if rows and len(row) == len(rows[0]) + 1 and not row[-1]]
    is_trailing = bool(longer) and len(longer) >= (1 - _ODD_ROWS) * (len(rows) - 1)
    is_spaced = '"' not in rest and bool(rows) and all(cell[:1] in ("", " ") for row in rows for cell in row[1:])
    is_spaced = is_spaced and all(cell[:1] == " " for cell in rows[0][1:])
    return Dialect(dialect.delimiter, dialect.skip, is_trailing, dialect.escape, spaced=is_spaced)


def width_of(text: bytes, dialect: Dialect, whole: bool) -> int:
    """Return how many cells most of the first rows have."""
    decoded = text.removeprefix(BOM).decode(errors="replace")
    widths = [len(row) for row in _read_rows(_without_first_lines(decoded)[dialect.skip], dialect, whole)]
    return max(set(widths), key=widths.count, default=1)


def _are_names(header: list[str], pattern: re.Pattern[str]) -> bool:
    """Return whether a row looks like names of columns; one of them may be empty (as pandas writes its index)."""
    names = [cell.strip() for cell in header if cell.strip()]
    return len(names) >= max(1, len(header) - 1) and all(map(pattern.fullmatch, names))
