"""A page as it is in a browser: what it asks for, what it complains of, how its records stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WIDE, NARROW = (1400, 900), (390, 844)


class Seen:
    """An open page, checked to the end."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))

    def open(self, path: Path) -> None:
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-checked][data-ready]", timeout=60_000)

    def trust(self, key: str) -> str:
        """Give a public key; returns the verdict."""
        before = self.page.evaluate("document.documentElement.dataset.judged ?? ''")
        self.page.fill("#key", key)
        self.page.wait_for_function("was => (document.documentElement.dataset.judged ?? '') !== was", arg=before)
        return self.verdict()

    def verdict(self) -> str:
        return str(self.page.text_content("#verdict"))

    def standings(self) -> Counter[str]:
        """How many records stand how."""
        return Counter(self.page.eval_on_selector_all("#records .badge", "all => all.map((one) => one.textContent)"))

    def standing(self, *words: str) -> list[int]:
        """The positions of the records that stand so."""
        rows = "rows => rows.map((row) => [Number(row.dataset.position), row.querySelector('.badge').textContent])"
        found = self.page.eval_on_selector_all("#records .row:not(.head)", rows)
        return [position for position, word in found if word in words]

    def state(self) -> dict[str, str]:
        """The state that is shown: of a field that was just changed, what it was changed to."""
        rows = """rows => rows.map((row) => [row.children[0].textContent,
            (row.querySelector('ins, .absent:last-of-type') ?? row.children[1]).textContent])"""
        return dict(self.page.eval_on_selector_all("table.state tbody tr", rows))


@contextmanager
def seen(
    browser: Any, path: Path, size: tuple[int, int] = WIDE, scheme: str = "light", script: str = ""
) -> Iterator[Seen]:
    """Open a page offline in a window of a size, in a browser that `script` has changed."""
    viewport = {"width": size[0], "height": size[1]}
    context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True, accept_downloads=True)
    if script:
        context.add_init_script(script)
    try:
        found = Seen(context.new_page())
        found.open(path)
        yield found
    finally:
        context.close()
