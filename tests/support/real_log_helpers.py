"""Read real logs into stores through the public API, and read their oracles."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from esctl.api import Relation, Store
from esctl.intake.batch import ingest
from esctl.intake.intake import IngestOptions
from esctl.model import IngestSummary
from esctl.output import Target, write
from esctl.sources.files.finding import expand
from esctl.sources.files.reading import SourceOptions, file_readers

Rows = list[dict[str, Any]]


def load(
    folder: Path,
    sources: Sequence[Path | str],
    config: str = "",
    options: SourceOptions | None = None,
    *,
    pending: int = 0,
) -> tuple[Store, IngestSummary]:
    """Ingest sources into the store `folder`/.esctl (made if there is none) beside an esctl.toml of this text.

    `pending`: how many bytes at the end of the sources must be in no record yet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "esctl.toml"
    file.write_text(config, encoding="utf-8")
    store = Store.create(folder / ".esctl", file, erasable=False)
    outcome = ingest(
        store.path,
        file_readers(expand([str(source) for source in sources]), options or SourceOptions()),
        IngestOptions(options or SourceOptions()),
        store.updater,
        lambda read, records: None,
        store.connection,
    )
    assert sum(size for _, size in outcome.pending) == pending
    return store.reopened(), outcome.summary


def rows_of(relation: Relation) -> Rows:
    """Print an answer as JSON Lines, as scripts get it, and parse that with exact numbers."""
    sink = io.BytesIO()
    write(relation.answer, Target(format="jsonl", destination=sink))
    return [json.loads(line, parse_float=Decimal) for line in sink.getvalue().decode("utf-8").split("\n") if line]


def states(store: Store, **bounds: Any) -> dict[str, dict[str, Any]]:
    """Replay and give the state of each entity; an entity must not come twice."""
    rows = rows_of(store.replay(**bounds))
    found = {row["entity"]: row["state"] for row in rows}
    assert len(found) == len(rows)
    return found


def json_lines(path: Path) -> Rows:
    """Read a JSON Lines file, decompressed by its suffix, with exact numbers."""
    return [json.loads(line, parse_float=Decimal) for line in text_of(path).split("\n") if line]


def text_of(path: Path) -> str:
    """Read a text file, decompressed by its suffix."""
    import zstandard

    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor(max_window_size=1 << 31).stream_reader(data, read_across_frames=True).read()
    return data.decode("utf-8")


def run_esctl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder as a script would."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("ESCTL_")}
    root = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = root
    command = [sys.executable, "-m", "esctl", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
