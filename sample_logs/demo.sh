#!/bin/sh
# Walk through the sample logs in a throw-away copy of them ($1): print each command, then run it.
set -eu
cd "$(dirname "$0")/.."
here=$1
rm -rf "$here"
mkdir -p "$here"
cp -R sample_logs/esctl.toml sample_logs/*.jsonl sample_logs/shop "$here"
cd "$here"

say() { printf '\n# %s\n' "$1"; }
run() {
    printf '\n$ %s\n' "$1"
    eval "$1"
}

# The walk is for eyes, whatever it is piped into; a pager would stop it at its first table.
ESCTL_FORMAT=table
ESCTL_NO_PAGER=1
export ESCTL_FORMAT ESCTL_NO_PAGER

say "The logs of four systems, a quarter of a year: into the evidence log."
run "esctl ingest *.jsonl shop/"

say "What happened in them?"
run "esctl types --columns type,count,first,last"

say "A customer disputes a charge of 4,950.00 on 5 March. What was the account before, and what after?"
run "esctl replay account-017 --at 2024-03-04"
run "esctl replay account-017 --at 2024-03-05"

say "What did the day of the charge change? Nothing else, so it seems."
run "esctl diff 2024-03-04 2024-03-05 account-017"

say "And how did it get there? The limit and the address were changed for the charge, and changed back."
run "esctl audit account-017 --from 2024-03-05 --to 2024-03-08"

say "Who else was touched by the same actor in March?"
run "esctl audit --actor svc-backoffice --from 2024-03-01"

printf '\n# The store is in %s/.esctl; sample_logs/README.md tells the other stories.\n' "$here"
