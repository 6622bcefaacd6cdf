"""A shop's two warehouses, as CloudEvents 1.0; each warehouse counts its event ids from 1."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from generators.common import Chance, Event, at, compressed, lines

START, TURN, END = at("2024-01-02"), at("2024-02-01"), at("2024-03-30")
ZONES = {"north": timezone(timedelta(0)), "south": timezone(timedelta(hours=1))}


@dataclass
class Stock:
    """What the shelves of one article hold, and what is promised to orders."""

    name: str
    warehouse: str
    cost: int  # in hundredths of a cent
    on_hand: int = 0
    reserved: dict[str, int] = field(default_factory=dict)  # order -> quantity

    def free(self) -> int:
        """Give what can still be promised."""
        return self.on_hand - sum(self.reserved.values())


class Shop:
    """Plays a quarter of deliveries, orders and counts."""

    def __init__(self, seed: int) -> None:
        self.chance = Chance(seed)
        self.events: list[tuple[datetime, Event]] = []
        self.numbers = dict.fromkeys(ZONES, 0)
        self.orders = 20_000
        self.stocks = [
            Stock(f"sku-{1000 + number}", self.chance.one(list(ZONES)), self.chance.between(8_000, 950_000))
            for number in range(1, 37)
        ]

    def emit(self, when: datetime, stock: Stock, what: str, data: Event, by: str = "") -> None:
        """Add one event, with its warehouse's own number and clock."""
        self.numbers[stock.warehouse] += 1
        local = when.astimezone(ZONES[stock.warehouse])
        event = {
            "specversion": "1.0",
            "id": str(self.numbers[stock.warehouse]),
            "source": f"/warehouse/{stock.warehouse}",
            "type": f"shop.inventory.{what}",
            "subject": stock.name,
            "time": local.isoformat(timespec="seconds"),
            "datacontenttype": "application/json",
            "data": data | {"by": by or f"picker-{self.chance.between(1, 6)}"},
        }
        self.events.append((when, event))

    def receive(self, stock: Stock, when: datetime) -> None:
        """Take in a delivery, at a price that wanders."""
        quantity = 6 * self.chance.between(2, 20)
        stock.cost += stock.cost * self.chance.between(-30, 35) // 1000
        stock.on_hand += quantity
        cost = Decimal(stock.cost).scaleb(-4)
        self.emit(when, stock, "received", {"quantity": quantity, "unit_cost": cost}, "dock")

    def reserve(self, stock: Stock, when: datetime) -> None:
        """Promise some of the stock to a new order."""
        self.orders += 1
        quantity = self.chance.between(1, min(stock.free(), 9))
        stock.reserved[f"order-{self.orders}"] = quantity
        self.emit(when, stock, "reserved", {"quantity": quantity, "order": f"order-{self.orders}"}, "webshop")

    def settle(self, stock: Stock, when: datetime) -> None:
        """Ship the oldest open order, or, one time in eight, release what was promised to it."""
        order = next(iter(stock.reserved))
        quantity = stock.reserved.pop(order)
        if self.chance.below(8) == 0:
            self.emit(when, stock, "released", {"quantity": quantity, "order": order}, "webshop")
        else:
            stock.on_hand -= quantity
            self.emit(when, stock, "shipped", {"quantity": quantity, "order": order})

    def count(self, stock: Stock, when: datetime) -> None:
        """Count the shelf: mostly as the books have it, at times one or two less."""
        stock.on_hand -= min(stock.free(), self.chance.one([0, 0, 0, 0, 1, 2]))
        promised = sum(stock.reserved.values())
        self.emit(when, stock, "counted", {"quantity": stock.on_hand, "reserved": promised})

    def everyday(self, stock: Stock, when: datetime) -> None:
        """Do what comes up for one article."""
        what = self.chance.below(100)
        if stock.free() < 8 or what < 6:
            self.receive(stock, when)
        elif what < 52:
            self.reserve(stock, when)
        elif what < 94 and stock.reserved:
            self.settle(stock, when)
        elif what < 96:
            stock.on_hand -= 1
            self.emit(when, stock, "adjusted", {"delta": -1, "reason": "damaged"})
        else:
            self.count(stock, when)

    def story(self) -> None:
        """Ship one order twice: the books of sku-1007 go below what can be true until the shelf is counted."""
        stock = next(stock for stock in self.stocks if stock.name == "sku-1007")
        if stock.free() < 24:
            self.receive(stock, at("2024-02-08T07:10:00"))
        self.settle_all(stock, at("2024-02-08T07:30:00"))
        data: Event = {"quantity": 12, "order": "order-29117"}
        stock.on_hand -= 12
        self.emit(at("2024-02-08T11:02:40"), stock, "reserved", data, "webshop")
        self.emit(at("2024-02-09T15:48:05"), stock, "shipped", data, "picker-4")
        self.emit(at("2024-02-09T15:48:51"), stock, "shipped", data, "picker-4")
        shelf: Event = {"quantity": stock.on_hand, "reserved": 0}
        self.emit(at("2024-02-14T08:00:00"), stock, "counted", shelf, "auditor-1")

    def settle_all(self, stock: Stock, when: datetime) -> None:
        """Settle every open order of an article, a minute apart."""
        while stock.reserved:
            when += timedelta(minutes=1)
            self.settle(stock, when)

    def run(self) -> list[tuple[datetime, Event]]:
        """Give all events with their instants, in order of time."""
        for stock in self.stocks:
            self.receive(stock, START + timedelta(hours=7, minutes=self.chance.below(240)))
        told, day = False, START + timedelta(days=1)
        while day < END:
            if day == at("2024-02-15"):
                told = True
            if day == at("2024-02-08"):
                self.story()
            for when in sorted(self.chance.moment(day, 8, 18) for _ in range(14)):
                stock = self.chance.one(self.stocks)
                if stock.name != "sku-1007" or told or day < at("2024-02-08"):
                    self.everyday(stock, when.replace(microsecond=0))
            day += timedelta(days=1)
        return sorted(self.events, key=lambda item: item[0])


def files() -> dict[str, bytes]:
    """Give the two parts of this log."""
    events = Shop(7).run()
    return {
        "shop/part-1.jsonl.gz": compressed(lines(event for when, event in events if when < TURN)),
        "shop/part-2.jsonl.gz": compressed(lines(event for when, event in events if when >= TURN)),
    }
