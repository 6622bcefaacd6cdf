"""Two examples for each command, shown at the end of its help and manual page; all run on the sample logs."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "ingest": (
        ("esctl ingest *.jsonl shop/", "files and folders; what the store has is not taken twice"),
        ("zcat shop/part-1.jsonl.gz | esctl ingest -", "from another program"),
    ),
    "init": (
        ("esctl init", "an esctl.toml to start from"),
        ("esctl init --preset cloudtrail --force", "for a format that is known by name"),
    ),
    "presets": (
        ("esctl presets", "the names"),
        ("esctl presets cloudtrail", "how that one is recognised and read"),
    ),
    "reindex": (
        ("esctl reindex", "after a change of [mapping] in esctl.toml"),
        ("esctl reindex --map bank.jsonl:actor=actor", "where one source has its actors"),
    ),
    "status": (
        ("esctl status", "head, root, sources, sizes"),
        ("esctl status -f json", "for a program"),
    ),
    "replay": (
        ("esctl replay account-017 --at 2024-03-05", "one state, at the end of that day"),
        ("esctl replay -p account --where 'balance < 0' -o overdrawn.csv", "all states that meet a condition, as CSV"),
    ),
    "diff": (
        ("esctl diff 2024-03-04 2024-03-05 account-017", "what one day changed"),
        ("esctl diff --what-if 2024-03-31 --without evt-03494", "what one event did, up to that day"),
    ),
    "audit": (
        ("esctl audit account-017 --from 2024-03-05 --to 2024-03-05", "all that happened to one entity on a day"),
        ("esctl audit --actor 'svc-*' --field daily_limit", "who changed a field, anywhere"),
    ),
    "log": (
        ("esctl log account-017 --type CardCharged --columns time,data.amount", "events of one type, a part of each"),
        ("esctl log --grep 'Dock Street' --tail 5", "the last five whose bytes hold a text"),
    ),
    "show": (
        ("esctl show evt-03494", "an event and its record"),
        ("esctl show @3494 --raw", "the record of a position, byte for byte"),
    ),
    "types": (
        ("esctl types", "what kinds of events there are"),
        ("esctl types --columns type,fields -f jsonl", "the fields of each, for a program"),
    ),
    "entities": (
        ("esctl entities 'account-00*'", "by a glob"),
        ("esctl entities --columns entity,events --limit 10", "the first ten"),
    ),
    "sql": (
        (
            "esctl sql 'select actor, count(*) as n from events group by actor order by n desc'",
            "a question of your own over the events",
        ),
        (
            "esctl sql \"select entity, balance from account('2024-02-01') where balance > 15000\"",
            "over the states at a time",
        ),
    ),
    "browse": (
        ("esctl browse", "all entities, at the head"),
        ("esctl browse account-017 --at 2024-03-05", "one, from a time on"),
    ),
    "blame": (
        ("esctl blame account-017", "which event set each field"),
        ("esctl blame account-017 --field daily_limit --all", "all events that had a part in one"),
    ),
    "when": (
        ("esctl when 'daily_limit > 1000' -p account --every", "every span in which it held"),
        ("esctl when 'balance < 0' -p account --exit-code --count", "1 if it ever did, for scripts"),
    ),
    "series": (
        ("esctl series 'sum(balance)' -p account --every 1mo", "a sum over all states, month by month"),
        ("esctl series \"count(*) filter (status = 'paid')\" -p order --every 1w", "how many are in a state"),
    ),
    "trace": (
        ("esctl trace evt-03494", "what led to an event, and what followed"),
        ("esctl trace job-20240305-nightly", "all events of a correlation"),
    ),
    "revert": (
        ("esctl revert account-017 --to 2024-03-04", "what takes the state back"),
        ("esctl revert account-017 --to 2024-03-04 -o undo.jsonl", "as JSON Lines, to be applied"),
    ),
    "doctor": (
        ("esctl doctor", "everything that is wrong, counted"),
        ("esctl doctor --undated --homeless", "events that no time or entity was found for"),
    ),
    "reconcile": (
        ("esctl reconcile orders.csv --key 'public.orders/{id}'", "an export of the table against the log's states"),
        ("esctl reconcile orders.csv --key 'public.orders/{id}' --no-exit-code", "for a report, whatever it finds"),
    ),
    "verify": (
        ("esctl verify", "what changed since it was last looked at"),
        ("esctl verify --full", "every record, hash and proof anew"),
    ),
    "checkpoint": (
        ("esctl checkpoint > kept-elsewhere.checkpoint", "what to keep where the store is not"),
        ("esctl checkpoint --key keeper -o kept-elsewhere.checkpoint", "signed by one of several keys"),
    ),
    "key": (
        ("esctl key new auditor > auditor.pub", "make a key; its public half is printed"),
        ("esctl key list", "the keys that there are"),
    ),
    "prove": (
        ("esctl prove evt-03494 > evt-03494.tlog-proof", "that the log has this event"),
        ("esctl prove @3494 -o evt-03494.tlog-proof", "by its position, into a file"),
    ),
    "verify-proof": (
        ("esctl verify-proof evt-03494.tlog-proof --event charge.json", "a proof and the record, without a store"),
        ("esctl verify-proof evt-03494.tlog-proof --event charge.json --trust auditor.pub", "and who signed it"),
    ),
    "report": (
        ("esctl report account-017 -o report.html", "all about one entity, in one page"),
        ("esctl report account-017 --from 2024-03-01 --to 2024-03-08 -o week.html", "between two times"),
    ),
    "bundle": (
        ("esctl bundle account-017 -o evidence.zip", "records, proofs and states in one archive"),
        ("esctl bundle account-017 --html -o evidence.zip", "with a page to read it by"),
    ),
    "verify-bundle": (
        ("esctl verify-bundle evidence.zip", "an archive, without a store"),
        ("esctl verify-bundle evidence.zip --trust auditor.pub", "and who signed it"),
    ),
    "export": (
        ("esctl export -o events.parquet", "all events, one row each"),
        ("esctl export --raw --source bank.jsonl | cmp - bank.jsonl", "a source as it was received"),
    ),
    "emit": (
        ("esctl emit states account-041 -p account", "states as messages, by entity"),
        ("esctl emit revert account-041 --back-to 2024-03-30 --dry-run", "compensations, shown first"),
    ),
    "view": (
        ("esctl view create accounts -p account --to duckdb:states.db/accounts", "states as a table"),
        ("esctl view list", "the views that there are"),
    ),
    "mcp": (
        ("esctl mcp --store /srv/audit/.esctl", "what an assistant is told to start"),
        ("esctl mcp --help", "how many rows, for how long"),
    ),
    "snapshot": (
        ("esctl snapshot", "states at the head"),
        ("esctl snapshot --at 2024-03-01", "at a time"),
    ),
    "compact": (
        ("esctl compact --dry-run", "how many files would remain"),
        ("esctl compact", "merge small files; no answer changes"),
    ),
    "redact": (
        ("esctl redact evt-00003 --dry-run", "what would be erased"),
        ("esctl redact evt-00003 --reason 'request 17' --actor dpo --yes", "erase it, in a store made with --erasable"),
    ),
    "repair": (
        ("esctl repair", "mend what is derived, name what is lost"),
        ("esctl repair --columns what,result,message", "the same, narrower"),
    ),
    "config": (
        ("esctl config show", "each setting, and where it comes from"),
        ("esctl config show -f json", "for a program"),
    ),
    "help": (
        ("esctl help times", "a topic"),
        ("esctl help diff", "a command"),
    ),
}
"""By command: what to type, and what it is for."""
