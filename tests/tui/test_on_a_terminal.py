"""The program itself on a real terminal: tmux draws what it writes and presses its keys."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli_harness import copy_samples, good, refused, surroundings, write_lines

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed: apt-get install tmux")


class Terminal:
    """A terminal of 80x24 with a shell in it."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "tmux"
        self._environment = {**surroundings(), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        self._tmux("-f", os.devnull, "new-session", "-d", "-x", "80", "-y", "24", "-c", str(folder), "sh")
        self._tmux("set", "-g", "set-clipboard", "on")

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-u", "-S", str(self._socket), *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, check=True, timeout=30)
        return done.stdout.decode()

    def press(self, *keys: str) -> None:
        """Press keys, or give a text."""
        self._tmux("send-keys", *keys)

    def resize(self, width: int, height: int) -> None:
        """Make it larger or smaller."""
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def screen(self) -> str:
        """What is on the screen."""
        return self._tmux("capture-pane", "-p")

    def see(self, text: str) -> str:
        """Wait until a text is on the screen; gives the screen."""
        for _ in range(600):
            if text in (found := self.screen()):
                return found
            time.sleep(0.1)
        raise AssertionError(f"{text!r} never came:\n{self.screen()}")

    def clipboard(self) -> str:
        """What was copied."""
        return self._tmux("show-buffer")

    def modes(self) -> str:
        """Whether the other screen is on, the mouse is asked for, the cursor is to be seen; and the title."""
        return self._tmux("display", "-p", "#{alternate_on} #{mouse_any_flag} #{cursor_flag}").strip()

    def title(self) -> str:
        """The title, which a log must not set."""
        return self._tmux("display", "-p", "#{pane_title}").strip()

    def end(self) -> None:
        """End it, and what runs in it."""
        self._tmux("kill-server")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    found = Terminal(tmp_path)
    yield found
    found.end()


@pytest.mark.thorough
@needs_tmux
def test_a_session_on_a_real_terminal(terminal: Terminal, tmp_path: Path) -> None:
    copy_samples(tmp_path)
    evil = {"id": "x", "type": "t\x1b[2J", "time": "2024-01-01", "stream": "zz\x1b]0;x\x07[red]\u202e", "data": {}}
    write_lines(tmp_path / "evil-bank.jsonl", [evil])
    good("ingest", "bank.jsonl", "evil-bank.jsonl", "-q", cwd=tmp_path)
    before = (terminal.modes(), terminal.title())
    terminal.press(f"{sys.executable} -m esctl browse account-017 'zz*' --at 2024-03-04; echo left $?", "Enter")
    terminal.see("version 99")
    assert terminal.modes() == "1 1 0"
    terminal.press("Right")
    assert "5000.00  was 1000.00" in terminal.see("version 100")
    terminal.resize(100, 30)  # a signal, for which no question may be stopped
    terminal.press("Right")
    terminal.see("version 101")
    terminal.resize(80, 24)
    terminal.press("Left")
    terminal.see("version 100")
    terminal.press("y")
    terminal.see("copied: esctl replay --at @3492 account-017")
    assert terminal.clipboard() == "esctl replay --at @3492 account-017"
    terminal.press("m", "Right", "Right", "m")
    assert "charges" in terminal.see("difference A @3492")
    terminal.press("Escape", "Down")
    assert r"zz\x1b]0;x\x07[red]\u202e" in terminal.see("1 event in order of time")
    assert terminal.title() == before[1]
    terminal.press("q")
    terminal.see("left 0")
    assert terminal.modes() == before[0]


@pytest.mark.thorough
@needs_tmux
def test_a_terminal_is_as_before_when_the_browser_is_killed(terminal: Terminal, tmp_path: Path) -> None:
    copy_samples(tmp_path)
    good("ingest", "bank.jsonl", "-q", cwd=tmp_path)
    before = terminal.modes()
    begin = "import os; open('pid', 'w').write(str(os.getpid())); from esctl.cli.app import main; main()"
    terminal.press(f'{sys.executable} -c "{begin}" browse account-017; echo left $?', "Enter")
    terminal.see("131 of 131")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
    terminal.see("left 0")
    assert terminal.modes() == before


def test_without_a_terminal_it_says_what_to_ask_instead(tmp_path: Path) -> None:
    good("ingest", "-", "-q", cwd=tmp_path, stdin=b'{"id": 1, "type": "t", "time": "2024-01-01", "entity": "e"}\n')
    message, hint = refused("browse", code=2, cwd=tmp_path)
    assert "needs a terminal" in message
    assert "esctl replay" in hint


def test_without_textual_it_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys, importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'textual' else find(name, *more)\n"
        "from esctl.cli.app import main; main()"
    )
    command = [sys.executable, "-c", program, "browse"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=surroundings(), timeout=60)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "esctl: error: browse needs textual, which is not installed",
        "hint: pip install 'esctl-audit[tui]'",
    ]
