"""What a target of states must do, whatever it is."""

from __future__ import annotations

from typing import Protocol

from esctl.model import Answer, Basis


class Sink(Protocol):
    """A copy of the states of a projection, which is at one basis as a whole."""

    def basis(self) -> Basis | None:
        """Return the basis that the copy is at; None where nothing is there yet."""

    def apply(self, changes: Answer, basis: Basis) -> None:
        """Put changed states (rows as `changes_since` gives them) in place of those there, and go to `basis`.

        All of it or nothing: an error or the end of the process leaves the copy at the basis it was at.
        """
