"""The basis that an answer rests on, and a store as it was on a basis."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from esctl import __version__
from esctl.engine import zones
from esctl.engine.quoting import is_text
from esctl.errors import InputError, UsageError
from esctl.index.envelope.mapping import mapping_hash
from esctl.log.commits import CommitLog, open_log
from esctl.log.segments import begun_by
from esctl.log.store_state import StoreState
from esctl.model import AsOf, Basis, Cursor, MappingConfig
from esctl.named import read_named
from esctl.projection.spec import Projection
from esctl.timespec import bound_name, point_text

if TYPE_CHECKING:
    from esctl.ask.scope.scope import Scope

_FIXED = tuple(name for name in Basis.__struct_fields__ if name != "bounds")
_LARGEST = 64 << 20
"""The most bytes of a file that is searched for a basis: it may hold all output of a command."""
_HINT = "write one with: esctl replay --basis -f json 2> FILE"


def basis_of(scope: Scope, store_state: StoreState, mapping: MappingConfig, points: Sequence[AsOf | None]) -> Basis:
    """Return the basis of an answer over a scope, within some bounds."""
    given = [point for point in (*points, scope.known_at) if point is not None]
    return Basis(
        store_state.head,
        store_state.root,
        {bound_name(point.option): point_text(point) for point in given},
        tuple(skipped.text for skipped in scope.without),
        mapping_hash(mapping),
        projections_hash(scope.projections, scope.projection, scope.config),
        __version__,
        store_state.erased,
        zones.version(),
    )


def projections_hash(projections: Sequence[Projection], chosen: str, config: Path | None) -> str:
    """Return a digest of what states are folded with: all projections, or the one chosen; Python code by its text."""
    used = [p for p in projections if not chosen or p.name == chosen]
    identities = [[p.name, p.digest, _code(p, config)] for p in used]
    return hashlib.sha256(json.dumps(identities).encode()).hexdigest()[:16]


def _code(projection: Projection, config: Path | None) -> str:
    from esctl.projection.code import LARGEST, module_file

    file = module_file(projection, config) if projection.python else None
    return hashlib.sha256(read_named(file, LARGEST)).hexdigest() if file is not None else ""


def to_json(basis: Basis) -> str:
    """Write a basis as one line of JSON: its own keys, and one for each bound; `at` is null if there is none."""
    known = {name: getattr(basis, name) for name in ("position", "root")}
    known |= {"at": None, **basis.bounds}
    known |= {"without": list(basis.without)} if basis.without else {}
    known |= {name: getattr(basis, name) for name in ("mapping", "projection", "version")}
    known |= {"tzdata": basis.tzdata} if basis.tzdata else {}
    known |= {"erased": basis.erased} if basis.erased else {}
    return json.dumps(known, ensure_ascii=False)


def to_lines(basis: Basis) -> list[str]:
    """Write a basis for people."""
    bounds = [_bounds_text(basis.bounds)] if basis.bounds else []
    supposed = [f"without {text}" for text in basis.without]
    supposed += [f"without {basis.erased} erased"] if basis.erased else []
    return [
        f"basis: {', '.join([f'position {basis.position}', *bounds, *supposed])}",
        f"basis: root {basis.root}",
        f"basis: mapping {basis.mapping}, projection {basis.projection}, esctl {basis.version}, tzdata {basis.tzdata}",
    ]


def read_basis(path: Path) -> Basis:
    """Read the basis in a file: its last line that is one, whatever the others are.

    Raises InputError if the file is unreadable, UsageError if there is no basis in it.
    """
    try:
        lines = read_named(path, _LARGEST).decode("utf-8").splitlines()
    except FileNotFoundError:
        raise UsageError(f"--basis-from {path}: no such file", _HINT) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"--basis-from {path}: {reason}", _HINT) from error
    found = [basis for line in lines if (basis := parse_basis(line)) is not None]
    if not found:
        raise UsageError(f"--basis-from {path}: no line of it is a basis", _HINT)
    return found[-1]


def parse_basis(line: str) -> Basis | None:
    """Read a line that `to_json` wrote; None for any other line."""
    try:
        document = json.loads(line)
        position, root = int(document["position"]), str(document["root"])
        own = {name: str(document[name]) for name in ("mapping", "projection", "version")}
        without = tuple(str(text) for text in document.get("without", []))
        erased, tzdata = int(document.get("erased", 0)), str(document.get("tzdata", ""))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    bounds = {name: str(value) for name, value in document.items() if name not in _FIXED and value is not None}
    basis = Basis(position, root, bounds, without, **own, erased=erased, tzdata=tzdata)
    return basis if is_text(to_json(basis)) else None


def store_at_basis(basis: Basis, path: Path, current: StoreState, mapping: MappingConfig) -> StoreState:
    """Return the store as it was when its log ended at the basis's position.

    Raises InputError if it holds no such log any more, UsageError if it is read under another mapping.
    """
    if mapping_hash(mapping) != basis.mapping:
        raise UsageError(
            f"the basis has the mapping {basis.mapping}, and this store is read under {mapping_hash(mapping)}",
            "give the esctl.toml of that time with --config",
        )
    then = ended_at(open_log(path), current, basis.position)
    if then is None or then.root != basis.root:
        reason = "is another log" if then is not None else f"never ended at position {basis.position}"
        raise InputError(
            f"{path} does not hold the basis: its log {reason}",
            f"it needs the root {basis.root}; look at: esctl status",
        )
    # Segments may have been replaced since; the records in them are the same, but for those that were erased.
    segments = begun_by(current.segments, basis.position)
    found = replace(then, segments=segments, redactions=current.redactions)
    if found.erased != basis.erased:
        gone = found.erased - basis.erased
        raise InputError(
            f"{path} does not hold the basis: {gone} of the records that it rests on were erased since",
            "an answer without them would be another one; list them with: esctl log --erased",
        )
    return found


def zones_note(basis: Basis, current: StoreState) -> str:
    """Return a note if time zones may differ from those of a basis and a time depends on that; else an empty text."""
    here = zones.version()
    if basis.tzdata == here or not names_zones(current.cursors.values()):
        return ""
    then = f"tzdata {basis.tzdata}" if basis.tzdata else "time zones of an unknown release"
    return f"note: the basis was made with {then}, this is tzdata {here}: a time without a zone may be another one"


def names_zones(cursors: Iterable[Cursor]) -> bool:
    """Return whether times of any source are read in a zone whose data may change."""
    named = {tz for cursor in cursors if (tz := cursor.dialect.get("tz"))}
    return any(zones.fixed_minutes(tz) is None for tz in named)


def ended_at(log: CommitLog, current: StoreState, position: int) -> StoreState | None:
    """Find the last commit that left the log at a position, by bisection, as the log only grows; None if none did."""
    low, high = 0, current.seq
    while low < high:
        middle = (low + high + 1) // 2
        if log.head(middle) <= position:
            low = middle
        else:
            high = middle - 1
    then = log.read(low)
    return then if then.head == position else None


def root_at(current: StoreState, position: int) -> str | None:
    """Return the root of a log when it ended at a position; None if it never ended there."""
    if position == current.head:
        return current.root
    then = ended_at(open_log(current.path), current, position) if position < current.head else None
    return None if then is None else then.root


def check_question(basis: Basis, given: Basis) -> None:
    """Check that a question has the projections, what-if and bounds of a basis. Raises UsageError with what differs."""
    if basis.projection != given.projection:
        raise UsageError(
            f"the basis has the projections {basis.projection}, and these are {given.projection}",
            "give the same -p, and the esctl.toml of that time with --config",
        )
    if basis.without != given.without:
        raise UsageError("the basis supposes other events away", "give the same --without, and leave the rest out")
    _check_bounds(basis.bounds, given.bounds)


def _check_bounds(bounds: Mapping[str, str], given: Mapping[str, str]) -> None:
    # A store checks the points that it reads; a question may have no such bound, or read points from an SQL query.
    unused = {name: value for name, value in bounds.items() if name not in given}
    if unused:
        raise UsageError(
            f"this question has no bound {_bounds_text(unused)}, and the basis has",
            "ask a question that takes it, or write a basis of this one with --basis",
        )
    others = {name: value for name, value in given.items() if bounds.get(name) != value}
    if others:
        raise UsageError(
            f"this question has the bound {_bounds_text(others)}, and the basis has not",
            "ask at the points of the basis, or write a basis of this question with --basis",
        )


def _bounds_text(bounds: Mapping[str, str]) -> str:
    return ", ".join(f"{name.replace('_', '-')} {value}" for name, value in bounds.items())
