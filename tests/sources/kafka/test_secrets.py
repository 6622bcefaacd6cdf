"""What it takes to connect is told nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources.kafka.test_reading import event
from tests.support.cli_harness import Done, esctl
from tests.support.kafka import Broker, needs_broker

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
