"""Run esctl against real servers: `python -m reliability.live`, by `make live`, which installs them.

The scenarios are tests that otherwise run against fakes, here with Apache Kafka as the broker
(`tests/support/apache.py`), Apicurio as the registry (`tests/support/apicurio.py`), and PostgreSQL as the tests start
it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from reliability.report import FOLDER, ROOT, keep

READING, FOLLOWING = "tests/sources/kafka/test_reading.py", "tests/sources/kafka/test_following.py"
TOPIC, SENDING = "tests/sinks/test_kafka_topic.py", "tests/views/test_emit_to_topics.py"
SCHEMAS, REGISTRY = "tests/sources/kafka/test_schemas.py", "tests/sources/kafka/test_registry.py"
SENDERS = "tests/views/test_kills_of_senders.py"
POSTGRES = "tests/sinks/test_postgres.py"
SCENARIOS: Mapping[str, Sequence[str]] = {
    "esctl killed while it follows, at any moment": [f"{FOLLOWING}::test_killed_anywhere_it_goes_on_right_after"],
    "the broker killed in mid-ingest, and while it is followed": [
        f"{READING}::test_a_broker_killed_in_the_middle_is_waited_for",
        f"{FOLLOWING}::test_a_broker_that_goes_away_is_waited_for",
    ],
    "transactions aborted and open": [f"{READING}::test_transactions_are_seen_once_committed"],
    "producers go on: the ingest ends": [
        f"{READING}::test_producers_go_on_meanwhile", f"{READING}::test_the_end_is_the_one_at_the_start",
    ],
    "retention past the cursor": [
        f"{READING}::test_offsets_that_are_gone_are_told_and_kept", f"{READING}::test_all_is_gone_and_nothing_follows",
    ],
    "compaction under the cursor": [f"{READING}::test_holes_of_a_compaction_are_no_loss"],
    "topic made anew: shorter, longer, while followed": [
        f"{READING}::test_a_topic_made_anew_is_not_mistaken_for_the_old_one",
        f"{FOLLOWING}::test_a_topic_made_anew_stops_it",
    ],
    "partitions added, entities split among them": [
        f"{FOLLOWING}::test_what_is_added_comes_and_so_do_partitions",
        f"{READING}::test_doctor_tells_gaps_and_entities_in_several_partitions",
    ],
    "records as they were sent; broker-side offsets; secrets": [
        f"{READING}::test_records_come_as_they_were_sent", f"{READING}::test_each_partition_is_a_source",
        f"{READING}::test_nothing_is_committed_to_the_broker", "tests/sources/kafka/test_secrets.py",
    ],
    "a registry: Avro, Protobuf, JSON, references, schemas that evolve or are missing": [
        SCHEMAS, f"{REGISTRY}::test_a_schema_evolves", f"{REGISTRY}::test_protobuf_and_json_of_a_registry",
        f"{REGISTRY}::test_what_a_registry_lacks_is_asked_for_once_and_decoded_when_it_is_there",
    ],
    "a registry that goes away, is killed, is none": [
        f"{REGISTRY}::test_a_registry_that_goes_away_is_waited_for", f"{REGISTRY}::test_what_is_no_registry_is_told",
        f"{REGISTRY}::test_a_registry_that_stays_away_ends_it_and_the_next_run_goes_on",
        f"{REGISTRY}::test_a_registry_that_is_busy_is_waited_for",
        f"{REGISTRY}::test_a_follower_waits_for_its_registry",
    ],
    "a registry's password is told nowhere": [f"{REGISTRY}::test_its_password_is_told_nowhere"],
    "a sender killed at every step": [SENDERS, f"{SENDING}::test_what_a_sender_left_that_was_killed_is_never_seen"],
    "two senders: the first is fenced": [f"{SENDING}::test_who_comes_second_takes_over_and_the_first_is_told"],
    "target missing, of another policy, made anew": [
        f"{TOPIC}::test_a_topic_that_is_none_for_states_is_refused",
        f"{TOPIC}::test_a_topic_that_was_made_anew_is_told",
        f"{TOPIC}::test_a_view_is_dropped_also_when_its_topic_is_gone",
        f"{SENDING}::test_topics_that_would_not_keep_what_is_sent_are_refused",
        f"{SENDING}::test_a_topic_that_was_made_anew_is_told",
    ],
    "a record over the limit": [
        f"{TOPIC}::test_a_state_that_is_too_large_is_named_and_nothing_is_sent",
        f"{SENDING}::test_an_event_that_is_too_large_is_named_and_nothing_is_sent",
    ],
    "a consumer sees what replay gives, also after compaction": [
        f"{TOPIC}::test_a_view_is_what_a_consumer_sees", f"{TOPIC}::test_only_entities_with_new_events_are_sent_again",
        f"{TOPIC}::test_partitions_that_were_added_leave_no_state_twice",
        f"{TOPIC}::test_keys_go_to_the_partitions_that_java_sends_them_to", f"{TOPIC}::TestKafkaTopic",
        f"{SENDING}::test_each_event_is_sent_once_with_its_bytes",
        f"{SENDING}::test_an_erased_event_is_told_and_its_bytes_are_not_sent_again",
    ],
    "a broker that goes away from who writes": [f"{TOPIC}::test_a_broker_that_is_away_is_told"],
    "a database: the contract of sinks, one that goes away": [POSTGRES],
}  # fmt: skip


def main() -> None:
    """Run the scenarios that have a given word in their names (all, without one), and keep their results.

    Exits with 1 if a test failed.
    """
    word, kept = " ".join(sys.argv[1:]), FOLDER / "live" / "rows.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[float]] = json.loads(kept.read_text()) if word and kept.exists() else {}
    for scenario, tests in SCENARIOS.items():
        if word not in scenario:
            continue
        started = time.monotonic()
        found, failed = run_tests(tests)
        rows[scenario] = [found["passed"], found["failed"], found["skipped"], time.monotonic() - started]
        kept.write_text(json.dumps(rows))
        print(f"{scenario}: {dict(found)}", *failed, sep="\n  ", flush=True)
    keep_figures({name: rows[name] for name in SCENARIOS if name in rows})
    sys.exit(1 if any(row[1] for row in rows.values()) else 0)


def keep_figures(rows: Mapping[str, Sequence[float]]) -> None:
    """Keep the figures for the page."""
    lines = [", ".join(f"{name} {version}" for name, version in versions().items()) + "."]
    heads = ("scenario", "tests that held", "that did not", "not tried")
    counts = {name: [int(count) for count in row[:3]] for name, row in rows.items()}
    keep("live", "make live", sum(row[3] for row in rows.values()), lines, heads, counts)


def run_tests(tests: Sequence[str]) -> tuple[Counter[str], list[str]]:
    """Run tests against real servers; count how they ended, and name those that failed."""
    report = ROOT / "build" / "live.xml"
    environment = {**os.environ, "ESCTL_BROKER": "apache", "ESCTL_TESTS": "all"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}", *tests]
    subprocess.run(command, cwd=ROOT, env=environment, check=False, stdout=subprocess.DEVNULL)
    found, failed = Counter[str](), []
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        how = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        found[how] += 1
        failed += [f"{case.get('classname')}.{case.get('name')}"] if how == "failed" else []
    return found, failed


def versions() -> dict[str, str]:
    """Return the servers' versions."""
    from tests.support.apache import JARS
    from tests.support.apicurio import FOLDER as REGISTRY_FOLDER
    from tests.support.postgres import programs

    jar = next(JARS.glob("kafka-clients-*.jar"))
    found = {"Apache Kafka": jar.stem.rpartition("-")[2]}
    for program in REGISTRY_FOLDER.glob("*-app-*-runner.jar"):
        found["Apicurio Registry"] = program.stem.removesuffix("-runner").rpartition("-")[2]
    if (where := programs()) is not None:
        version = subprocess.run([where / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        found["PostgreSQL"] = version.split()[2]
    return found


if __name__ == "__main__":
    Path(ROOT / "build").mkdir(exist_ok=True)
    main()
