"""Readings of a few sensors through a bad line: everything that goes wrong in real files, each thing on purpose."""

from __future__ import annotations

from datetime import timedelta

from generators.common import Chance, Event, at, encode

BOM = b"\xef\xbb\xbf"

# Each is one line of the file; those that are not JSON stay in the log as evidence and are counted as invalid.
BAD = [
    b"-- link lost, buffer of sensor-3 follows --",  # not JSON
    b'{"event_id":"r-901","kind":"reading","ts":"2024-01-02T04:1',  # cut off
    b'{"event_id":"r-902","kind":"reading","ts":"2024-01-02T04:20:00Z","device":"sensor-1","data":{"celsius":20.1,}}',
    b'{"event_id":"r-903","kind":"reading","ts":"2024-01-02T04:25:00Z","device":"sensor-1","data":{"celsius":NaN}}',
    b'{"event_id":"r-904","kind":"renamed","ts":"2024-01-02T04:30:00Z","device":"sensor-2","data":{"label":"caf\xe9"}}',
    b"{'event_id': 'r-905', 'kind': 'reading'}",  # a Python dict, not JSON
]

# Right as JSON, but each with something that a careless reader gets wrong.
ODD = [
    '{"event_id":"r-801","kind":"reading","ts":"2024-01-02T05:00:00Z","device":"sensor-1",'
    '"data":{"celsius":20.1234567890123456789012345678}}',  # 30 digits
    '{"event_id":"r-802","kind":"counter","ts":"2024-01-02T05:01:00Z","device":"sensor-1",'
    '"data":{"pulses":9007199254740993}}',  # 2^53 + 1
    '{"event_id":"r-803","kind":"counter","ts":"2024-01-02T05:02:00Z","device":"sensor-2",'
    '"data":{"pulses":1.5E+3}}',  # an exponent
    '{"event_id":"r-804","kind":"reading","ts":"2024-01-02T05:03:00Z","device":"sensor-2",'
    '"data":{"celsius":19.0,"celsius":19.5}}',  # a duplicate key: the last one counts
    '{"event_id":"r-805","kind":"configured","ts":"2024-01-02T05:04:00Z","device":"sensor-3",'
    '"data":{"room temp °C":21.5,"a.b":"dotted","":"empty name","quote\\"d":true}}',
    '{"event_id":"r-806","kind":"renamed","ts":"2024-01-02T05:05:00Z","device":"sensor-3",'
    '"data":{"label":"\\u001b[31mred alert\\u001b[0m"}}',  # an escape sequence for the terminal
    '{"event_id":"r-807","kind":"renamed","ts":"2024-01-02T05:06:00Z","device":"sensor-4",'
    '"data":{"label":"=HYPERLINK(\\"x\\")"}}',  # a formula for a spreadsheet
    '{"event_id":"r-808","kind":"reading","ts":"2024-01-02T05:07:00Z","device":"sensor-4","data":{"celsius":null}}',
    '{"event_id":"r-809","kind":"reading","ts":"2024-01-02T05:08:00Z","device":"sensor-4","data":{"celsius":"n/a"}}',
    '{"event_id":"r-810","kind":"self-test","ts":"2024-01-02T05:09:00Z","data":{"ok":true}}',  # of no device
    '{"event_id":"r-812","kind":"reading","ts":"soon","device":"sensor-2","data":{"celsius":20.5}}',  # no time at all
    '{"event_id":"r-811","kind":"renamed","ts":"2024-01-02T05:10:00Z","device":"حساس-٥","data":{"label":"五号 🔆"}}',
]

# The same quarter of an hour, in every way of writing a time that turns up.
TIMES: list[object] = [
    "2024-01-02T06:00:00Z",
    "2024-01-02T07:15:00+01:00",
    "2024-01-02 06:30:00.250+00",
    "2024-01-02T06:45:00.123456789Z",
    1704178800,
    1704179700000,
    "1704180600",
    "2024-01-02T07:45:00",
    "2024-01-02 08:00:00",
    "20240103",
]


def reading(number: int, device: str, time: object, celsius: object) -> bytes:
    """Write one reading."""
    event: Event = {"event_id": f"r-{number:03d}", "kind": "reading", "ts": time, "device": device}
    return encode(event | {"data": {"celsius": celsius}}).encode()


def files() -> dict[str, bytes]:
    """Give the file of this log."""
    chance, start = Chance(3), at("2024-01-02T00:00:00")
    regular = [
        reading(
            number,
            f"sensor-{number % 4 + 1}",
            f"{start + timedelta(minutes=5 * number):%Y-%m-%dT%H:%M:%SZ}",
            chance.between(180, 240) / 10,
        )
        for number in range(1, 41)
    ]
    late = regular.pop(11)
    again, conflicting = regular[4], reading(8, "sensor-1", "2024-01-02T00:40:00Z", 99.9)
    out = BOM + b"".join(line + b"\n" for line in regular[:20])
    out += b"".join(line + b"\r\n" for line in regular[20:30]) + b"\n   \n"
    out += b"".join(line + b"\n" for line in regular[30:])
    out += again + b"\n" + again + b"  \r\n" + conflicting + b"\n" + late + b"\n"
    out += b"".join(line + b"\n" for line in BAD)
    out += b"".join(line.encode() + b"\n" for line in ODD)
    timed = [reading(701 + index, "sensor-1", time, 21 + index) for index, time in enumerate(TIMES)]
    return {"messy.jsonl": out + b"\n".join(timed)}
