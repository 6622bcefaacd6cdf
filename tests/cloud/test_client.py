"""How buckets are reached, and what is said where they are not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from esctl.cloud.address import parse_address
from esctl.cloud.client import open_bucket
from esctl.cloud.credentials import service_identity
from esctl.errors import EsctlError, InputError, UsageError
from esctl.sources.objects.failures import ChangedError, VanishedError, explaining
from tests.support.object_server import ObjectServer

URLS = ("s3://logs", "gs://logs", "az://logs")


def list_keys(url: str) -> list[str]:
    import obstore

    address = parse_address(url)
    client = open_bucket(address)
    with explaining(url, address.scheme):
        return [each["path"] for page in obstore.list(client, address.key or None) for each in page]


def read_object(url: str, **options: str) -> bytes:
    import obstore

    address = parse_address(url)
    client = open_bucket(address)
    with explaining(url, address.scheme):
        return b"".join(bytes(each) for each in obstore.get(client, address.key, options=options or None).stream())  # type: ignore[arg-type]


def failure(url: str) -> EsctlError:
    with pytest.raises(EsctlError) as caught:
        list_keys(url)
    return caught.value


@pytest.mark.parametrize("url", URLS)
def test_each_cloud_is_listed_page_by_page_and_read(server: ObjectServer, url: str) -> None:
    server.objects = {f"a/{number}": b"%d" % number for number in range(5)} | {"b": b""}
    server.page = 2
    assert list_keys(f"{url}/a") == [f"a/{number}" for number in range(5)]
    assert server.asked == [("LIST", "a/")] * 3
    assert read_object(f"{url}/a/3") == b"3"


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (404, "NoSuchBucket", "there is no such bucket"),
        (403, "AccessDenied", "the credentials do not allow to read it"),
        (403, "InvalidAccessKeyId", "the credentials are not accepted"),
        (401, "", "the credentials are not accepted"),
        (400, "ExpiredToken", "the credentials have expired"),
        (403, "RequestTimeTooSkewed", "the server's clock differs too much"),
        (301, "PermanentRedirect", "the bucket is in another region"),
        (503, "SlowDown", "the server refused to read: 503 Service Unavailable, SlowDown"),
        (418, "", "the server refused to read: 418"),
    ],
)
def test_a_refusal_is_one_line(server: ObjectServer, status: int, code: str, message: str) -> None:
    server.refusal = lambda kind, key: (status, code)
    error = failure("s3://logs/403 Forbidden/NoSuchBucket")  # what a key says is no sign of anything
    assert error.message.startswith(f"s3://logs/403 Forbidden/NoSuchBucket: {message}")
    assert "\n" not in error.message + error.hint
    assert error.hint


@pytest.mark.parametrize("url", URLS)
def test_a_bucket_that_is_not_there(server: ObjectServer, url: str) -> None:
    assert "there is no such bucket" in failure(f"{url}2").message


def test_an_object_that_is_gone_or_changed_is_told_apart(server: ObjectServer) -> None:
    with pytest.raises(VanishedError, match="it is not there"):
        read_object("s3://logs/a")
    server.objects["a"] = b"x"
    with pytest.raises(ChangedError, match="changed since it was listed"):
        read_object("s3://logs/a", if_match='"other"')


def test_an_object_that_is_unpacked_on_its_way_is_told(server: ObjectServer) -> None:
    server.objects["a.gz"] = b"x"
    server.is_measured = False
    with pytest.raises(InputError, match="served in another form") as caught:
        read_object("gs://logs/a.gz")
    assert "--clear-content-encoding" in caught.value.hint


def test_a_server_that_is_away(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert failure("s3://logs").message == "s3://logs: the server does not answer"


@pytest.mark.parametrize("key", ["a//b", "a/../b", "a\tb"])
def test_a_key_that_no_client_can_name_is_named(server: ObjectServer, key: str) -> None:
    server.objects[key] = b""
    error = failure("s3://logs")
    assert f"the key {key!r} has an empty part" in error.message


def test_a_signature_in_a_request_is_not_told(server: ObjectServer) -> None:
    server.refusal = lambda kind, key: (500, "InternalError")
    error = failure("az://logs")
    assert "so-secret" not in error.message + error.hint
    assert "InternalError" in error.message


@pytest.mark.parametrize("name", ["obstore.store", "botocore"])
def test_a_missing_library_is_named(server: ObjectServer, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError) as caught:
        open_bucket(parse_address("s3://logs/a"))
    assert (caught.value.message, caught.value.hint) == (
        "s3://logs/a: s3:// needs obstore",
        "pip install 'esctl-audit[cloud]'",
    )


NAMES = {
    "s3": ("AWS_ACCESS_KEY_ID",), "gs": ("GOOGLE_SKIP_SIGNATURE",), "az": ("AZURE_STORAGE_SAS_TOKEN",),
}  # fmt: skip


@pytest.mark.parametrize("scheme", NAMES)
def test_no_credentials(server: ObjectServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scheme: str) -> None:
    monkeypatch.setattr("esctl.cloud.credentials._is_in_cloud", lambda: False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    for name in NAMES[scheme]:
        monkeypatch.delenv(name)
    error = failure(f"{scheme}://logs")
    assert isinstance(error, InputError)
    assert error.message == f"{scheme}://logs: no credentials were found"
    assert "_" in error.hint
    assert server.asked == []


def test_a_profile_is_read(server: ObjectServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server.objects["a"] = b"x"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name)
    config, secret = tmp_path / "config", tmp_path / "credentials"
    config.write_text(f"[profile audit]\nregion = eu-west-1\nendpoint_url = {server.url}\n")
    secret.write_text("[audit]\naws_access_key_id = AKIDOTHER\naws_secret_access_key = not-so-secret\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(secret))
    assert "no credentials" in failure("s3://logs").message
    monkeypatch.setenv("AWS_PROFILE", "audit")
    assert list_keys("s3://logs") == ["a"]
    monkeypatch.setenv("AWS_PROFILE", "other")
    error = failure("s3://logs")
    assert isinstance(error, UsageError)
    assert "other" in error.message


def test_a_public_bucket_needs_no_credentials(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.objects["a"] = b"x"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    assert list_keys("s3://logs") == ["a"]


def test_the_region_of_the_environment_goes_before_that_of_the_profile(
    server: ObjectServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert open_bucket(parse_address("s3://logs")).config["region"] == "eu-north-1"  # type: ignore[union-attr,typeddict-item]
    monkeypatch.delenv("AWS_REGION")
    assert open_bucket(parse_address("s3://logs")).config["region"] == "eu-west-1"  # type: ignore[union-attr,typeddict-item]


@pytest.mark.parametrize(
    ("scheme", "variable"), [("s3", "AWS_ENDPOINT_URL_S3"), ("gs", "GOOGLE_BASE_URL"), ("az", "AZURE_STORAGE_ENDPOINT")]
)
@pytest.mark.parametrize("endpoint", ["a-secret", "http://", "http://a-secret b", "ftp://a-secret", "http://[a-secret"])
def test_an_endpoint_that_is_none_is_refused(
    server: ObjectServer, monkeypatch: pytest.MonkeyPatch, scheme: str, variable: str, endpoint: str
) -> None:
    monkeypatch.setenv(variable, endpoint)
    error = failure(f"{scheme}://logs")
    assert isinstance(error, UsageError)
    assert error.message == f"{scheme}://logs: the endpoint that is told is no URL of a server"
    assert "a-secret" not in error.hint


@pytest.mark.parametrize("url", URLS)
def test_a_client_of_what_is_below_a_key_takes_that_as_it_is(server: ObjectServer, url: str) -> None:
    import obstore

    server.objects = {"a b/%20é~/1": b"x", "a b/1": b"", "1": b""}
    client = open_bucket(parse_address(f"{url}/a b/%20é~"), is_below=True)
    assert [each["path"] for page in obstore.list(client) for each in page] == ["1"]


def test_services_that_are_told_are_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AWS_PROFILE", "AZURE_STORAGE_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "config"
    config.write_text("[default]\nendpoint_url = http://one:1/\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert service_identity("s3") == "http://one:1"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://two:2")
    assert service_identity("s3") == "http://two:2"
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "an-account")
    assert service_identity("az") == "an-account"
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", "http://three:3")
    assert service_identity("az") == "an-account http://three:3"


def test_a_role_that_may_not_be_taken_on_is_told(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.exceptions
    import botocore.session

    def denied(self: object) -> object:
        raise botocore.exceptions.ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "AssumeRole")

    monkeypatch.setattr(botocore.session.Session, "get_credentials", denied)
    error = failure("s3://logs")
    assert isinstance(error, UsageError)
    assert "(AccessDenied) when calling the AssumeRole" in error.message


def test_a_profile_may_have_its_keys_from_a_program(
    server: ObjectServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.objects["a"] = b"x"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    keys, config = tmp_path / "keys.json", tmp_path / "config"
    keys.write_text('{"Version": 1, "AccessKeyId": "AKIDOTHER", "SecretAccessKey": "not-so-secret"}')
    config.write_text(f"[profile audit]\ncredential_process = cat {keys}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "audit")
    assert list_keys("s3://logs") == ["a"]
    keys.unlink()
    error = failure("s3://logs")
    assert isinstance(error, UsageError)
    assert "\n" not in error.message
