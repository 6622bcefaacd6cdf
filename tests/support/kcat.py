"""What the guides need of kcat, for their tests.

kcat -P -b BROKER -t TOPIC [-k KEY] [-H NAME=VALUE] < LINES; kcat -C -e -q -b BROKER -t TOPIC [-X NAME=VALUE] -f FORMAT.
"""

from __future__ import annotations

import argparse
import sys

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

parser = argparse.ArgumentParser()
parser.add_argument("-P", action="store_true")
parser.add_argument("-b")
parser.add_argument("-t")
parser.add_argument("-k")
parser.add_argument("-H", action="append", default=[])
parser.add_argument("-C", action="store_true")
parser.add_argument("-e", action="store_true")
parser.add_argument("-q", action="store_true")
parser.add_argument("-X", action="append", default=[])
parser.add_argument("-f")
given = parser.parse_args()
settings = {
    "bootstrap.servers": given.b,
    "enable.metrics.push": "false",
    **dict(each.split("=", 1) for each in given.X),
}


def produce() -> int:
    producer = Producer(settings)
    headers = [tuple(each.split("=", 1)) for each in given.H]
    for line in sys.stdin.buffer:
        producer.produce(given.t, line.rstrip(b"\n"), given.k, headers=headers, timestamp=1_700_000_000_000)
        producer.poll(0)
    return int(producer.flush(30))


def consume() -> int:
    own = {"group.id": "kcat", "auto.offset.reset": "earliest", "enable.partition.eof": True}
    consumer = Consumer({**settings, **own})
    left = set(consumer.list_topics(given.t, timeout=10).topics[given.t].partitions)
    consumer.assign([TopicPartition(given.t, number, 0) for number in left])
    while left:
        for message in consumer.consume(1000, 0.1):
            error = message.error()
            if error is None:
                text = given.f.replace("\\n", "\n").replace("%k", (message.key() or b"").decode())
                sys.stdout.write(text.replace("%s", (message.value() or b"").decode()))
            elif error.code() == KafkaError._PARTITION_EOF:
                left.discard(message.partition())
    consumer.close()
    return 0


sys.exit(consume() if given.C else produce())
