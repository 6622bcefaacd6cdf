"""The encodings of texts inside records, and of whole records."""

from __future__ import annotations

from esctl.index.decode.rows import DIALECTS

EXTENDED = "extended-json"
"""The encoding of whole records whose numbers, times and ids are objects, as MongoDB writes them."""
WHOLE = (EXTENDED, *DIALECTS)
"""The encodings of whole records: extended JSON, and databases' change logs."""
PAIRS = "pairs"
"""The encoding of a list of pairs (`{"key": k, "value": v}`, `{"name": n, "value": v}`) that is opened as an object."""
ENCODINGS = ("json", "hex", "base64", "gzip", "hstore", "yaml", "struct", PAIRS, "text", *WHOLE)
"""What a text may hold; `text` leaves it as it is."""

Path = tuple[str | int, ...]
"""The names of members, and the indexes of elements."""
Opening = tuple[Path, str]
"""The path of a text, and the encoding of the JSON value in it: one of ENCODINGS."""
