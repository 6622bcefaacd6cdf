"""The changes of one table of PostgreSQL, as Debezium writes them and `kcat -J` reads them off their topic."""

from __future__ import annotations

from datetime import datetime, timedelta

from generators.common import Chance, Event, at, cents, encode, lines

EPOCH = at("1970-01-01")
START, END = at("2024-01-02"), at("2024-03-30")
KEPT = timedelta(days=20)
NEXT = {"new": "paid", "paid": "packed", "packed": "shipped", "shipped": "delivered"}


class Orders:
    """Plays the life of the table `orders` in the order of its commits, as a Kafka topic of Debezium's has it."""

    def __init__(self, seed: int) -> None:
        self.chance = Chance(seed)
        self.lsn = self.committed = 24_000_000
        self.transaction = 740
        self.messages: list[Event] = []
        self.rows: dict[int, Event] = {}
        self.born: dict[int, datetime] = {}
        self.written: dict[int, int] = {}
        self.late = False  # a change was written well before its transaction was committed

    def snapshot(self) -> None:
        """Write what stands in the table as the connector starts: three orders that nobody touches any more."""
        for number, pk in enumerate((998, 999, 1000)):
            row: Event = {"id": pk, "customer": f"customer {pk % 180:03d}", "status": "delivered", "total": "25.00"}
            source: Event = {"snapshot": ("first", "true", "last")[number], "sequence": [None, str(self.lsn)]}
            row |= {"note": None, "changed_by": "warehouse_app"}
            self.message(START, "r", pk, None, row, source | {"txId": self.transaction, "lsn": self.lsn})

    def change(self, when: datetime, pk: int, after: Event | None, user: str = "", more: bool = False) -> None:
        """Commit one change; `after` is None where the row is deleted. `more`: it is of the transaction before."""
        op = "c" if pk not in self.rows else "d" if after is None else "u"
        self.transaction += not more
        lsn = self.lsn = self.lsn + self.chance.between(56, 900)
        if self.late:
            lsn = max(self.committed - 2_000, self.written.get(pk, 0) + 8)
        self.written[pk] = lsn
        source: Event = {"snapshot": "false", "sequence": [str(self.committed), str(lsn)]}
        source |= {"txId": self.transaction, "lsn": lsn}
        if after is None:
            # Under the default replica identity, the log has the key of a deleted row and nothing else.
            old = dict.fromkeys(self.rows.pop(pk)) | {"id": pk}
            self.message(when, op, pk, old, None, source)
            self.messages.append(self.messages[-1] | {"offset": len(self.messages), "payload": None})
        else:
            self.rows[pk] = after | {"changed_by": user}
            self.message(when, op, pk, None, self.rows[pk], source)
        self.committed = self.committed if more else self.lsn + 48

    def message(self, when: datetime, op: str, pk: int, before: Event | None, after: Event | None, told: Event) -> None:
        """Write one message as `kcat -J` prints it."""
        micros = (when - EPOCH) // timedelta(microseconds=1)
        seen = micros // 1000 + 31 + pk % 17
        source: Event = {"version": "3.0.0.Final", "connector": "postgresql", "name": "shop", "ts_ms": micros // 1000}
        source |= {"snapshot": told["snapshot"], "db": "shop", "sequence": encode(told["sequence"])}
        source |= {"ts_us": micros, "ts_ns": micros * 1000, "schema": "public", "table": "orders"}
        source |= {"txId": told["txId"], "lsn": told["lsn"], "xmin": None}
        value: Event = {"before": before, "after": after, "source": source, "transaction": None, "op": op}
        value |= {"ts_ms": seen, "ts_us": seen * 1000 + 250, "ts_ns": (seen * 1000 + 250) * 1000}
        head: Event = {"topic": "shop.public.orders", "partition": 0, "offset": len(self.messages)}
        head |= {"tstype": "create", "ts": seen + 4, "broker": 1}
        self.messages.append(head | {"key": encode({"id": pk}), "payload": encode(value)})

    def insert(self, when: datetime, pk: int) -> None:
        """Add a row."""
        note = self.chance.one([None, None, None, "gift wrap", "leave at the door", "call first", ""])
        row: Event = {"id": pk, "customer": f"customer {self.chance.between(1, 180):03d}", "status": "new"}
        total = 12_990 if pk in (1042, 1077) else self.chance.between(450, 38_000)
        self.born[pk] = when
        self.change(when, pk, row | {"total": str(cents(total)), "note": note}, "shop_app")

    def advance(self, when: datetime, pk: int) -> None:
        """Move an order on, or let its customer cancel it or change the note."""
        row, what = self.rows[pk], self.chance.below(20)
        if what == 0 and row["status"] in ("new", "paid"):
            self.change(when, pk, row | {"status": "cancelled"}, "shop_app")
        elif what == 1:
            self.change(when, pk, row | {"note": None if row["note"] else "second attempt"}, "shop_app")
        elif row["status"] in NEXT:
            user = "shop_app" if row["status"] == "new" else "warehouse_app"
            self.change(when, pk, row | {"status": NEXT[row["status"]]}, user)

    def purge(self, when: datetime) -> None:
        """Delete what was cancelled more than twenty days ago, all in one transaction."""
        old = [pk for pk, row in self.rows.items() if row["status"] == "cancelled" and when - self.born[pk] > KEPT]
        for pk in old:
            self.change(when, pk, None, more=pk != old[0])

    def story(self, day: datetime) -> None:
        """Cut two totals by hand, at night, to a tenth of what was ordered."""
        for minute, pk in ((47, 1042), (51, 1077)):
            when = day + timedelta(hours=22, minutes=minute, seconds=8, microseconds=244_018)
            self.change(when, pk, self.rows[pk] | {"total": str(cents(1_299))}, "psql_admin")

    def reuse(self, day: datetime) -> None:
        """Delete an order and give its key to another one."""
        if 1005 in self.rows:
            self.change(day + timedelta(hours=9, seconds=1), 1005, None)
        self.insert(day + timedelta(hours=9, seconds=2), 1005)

    def run(self) -> list[Event]:
        """Give all messages, in the order of their offsets."""
        self.snapshot()
        day, pk = START, 1000
        while day < END:
            if day.weekday() == 0:
                self.purge(day + timedelta(hours=4, microseconds=7))
            if day == at("2024-02-06"):
                self.reuse(day)
            for when in sorted(self.chance.moment(day, 10, 20) for _ in range(9)):
                # The log of the database has a change where it was written, its topic where it was committed.
                self.late = self.chance.below(8) == 7
                if self.chance.below(100) < 34 or not self.rows:
                    pk += 1
                    self.insert(when, pk)
                else:
                    self.advance(when, self.chance.one(list(self.rows)[-25:]))
            self.late = False
            if day == at("2024-02-20"):
                self.story(day)
            day += timedelta(days=1)
        return self.messages


def files() -> dict[str, bytes]:
    """Give the file of this log."""
    return {"orders_cdc.jsonl": lines(Orders(42).run())}
