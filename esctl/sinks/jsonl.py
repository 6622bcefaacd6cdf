"""Write messages as JSON Lines: to stdout, or to a file that appears once it is whole."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from esctl.output.sink import open_sink
from esctl.output.text import encode_json
from esctl.sinks.protocol import Message


class JsonLines:
    """A channel that writes one object a line: key, headers and value.

    A value that is JSON is written as it is (a line end after it goes into `end`), a missing one as `null`. Any other
    is a string named `text`, or `base64` if it is not UTF-8.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def send(self, messages: Iterable[Message]) -> int:
        """Write all messages; return their number."""
        count = 0
        with open_sink(self._path) as sink:
            for message in messages:
                sink.write(encode_json(message_line(message)) + b"\n")
                count += 1
        return count


def message_line(message: Message) -> str:
    """Write a message as one object of JSON."""
    headers = {name: _text(value) for name, value in message.headers}
    key = None if message.key is None else _text(message.key)
    return f'{{"key":{_json(key)},"headers":{_json(headers)},{_value(message.value)}}}'


def _value(value: bytes | None) -> str:
    """Write a value as one member, or as two."""
    if value is None:
        return '"value":null'
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return f'"base64":{_json(base64.b64encode(value).decode())}'
    json_text = text.rstrip("\r\n")
    try:
        if "\n" in json_text or "\r" in json_text:
            raise ValueError
        msgspec.json.decode(json_text)
    except (ValueError, RecursionError):
        return f'"text":{_json(text)}'
    end = text[len(json_text) :]
    return f'"value":{json_text}' + (f',"end":{_json(end)}' if end else "")


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
