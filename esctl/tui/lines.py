"""The command lines that give what is on the screen. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from esctl.ask.scope.bounds import is_glob, matches
from esctl.engine.quoting import literal
from esctl.errors import shell_word
from esctl.output.text import visible
from esctl.tui.values import Entity, Ground, Sort, Spot


def word(text: str) -> str:
    """Quote a word for a shell; one with characters that act on a terminal as `$'...'`, which bash and zsh read."""
    if visible(text) == text:
        return shell_word(text)
    parts = []
    for character in text:
        if visible(character) != character:
            parts += [f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape")]
        else:
            parts.append("\\" + character if character in "\\'" else character)
    return f"$'{''.join(parts)}'"


class Lines:
    """Writes the command lines of a session; each has the same `options` (`--store`, `--tz`)."""

    def __init__(self, options: Sequence[str], ground: Ground) -> None:
        self._options, self._ground = tuple(options), ground

    def entities(self, text: str = "", kind: str = "", sort: Sort = "name") -> str:
        """Write the command for the list of entities; if it is filtered or sorted, as SQL."""
        names, known = self._ground.entities, {"--known-at": self._ground.known_at}
        if not (text or kind or sort != "name"):
            return self._line("entities", [], {**known}, names, folded=False)
        tests = [f"({' OR '.join(matches('entity', name) for name in names)})"] if names else []
        if text:
            tests.append(matches("entity", text) if is_glob(text) else f"contains(entity, {literal(text)})")
        tests += [f"kind = {literal(kind)}"] if kind else []
        where = f" WHERE {' AND '.join(tests)}" if tests else ""
        first = f"{sort} DESC NULLS LAST, " if sort != "name" else ""
        return self._line(
            "sql", [f"SELECT * FROM entities{where} ORDER BY {first}kind, entity"], {**known}, folded=False
        )

    def replay(self, entity: Entity, spot: Spot) -> str:
        """Write the command for a state."""
        return self._line("replay", [], self._bounds(spot), [entity.name])

    def audit(self, entity: Entity, spot: Spot | None = None) -> str:
        """Write the command for a trail; by the clock of what was known, as it was known at the spot."""
        known = spot is not None and spot.clock == "known"
        bounds: dict[str, str | None] = {"--known-at": self._ground.known_at}
        bounds = self._bounds(spot) if spot is not None and known else bounds
        return self._line("audit", [], bounds, [entity.name])

    def diff(self, entity: Entity, one: Spot, other: Spot) -> str:
        """Write the command for the difference between two spots of one clock."""
        if one.clock == "known":
            return self._line("diff", [other.spec], {"--known-at": one.spec}, [entity.name])
        return self._line("diff", [one.spec, other.spec], {"--known-at": self._ground.known_at}, [entity.name])

    def blame(self, entity: Entity, field: str, spot: Spot) -> str:
        """Write the command for the event that set a field."""
        only = {} if "\0" in field else {"--field": field}  # no argument has a NUL: all fields are listed then
        return self._line("blame", [], {**only, **self._bounds(spot)}, [entity.name])

    def when(self, predicate: str, names: Sequence[str], known_at: str) -> str:
        """Write the command for the intervals in which a condition held."""
        return self._line("when", [predicate, *names], {"--every": None, "--known-at": known_at})

    def trace(self, name: str) -> str:
        """Write the command for the events that are tied to one."""
        return self._line("trace", [name], {"--known-at": self._ground.known_at}, folded=False)

    def show(self, position: int) -> str:
        """Write the command for one event."""
        return self._line("show", [f"@{position}"], {}, folded=False)

    def _bounds(self, spot: Spot) -> dict[str, str | None]:
        if spot.clock == "known":
            return {"--known-at": spot.spec}
        return {"--at": spot.spec, "--known-at": self._ground.known_at}

    def _line(
        self,
        command: str,
        arguments: Sequence[str],
        options: dict[str, str | None],
        names: Sequence[str] = (),
        *,
        folded: bool = True,
    ) -> str:
        words = ["esctl", *self._options, command]
        for name, value in options.items():
            words += [name] if value is None else [name, value] if value else []
        words += ["-p", self._ground.projection] if folded and self._ground.projection else []
        given = [*arguments, *(name.replace("\0", "?") for name in names)]  # no argument has a NUL; `?` matches it
        words += ["--", *given] if any(each.startswith("-") for each in given) else given
        return " ".join(map(word, words))
