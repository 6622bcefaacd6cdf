"""What it takes to connect is told nowhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources.kafka.test_reading import event
from tests.support.cli_harness import Done, esctl
from tests.support.kafka import Broker, Fake, needs_broker

pytestmark = needs_broker
USER, PASSWORD = "auditor", "hunter2-hunter2"
SASL = ("-X", "security.protocol=SASL_PLAINTEXT", "-X", "sasl.mechanism=PLAIN", "-X", f"sasl.username={USER}")


@pytest.fixture(scope="module")
def locked() -> Iterator[Broker]:
    broker = Broker(user=f"{USER}:{PASSWORD}")
    yield broker
    broker.stop()


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted((folder / ".esctl").rglob("*")) if path.is_file())


def said(done: Done) -> str:
    return done.text + done.err


def test_secrets_come_from_a_file_or_the_environment(tmp_path: Path, locked: Broker) -> None:
    topic = locked.topic()
    locked.produce(topic, [event(i) for i in range(3)])
    (tmp_path / "client.properties").write_text(
        f"security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.username={USER}\nsasl.password=${{KAFKA_PASS}}\n"
    )
    (tmp_path / "esctl.toml").write_text(
        f'[sources.mine]\nkafka = "{locked.address}/{topic}"\nproperties = "client.properties"\n'
    )
    done = esctl("ingest", "mine", "-f", "json", cwd=tmp_path, KAFKA_PASS=PASSWORD)
    assert done.code == 0, done.err
    assert (done.code, done.rows[0]["new"]) == (0, 3), done.err
    again = esctl(
        "ingest", locked.url(topic), *SASL, "-X", f"sasl.password={PASSWORD}", "--debug", "-f", "json", cwd=tmp_path
    )
    assert (again.code, again.rows[0]["new"]) == (0, 0), again.err
    assert PASSWORD.encode() not in everything(tmp_path)
    shown = esctl("config", "show", cwd=tmp_path)
    assert PASSWORD not in said(done) + said(again) + said(shown)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((*SASL, "-X", f"sasl.password={PASSWORD}x"), 3),
        ((*SASL, "-X", f"sasl.pasword={PASSWORD}"), 2),
        ((*SASL, "-X", f"sasl.password={PASSWORD}", "-X", f"fetch.min.bytes={PASSWORD}"), 2),
        ((*SASL, "-X", f"sasl.password={PASSWORD}", "-X", PASSWORD), 2),
        ((*SASL, "-X", f"sasl.password={PASSWORD}", "-X", f"debug={PASSWORD}"), 2),
    ],
)
def test_errors_name_no_secret(tmp_path: Path, locked: Broker, options: tuple[str, ...], code: int) -> None:
    done = esctl("ingest", locked.url("t"), *options, "--debug", cwd=tmp_path)
    assert done.code == code, done.err
    assert PASSWORD not in said(done)
    assert not (tmp_path / ".esctl").exists()


def test_a_user_in_a_url_is_refused_without_it(tmp_path: Path) -> None:
    done = esctl("ingest", f"kafka://me:{PASSWORD}@127.0.0.1:1/t", "--debug", cwd=tmp_path)
    assert done.code == 2
    assert PASSWORD not in said(done)


@pytest.mark.thorough
@pytest.mark.parametrize("mechanism", ["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_topics_are_read_through_tls(tmp_path: Path, mechanism: str) -> None:
    authority = tmp_path / "ca.pem"
    user = f"{USER}:{PASSWORD}" if mechanism else ""
    broker = Fake(user=user, mechanism=mechanism or "PLAIN", authority=authority)
    try:
        topic = broker.topic()
        broker.produce(topic, [event(i) for i in range(3)])
        own = {name: text for name, text in broker.settings.items() if name.startswith(("s", "ssl"))}
        (tmp_path / "client.properties").write_text("".join(f"{name}={text}\n" for name, text in own.items()))
        done = esctl("ingest", broker.url(topic), "-F", "client.properties", "-f", "json", cwd=tmp_path)
        assert (done.code, done.rows[0]["new"]) == (0, 3), done.err
        told = done.err
        refusals = (("-X", "ssl.ca.location="), ("-X", "security.protocol=PLAINTEXT"))  # not trusted; not spoken
        for others in () if mechanism else refusals:
            done = esctl("ingest", broker.url(topic), "-F", "client.properties", *others, cwd=tmp_path)
            assert (done.code, "no broker answers" in done.err) == (3, True), done.err
            told += done.err
        assert PASSWORD not in told
        assert PASSWORD.encode() not in everything(tmp_path)
    finally:
        broker.stop()


@pytest.mark.skipif(os.environ.get("ESCTL_BROKER") != "apache", reason="only Apache Kafka takes OAuth: make live")
def test_topics_are_read_with_tokens(tmp_path: Path) -> None:
    from tests.support.apache import Apache

    broker = Apache(user=USER, mechanism="OAUTHBEARER")
    try:
        topic = broker.topic()
        broker.produce(topic, [event(i) for i in range(3)])
        own = {name: text for name, text in broker.settings.items() if "sasl" in name or "security" in name}
        (tmp_path / "client.properties").write_text("".join(f"{name}={text}\n" for name, text in own.items()))
        done = esctl("ingest", broker.url(topic), "-F", "client.properties", "-f", "json", cwd=tmp_path)
        assert (done.code, done.rows[0]["new"]) == (0, 3), done.err
    finally:
        broker.stop()
