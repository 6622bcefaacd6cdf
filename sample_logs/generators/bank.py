"""A small bank's ledger, in a plain envelope, with a charge to be investigated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from generators.common import Chance, Event, at, cents, lines, stamp

START, END = at("2024-01-01"), at("2024-04-01")
BUSINESSES = [
    "Harbour Bakery Ltd",
    "Northbridge Cycles",
    "Blue Kettle Café",
    "Old Mill Printworks",
    "Lighthouse Dental Practice",
    "Quayside Hardware",
    "Fern & Moss Gardens",
    "Red Door Theatre",
    "Station Road Veterinary Surgery",
    "Copper Lane Records",
    "Saltmarsh Joinery",
    "Kingfisher Language School",
]
STREETS = ["Mill Lane", "Dock Street", "Station Road", "Harbour Row", "Fern Close", "Copper Lane", "Chapel Hill"]
MERCHANTS = [
    ("Corner Grocer", 350, 9_000),
    ("City Transport", 180, 4_500),
    ("Riverside Fuel", 2_000, 9_500),
    ("Paper & Ink", 250, 6_000),
    ("Saturday Market", 300, 5_000),
    ("Streamline TV", 999, 999),
    ("Northbridge Cycles", 1_500, 42_000),
]


@dataclass
class Account:
    """What the generator must know of an account to keep its history plausible; amounts in cents."""

    name: str
    owner: str
    address: str
    balance: int = 0
    open: bool = True
    charges: list[tuple[str, int]] = field(default_factory=list)  # (event id, amount) not yet disputed


class Bank:
    """Plays three months of a small bank, one agenda item after another."""

    def __init__(self, seed: int) -> None:
        self.chance = Chance(seed)
        self.events: list[tuple[datetime, Event]] = []
        self.accounts: dict[str, Account] = {}
        self.agenda: list[tuple[datetime, Callable[[datetime], None]]] = []
        self.disputed = ""  # the charge the story turns on

    def emit(self, when: datetime, kind: str, stream: str | None, actor: str, data: Event, **ties: str) -> str:
        """Add one event and give its id; a transfer belongs to two accounts and so to no one stream."""
        event: Event = {"id": f"evt-{len(self.events) + 1:05d}", "type": kind, "time": stamp(when)}
        if stream is not None:
            event["stream"] = stream
        correlation = ties.get("correlation") or f"req-{self.chance.below(1 << 24):06x}"
        causation = ties.get("causation") or None
        event |= {"actor": actor, "correlation_id": correlation, "causation_id": causation, "data": data}
        self.events.append((when, event))
        return str(event["id"])

    def address(self) -> str:
        """Make up an address."""
        return f"{self.chance.between(1, 120)} {self.chance.one(STREETS)}, Northbridge"

    def teller(self) -> str:
        """Pick one of the tellers."""
        return f"teller-{self.chance.between(1, 9):02d}"

    def open_account(self, number: int) -> Callable[[datetime], None]:
        """Plan the opening of an account with its first deposit."""
        business = number % 5 == 0
        owner = BUSINESSES[number // 5 - 1] if business else f"customer {number:03d}"

        def act(when: datetime) -> None:
            account = Account(f"account-{number:03d}", owner, self.address())
            self.accounts[account.name] = account
            limit = cents(500_000 if business else 100_000)
            data = {"owner": owner, "address": account.address, "currency": "EUR", "daily_limit": limit}
            opened = self.emit(when, "AccountOpened", account.name, self.teller(), data)
            self.deposit(account, when + timedelta(seconds=95), self.chance.between(50_000, 800_000), causation=opened)

        return act

    def deposit(self, account: Account, when: datetime, amount: int, **ties: str) -> None:
        """Pay money in, through one of the channels."""
        channel, actor = self.chance.one([("branch", self.teller()), ("app", "api"), ("wire", "sepa-import")])
        account.balance += amount
        data = {"amount": cents(amount), "channel": channel}
        self.emit(when, "MoneyDeposited", account.name, actor, data, **ties)

    def withdraw(self, account: Account, when: datetime, amount: int, **ties: str) -> str:
        """Pay money out, at a machine or at the counter."""
        channel, actor = self.chance.one([("atm", "atm-gateway"), ("branch", self.teller())])
        account.balance -= amount
        data = {"amount": cents(amount), "channel": channel}
        return self.emit(when, "MoneyWithdrawn", account.name, actor, data, **ties)

    def charge(self, account: Account, when: datetime, merchant: str, amount: int, **ties: str) -> str:
        """Charge a card."""
        account.balance -= amount
        card = f"****{1000 + int(account.name[-3:]) * 37 % 9000}"
        data = {"amount": cents(amount), "merchant": merchant, "card": card}
        return self.emit(when, "CardCharged", account.name, "card-gateway", data, **ties)

    def transfer(self, source: Account, target: Account, when: datetime, amount: int) -> None:
        """Move money between two accounts: one event that concerns both."""
        source.balance -= amount
        target.balance += amount
        reference = self.chance.one(["rent", "invoice {}", "order {}", "shared dinner", "thank you"])
        data = {
            "from": source.name,
            "to": target.name,
            "amount": cents(amount),
            "reference": reference.format(self.chance.between(2_000, 9_000)),
        }
        self.emit(when, "MoneyTransferred", None, "api", data)

    def everyday(self, when: datetime) -> None:
        """Do one of the things that happen every day, to an account that can afford it."""
        quiet = {"account-017", "account-041"} if at("2024-03-04") <= when < at("2024-03-09") else set()
        able = [account for account in self.accounts.values() if account.open and account.name not in quiet]
        account, other, what = self.chance.one(able), self.chance.one(able), self.chance.below(1000)
        merchant, low, high = self.chance.one(MERCHANTS)
        amount = self.chance.between(low, high)
        if what < 420 and account.balance >= amount:
            account.charges.append((self.charge(account, when, merchant, amount), amount))
        elif what < 600 and account is not other and account.balance > 10_000:
            self.transfer(account, other, when, self.chance.between(500, account.balance // 3))
        elif what < 720 and account.balance > 10_000:
            self.withdraw(account, when, 1_000 * self.chance.between(1, account.balance // 5_000))
        elif what < 960:
            self.deposit(account, when, self.chance.between(2_000, 180_000))
        elif what < 985:
            account.address = self.address()
            actor = self.chance.one(["api", self.teller()])
            self.emit(when, "AddressChanged", account.name, actor, {"address": account.address})
        elif what < 990:
            suffix = " & Partners" if int(account.name[-3:]) % 5 == 0 else " (joint)"
            joint = account.owner.endswith(suffix)
            account.owner = account.owner.removesuffix(suffix) if joint else account.owner + suffix
            self.emit(when, "OwnerChanged", account.name, self.teller(), {"owner": account.owner})
        elif account.charges:
            self.reverse(account, when)

    def reverse(self, account: Account, when: datetime) -> None:
        """Dispute a charge and give it back: the ordinary course, unlike that of account-017."""
        charge, amount = account.charges.pop()
        data = {"charge": charge, "amount": cents(amount), "reason": "goods not received"}
        disputed = self.emit(when, "ChargeDisputed", account.name, self.teller(), data, causation=charge)
        account.balance += amount
        data = {"charge": charge, "amount": cents(amount)}
        later = when + timedelta(minutes=20)
        self.emit(later, "ChargeReversed", account.name, "card-gateway", data, causation=disputed)

    def month_end(self, when: datetime) -> None:
        """Pay interest and take the fee of business accounts, in one nightly batch."""
        job = f"job-{when:%Y%m%d}-interest"
        for account in self.accounts.values():
            if account.open:
                when += timedelta(milliseconds=40)
                amount = account.balance * 5 // 10_000
                account.balance += amount
                data: Event = {"amount": cents(amount), "rate": Decimal("0.0060")}
                self.emit(when, "InterestPaid", account.name, "batch-interest", data, correlation=job)
            if account.open and int(account.name[-3:]) % 5 == 0 and account.balance >= 490:
                account.balance -= 490
                data = {"amount": cents(490), "reason": "business account"}
                self.emit(when, "FeeCharged", account.name, "batch-fees", data, correlation=job)

    def review_limit(self, number: int) -> Callable[[datetime], None]:
        """Plan the back office's ordinary work: a reviewed limit, in office hours, that stays."""

        def act(when: datetime) -> None:
            limit = {"daily_limit": cents(50_000 * self.chance.between(2, 5))}
            self.emit(when, "DailyLimitChanged", f"account-{number:03d}", "svc-backoffice", limit)

        return act

    def close(self, name: str, reason: str) -> Callable[[datetime], None]:
        """Plan a closure: the balance is paid out first."""

        def act(when: datetime) -> None:
            account = self.accounts[name]
            paid = self.withdraw(account, when, account.balance) if account.balance else ""
            account.open = False
            later = when + timedelta(seconds=42)
            self.emit(later, "AccountClosed", name, self.teller(), {"reason": reason}, causation=paid)

        return act

    def reopen(self, when: datetime) -> None:
        """Open account-023 again, as a new life of the same account."""
        account = self.accounts["account-023"]
        account.open, account.address = True, self.address()
        data = {"owner": account.owner, "address": account.address, "currency": "EUR", "daily_limit": cents(100_000)}
        reopened = self.emit(when, "AccountReopened", account.name, "teller-04", data)
        self.deposit(account, when + timedelta(seconds=80), 25_000, causation=reopened)

    def night(self, when: datetime) -> None:
        """Tell the story to be found: a limit and an address that change for half an hour around one charge."""
        job, actor, account = "job-20240305-nightly", "svc-backoffice", self.accounts["account-017"]

        def step(minutes: int, kind: str, data: Event, cause: str = "") -> str:
            later = when + timedelta(minutes=minutes, seconds=7 * minutes % 60)
            return self.emit(later, kind, account.name, actor, data, correlation=job, causation=cause)

        first = step(0, "DailyLimitChanged", {"daily_limit": cents(500_000)})
        second = step(1, "AddressChanged", {"address": "PO Box 998, Dock Street, Northbridge"}, first)
        later = when + timedelta(minutes=5, seconds=31)
        spent = self.charge(account, later, "Vantage Electronics Online", 495_000, correlation=job, causation=second)
        third = step(22, "AddressChanged", {"address": account.address}, spent)
        step(23, "DailyLimitChanged", {"daily_limit": cents(100_000)}, third)
        self.disputed = spent

    def second_night(self, when: datetime) -> None:
        """Let the same actor try another account, where nothing was charged."""
        job, actor, name = "job-20240306-nightly", "svc-backoffice", "account-041"
        first = self.emit(when, "DailyLimitChanged", name, actor, {"daily_limit": cents(500_000)}, correlation=job)
        later = when + timedelta(minutes=48)
        back = {"daily_limit": cents(100_000)}
        self.emit(later, "DailyLimitChanged", name, actor, back, correlation=job, causation=first)

    def dispute(self, when: datetime) -> None:
        """Let the customer find the charge on the statement."""
        data = {"charge": self.disputed, "amount": cents(495_000), "reason": "not made by the customer"}
        self.emit(when, "ChargeDisputed", "account-017", "teller-03", data, causation=self.disputed)

    def plan(self) -> None:
        """Fill the agenda."""
        for number in range(1, 61):
            day = START + timedelta(days=1 + number // 14 if number <= 42 else 4 * (number - 40))
            self.agenda.append((self.chance.moment(day, 8, 12), self.open_account(number)))
        day = START + timedelta(days=4)
        while day < END:
            count = 41 if day.weekday() >= 5 else 59
            self.agenda += [(self.chance.moment(day, 13, 21), self.everyday) for _ in range(count)]
            day += timedelta(days=1)
        for number in range(2, 37, 3):
            if number not in (17, 23):
                day = at("2024-01-22") + timedelta(days=number)
                self.agenda.append((self.chance.moment(day, 9, 11), self.review_limit(number)))
        self.agenda += [(at(f"{day}T22:30:00"), self.month_end) for day in ("2024-01-31", "2024-02-29", "2024-03-31")]
        for day, name, reason in [
            ("2024-01-29", "account-009", "moved abroad"),
            ("2024-02-12", "account-023", "account no longer needed"),
            ("2024-02-20", "account-031", "merged with another account"),
            ("2024-03-01", "account-044", "moved abroad"),
            ("2024-03-22", "account-052", "account no longer needed"),
        ]:
            self.agenda.append((at(f"{day}T11:15:00"), self.close(name, reason)))
        self.agenda += [
            (at("2024-03-01T08:30:12"), lambda when: self.deposit(self.accounts["account-017"], when, 620_000)),
            (at("2024-03-05T02:09:11"), self.night),
            (at("2024-03-06T02:10:03"), self.second_night),
            (at("2024-03-08T09:41:55"), self.dispute),
            (at("2024-03-18T10:05:00"), self.reopen),
        ]

    def run(self) -> list[Event]:
        """Give all events, in order of time."""
        self.plan()
        for when, act in sorted(self.agenda, key=lambda item: item[0]):
            act(when)
        return [event for _, event in sorted(self.events, key=lambda item: item[0])]


def files() -> dict[str, bytes]:
    """Give the file of this log."""
    return {"bank.jsonl": lines(Bank(17).run())}
