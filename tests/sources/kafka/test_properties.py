"""Properties of the client, and what is never told of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from esctl.errors import EsctlError, UsageError
from esctl.sources.kafka.properties import client_properties, read_properties

SECRET = "hunter2"


def test_files_options_and_what_esctl_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASS", SECRET)
    file = tmp_path / "client.properties"
    file.write_text("# of kcat\n\nsecurity.protocol = SASL_SSL\nsasl.password=${PASS}\nclient.id=a=b\n")
    found = client_properties("h:1", str(file), {"client.id": "mine", "isolation.level": "read_committed"}, "here")
    assert found["bootstrap.servers"] == "h:1"
    assert found["security.protocol"] == "SASL_SSL"
    assert found["sasl.password"] == SECRET
    assert found["client.id"] == "mine"
    assert (found["isolation.level"], found["auto.offset.reset"]) == ("read_committed", "error")
    assert found["enable.auto.commit"] is False


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"isolation.level": SECRET}, "isolation.level has to be read_committed"),
        ({"bootstrap.servers": SECRET}, "bootstrap.servers is not taken"),
        ({"plugin.library.paths": SECRET}, "plugin.library.paths is not taken"),
        ({"sasl.password": "${NOT_SET_AT_ALL}" + SECRET}, "NOT_SET_AT_ALL} is not set"),
    ],
)
def test_a_refusal_names_the_property_and_not_its_value(given: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        client_properties("h:1", "", given, "here")
    assert message in caught.value.message
    assert SECRET not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("content", [f"{SECRET}\n".encode(), f"={SECRET}\n".encode(), b"a=\xff" + SECRET.encode()])
def test_a_file_that_is_none_is_told_without_its_content(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "client.properties"
    file.write_bytes(content)
    with pytest.raises(EsctlError) as caught:
        read_properties(file)
    assert str(file) in caught.value.message
    assert SECRET not in caught.value.message + caught.value.hint
