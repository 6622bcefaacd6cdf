"""The jobs of the benchmark: the command of each contestant, and the part of its output that is the answer."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from generate import STEP

HERE = Path(__file__).parent
WORK = HERE.parent / "build" / "bench"
ONE = "account-7"
BELOW = "-900"
POINTS = 30
ESCTL, BY_HAND, SCRIPT = "esctl", "by hand", "script"
CONTESTANTS = (ESCTL, BY_HAND, SCRIPT)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """One job: how esctl and the peers are called, and which part of a row has to be equal in their answers."""

    name: str
    words: tuple[str, ...]  # for esctl
    arguments: tuple[str, ...] | None = None  # for the peers; None: they have nothing like it
    answer: Callable[[Row], tuple[object, ...]] | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Ground:
    """The files that the jobs read and write, for a log of `events` events."""

    events: int

    @property
    def folder(self) -> Path:
        """The folder of the log and of all that contestants make of it."""
        return WORK / str(self.events)

    @property
    def log(self) -> Path:
        """The log as JSON Lines."""
        return self.folder / "bank.jsonl"

    @property
    def parquet(self) -> Path:
        """The Parquet file that the COPY by hand makes of the log."""
        return self.folder / "bank.parquet"

    @property
    def store(self) -> Path:
        """The store that esctl makes of the log."""
        return self.folder / "store"

    def out(self, contestant: str) -> Path:
        """Return the file for a contestant's answer."""
        return self.folder / f"{contestant.replace(' ', '_')}.out"

    def instant(self, share: float) -> str:
        """Return the time of the event at a share (0 to 1) of the log."""
        moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(milliseconds=STEP * int(self.events * share))
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"

    def command(self, job: Job, contestant: str) -> list[str] | None:
        """Return the command of a contestant for a job; None if it has none."""
        if job.name in ("--help", "import duckdb"):
            return [sys.executable, *job.words] if contestant == ESCTL else None
        if contestant == ESCTL:
            shared = ["--store", str(self.store), "--config", str(HERE / "esctl.toml"), "-q"]
            return [sys.executable, "-m", "esctl", *shared, *job.words, "-o", str(self.out(contestant))]
        if job.arguments is None or (job.name == "ingest" and contestant == SCRIPT):
            return None
        name = job.name.replace(" ", "_")
        if contestant == BY_HAND:
            given = [name, str(self.log), str(self.parquet), str(self.out(contestant)), *job.arguments]
            return [sys.executable, str(HERE / "peers/by_hand.py"), *given]
        return [
            sys.executable,
            str(HERE / "peers/script.py"),
            name,
            str(self.log),
            str(self.out(contestant)),
            *job.arguments,
        ]


def jobs(ground: Ground) -> list[Job]:
    """List all jobs, in the order in which they are run: the first makes the files that the others read."""
    middle, later = ground.instant(0.5), ground.instant(0.6)
    step = _step(ground.events)
    length = {"m": 60, "h": 3600, "d": 86_400}[step[-1]] * int(step[:-1])
    points = -(-ground.events * STEP // 1000 // length)
    return [
        Job("ingest", ("ingest", str(ground.log)), ()),
        Job("replay", ("replay", "--at", middle), (middle,), _state, "all states at the middle, to JSON Lines"),
        Job("replay one", ("replay", ONE, "--at", middle), (middle, ONE), _state, "cold process"),
        Job("audit one", ("audit", ONE), (ONE,), _trail, "cold process"),
        Job("diff", ("diff", middle, later), (middle, later), _difference, "over a tenth of the log, with the events"),
        Job("blame", ("blame", "--entities", "*", "--at", middle), (middle,), _blame, "all fields of all states"),
        Job("when", ("when", f"balance < {BELOW}"), (BELOW,), _first, "first moment of each entity"),
        Job(
            "series",
            ("series", "sum(balance)", "--every", step),
            (str(length), str(points)),
            _point,
            f"{points} points",
        ),
        Job("verify", ("verify",), note="quick"),
        Job("verify --full", ("verify", "--full")),
        Job("--help", ("-m", "esctl", "--help")),
        Job("import duckdb", ("-c", "import duckdb"), note="what any cold process pays"),
    ]


def digest(ground: Ground, job: Job, contestant: str) -> str:
    """Return the number of rows and the digest of a contestant's answer, whatever the order of its rows."""
    assert job.answer is not None
    with ground.out(contestant).open(encoding="utf-8") as file:
        found = (json.loads(line, parse_float=Decimal) for line in file)
        rows = sorted(repr(job.answer(row)) for row in (_with_balance(found) if job.answer is _trail else found))
    return f"{len(rows)} rows, {hashlib.sha256(chr(10).join(rows).encode()).hexdigest()}"


def _step(events: int) -> str:
    """Return the shortest step that makes at most POINTS points, or a day."""
    steps = (("1m", 60), ("15m", 900), ("1h", 3600), ("4h", 14_400))
    return next((step for step, length in steps if events * STEP / 1000 / length <= POINTS), "1d")


def _number(value: object) -> object:
    return None if value is None else str(Decimal(str(value)).quantize(Decimal("0.01")) + 0)


def _state(row: Row) -> tuple[object, ...]:
    state = row.get("state", row)
    return row["entity"], state.get("owner"), state.get("address"), _number(state.get("balance"))


def _valued(field: object, value: object) -> object:
    return _number(value) if field == "balance" else value


def _difference(row: Row) -> tuple[object, ...]:
    before, after = (_valued(row["field"], row.get(side)) for side in ("before", "after"))
    return row["entity"], row["field"], before, after, row["positions"]


def _trail(row: Row) -> tuple[object, ...]:
    return row["id"], _number(row["balance"])


def _with_balance(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield each row of a trail with its balance, which esctl's rows have only if it changed."""
    balance = None
    for row in rows:
        for change in row.get("changes", ()):
            balance = change.get("after") if change["field"] == "balance" else balance
        yield {"balance": balance, **row}


def _blame(row: Row) -> tuple[object, ...]:
    return row["entity"], row["field"], _valued(row["field"], row["value"]), row["contributions"], row["id"]


def _first(row: Row) -> tuple[object, ...]:
    return row["entity"], row["id"]


def _point(row: Row) -> tuple[object, ...]:
    return row["time"], _number(row["value"])


def choose_jobs(ground: Ground, names: Sequence[str]) -> list[Job]:
    """Return the jobs of the given names (all, without any). Raises SystemExit for an unknown name."""
    known = jobs(ground)
    if unknown := set(names) - {job.name for job in known}:
        raise SystemExit(f"no job {', '.join(unknown)}; there are: {', '.join(job.name for job in known)}")
    return [job for job in known if not names or job.name in names]
