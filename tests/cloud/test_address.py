"""What is an address in object storage."""

from __future__ import annotations

import pytest

from esctl.cloud.address import Address, parse_address
from esctl.errors import UsageError


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("s3://b", Address("s3", "b")),
        ("GS://b/", Address("gs", "b")),
        ("az://my-container/a/b.json", Address("az", "my-container", "a/b.json")),
        ("az://$logs/blob", Address("az", "$logs", "blob")),
        ("gcs://b/a", Address("gs", "b", "a")),
        ("azure://b/a", Address("az", "b", "a")),
        ("abfs://b/a", Address("az", "b", "a")),
        ("ABFSS://b/a", Address("az", "b", "a")),
        ("s3://b/logs/", Address("s3", "b", "logs/")),
        ("s3://b/**/a?[1]#2%20@x:ä.gz", Address("s3", "b", "**/a?[1]#2%20@x:ä.gz")),
        ("s3://b/..a/.b/c..", Address("s3", "b", "..a/.b/c..")),
    ],
)
def test_an_address(url: str, address: Address) -> None:
    assert parse_address(url) == address


@pytest.mark.parametrize("key", ["/a", "a//b", "a//", "../a", "a/../b", "a/..", "./a", "a/.", "a\nb", "a\x00", "\x7f"])
def test_a_key_that_clients_cannot_name_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        parse_address(f"s3://b/{key}")


@pytest.mark.parametrize("url", ["s3://", "s3:///key", "s3://-b/key", "s3://b c/key", "s3:b", "s3://b?x=y"])
def test_no_address(url: str) -> None:
    with pytest.raises(UsageError, match="no address in object storage"):
        parse_address(url)


@pytest.mark.parametrize(
    ("url", "told"),
    [("s3://AKID:secret@b/key", "has no user"), ("az://b?sig=secret", "az://b is no address in object storage")],
)
def test_a_secret_in_an_address_is_not_told(url: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(url)
    assert "secret" not in f"{caught.value} {caught.value.hint}"
    assert told in caught.value.message
