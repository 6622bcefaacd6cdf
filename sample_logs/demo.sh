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

printf '%s\n' \
    '# A walk through four small sample logs, in a copy of them: eight commands, each shown before it runs.' \
    '# It takes some seconds, asks nothing, and changes nothing outside build/.'
say "The logs of four systems, a quarter of a year: into the evidence log."
run "esctl ingest *.jsonl shop/"

say "What happened in them?"
run "esctl types --columns type,count,entities,last"

say "A customer disputes a charge of 4,950.00 on 5 March. What was the account before, and what after?"
run "esctl replay account-017 --at 2024-03-04"
run "esctl replay account-017 --at 2024-03-05"

say "What did the day of the charge change? Nothing else, so it seems."
run "esctl diff 2024-03-04 2024-03-05 account-017"

say "And how did it get there? The limit and the address were changed for the charge, and changed back."
run "esctl audit account-017 --from 2024-03-05 --to 2024-03-08"

say "Who else was touched by the same actor in March?"
run "esctl audit --actor svc-backoffice --from 2024-03-01"

cat <<END

# The store of this walk is in $here. What to type next:
cd $here
PATH="$(dirname "$(command -v esctl)"):\$PATH"
esctl
esctl blame account-017
esctl doctor
esctl help times

# They find esctl, show the store at hand with what it can be asked, which event set each field of an account, what
# is wrong with these logs, and how times are given.

# sample_logs/README.md tells the other stories; docs/guides/your-own-log.md begins with a log of yours.
END
