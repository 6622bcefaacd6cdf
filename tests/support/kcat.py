"""What the guide needs of kcat, for its test: kcat -P -b BROKER -t TOPIC [-k KEY] [-H NAME=VALUE] < LINES."""

from __future__ import annotations

import argparse
import sys

from confluent_kafka import Producer

parser = argparse.ArgumentParser()
parser.add_argument("-P", action="store_true")
parser.add_argument("-b")
parser.add_argument("-t")
parser.add_argument("-k")
parser.add_argument("-H", action="append", default=[])
given = parser.parse_args()
producer = Producer({"bootstrap.servers": given.b, "enable.metrics.push": "false"})
headers = [tuple(each.split("=", 1)) for each in given.H]
for line in sys.stdin.buffer:
    producer.produce(given.t, line.rstrip(b"\n"), given.k, headers=headers, timestamp=1_700_000_000_000)
    producer.poll(0)
sys.exit(producer.flush(30))
