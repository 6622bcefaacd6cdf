"""Errors meant for people: one line of message, one line of hint."""

from __future__ import annotations

from collections.abc import Sequence


def shell_word(text: str) -> str:
    """Quote a word from data so that a hint can be pasted into a shell; most words stay as they are."""
    import shlex

    return shlex.quote(text)


def did_you_mean(near: Sequence[str], otherwise: str = "") -> str:
    """Return a hint that proposes the nearest word, quoted for a shell; `otherwise` if there is none."""
    return f"did you mean {shell_word(near[0])}?" if near else otherwise


mirror_urls: dict[str, str] = {}
"""The mirrors of stores in objects, each with the URL of its store: errors show that instead."""


def _show_urls(text: str) -> str:
    for folder, name in list(mirror_urls.items()):
        text = text.replace(folder, name)
    return text


class EsctlError(Exception):
    """Report a problem a person can act on.

    `message` names the file, line or option at fault; `hint` says what to do next (may be empty).
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(_show_urls(message))
        self.message = _show_urls(message)
        self.hint = _show_urls(hint)


class UsageError(EsctlError):
    """Report a wrong option, timespec, mapping or projection (exit code 2)."""


class InputError(EsctlError):
    """Report a source or store that cannot be read or judged (exit code 3)."""


class UnavailableError(EsctlError):
    """Report storage that does not answer or refuses access, so that nothing is known of its content (exit code 3).

    It is neither an InputError nor an OSError: code that takes those for a missing or damaged file must let it pass.
    """


class OutOfMemoryError(InputError):
    """Report that there is less memory than a question needs (exit code 3)."""


class NotFoundError(EsctlError):
    """Report a named entity or event that does not exist (exit code 4)."""


class TamperedError(EsctlError):
    """Report something that is no longer what was vouched for (exit code 1)."""


def with_more(error: EsctlError | OSError, more: str, hint: str) -> EsctlError:
    """Return an error with `more` in its message, and `hint` if it has none; an OSError becomes an InputError."""
    if isinstance(error, EsctlError):
        return type(error)(f"{error.message}; {more}", error.hint or hint)
    place = f"{error.filename}: " if error.filename else ""
    return InputError(f"{place}{error.strerror or error}; {more}", hint)
