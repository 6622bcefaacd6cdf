"""The changes of one table, as a change data capture tool would write them: a row before and after each change."""

from __future__ import annotations

from datetime import datetime, timedelta

from generators.common import Chance, Event, at, cents, lines

START, END = at("2024-01-02"), at("2024-03-30")
NEXT = {"new": "paid", "paid": "packed", "packed": "shipped", "shipped": "delivered"}


class Orders:
    """Plays the life of the table `orders` in the order of its log sequence numbers."""

    def __init__(self, seed: int) -> None:
        self.chance = Chance(seed)
        self.lsn = 24_000_000
        self.changes: list[Event] = []
        self.rows: dict[int, Event] = {}
        self.born: dict[int, datetime] = {}

    def change(self, when: datetime, pk: int, after: Event | None, user: str) -> None:
        """Write one change; `after` is None where the row is deleted."""
        before = self.rows.get(pk)
        op = "insert" if before is None else "delete" if after is None else "update"
        self.lsn += self.chance.between(56, 900)
        stamp = when.strftime("%Y-%m-%d %H:%M:%S.%f") + "+00"
        head: Event = {"op": op, "table": "orders", "pk": pk, "lsn": self.lsn, "ts": stamp}
        self.changes.append(head | {"before": before, "after": after, "user": user})
        if after is None:
            del self.rows[pk]
        else:
            self.rows[pk] = after

    def insert(self, when: datetime, pk: int) -> None:
        """Add a row."""
        note = self.chance.one([None, None, None, "gift wrap", "leave at the door", "call first", ""])
        row: Event = {"id": pk, "customer": f"customer {self.chance.between(1, 180):03d}", "status": "new"}
        total = 12_990 if pk in (1042, 1077) else self.chance.between(450, 38_000)
        self.born[pk] = when
        self.change(when, pk, row | {"total": cents(total), "note": note}, "shop_app")

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
        """Delete what was cancelled more than twenty days ago, all in one transaction: one time stamp."""
        for pk, row in list(self.rows.items()):
            if row["status"] == "cancelled" and when - self.born[pk] > timedelta(days=20):
                self.change(when, pk, None, "retention_job")

    def story(self, day: datetime) -> None:
        """Cut two totals by hand, at night, to a tenth of what was ordered."""
        for minute, pk in ((47, 1042), (51, 1077)):
            when = day + timedelta(hours=22, minutes=minute, seconds=8, microseconds=244_018)
            self.change(when, pk, self.rows[pk] | {"total": cents(1_299)}, "psql_admin")

    def reuse(self, day: datetime) -> None:
        """Delete an order and give its key to another one."""
        if 1005 in self.rows:
            self.change(day + timedelta(hours=9, seconds=1), 1005, None, "support_app")
        self.insert(day + timedelta(hours=9, seconds=2), 1005)

    def run(self) -> list[Event]:
        """Give all changes, in the order of their sequence numbers."""
        day, pk = START, 1000
        while day < END:
            if day.weekday() == 0:
                self.purge(day + timedelta(hours=4, microseconds=7))
            if day == at("2024-02-06"):
                self.reuse(day)
            for when in sorted(self.chance.moment(day, 10, 20) for _ in range(9)):
                # The stamp is taken before the commit, so that it goes back by a little now and then.
                early = timedelta(milliseconds=self.chance.one([0, 0, 0, 0, 0, 0, 0, 2_700_000]))
                if self.chance.below(100) < 34 or not self.rows:
                    pk += 1
                    self.insert(when - early, pk)
                else:
                    self.advance(when - early, self.chance.one(list(self.rows)[-25:]))
            if day == at("2024-02-20"):
                self.story(day)
            day += timedelta(days=1)
        return self.changes


def files() -> dict[str, bytes]:
    """Give the file of this log."""
    return {"orders_cdc.jsonl": lines(Orders(42).run())}
