"""Files of a store as objects: over obstore's own memory, and over a server that speaks S3."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from esctl.cloud.client import Patience
from esctl.errors import InputError, UnavailableError, UsageError
from esctl.storage.connecting import connect, store_url
from esctl.storage.objects import ObjectDepot
from esctl.storage.probe import probe
from esctl.storage.protocol import ConflictError, Depot
from tests.storage.contract import DepotContract
from tests.support.azurite import Azurite, needs_azurite
from tests.support.clouds import amazon, point_at
from tests.support.s3 import ObjectServer, needs_objects
from tests.support.s3_proxy import CarelessServer, S3Proxy

obstore = pytest.importorskip("obstore")


def in_memory() -> ObjectDepot:
    return ObjectDepot(obstore.store.MemoryStore(), "s3://memory/store")


@pytest.fixture
def environment(object_store: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> ObjectServer:
    point_at(object_store.environment, monkeypatch)
    return object_store


class TestInMemory(DepotContract):
    @pytest.fixture
    def depot(self) -> Depot:
        return in_memory()


@needs_objects
class TestOnAServer(DepotContract):
    @pytest.fixture
    def depot(self, environment: ObjectServer) -> Depot:
        return connect(f"s3://{environment.bucket()}/some/path")


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """Give the address of another server that speaks S3; of writers that race there two may win."""
    module = pytest.importorskip("moto.server", reason="moto is not installed: pip install 'moto[server]'")
    running = module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    yield "http://{}:{}".format(*running.get_host_and_port())
    running.stop()


class TestOnMoto(DepotContract):
    @pytest.fixture
    def depot(self, moto: str, monkeypatch: pytest.MonkeyPatch) -> Depot:
        point_at(amazon(moto, "a-key", "a-secret"), monkeypatch)
        for method, place in (("POST", "moto-api/reset"), ("PUT", "bucket")):
            urllib.request.urlopen(urllib.request.Request(f"{moto}/{place}", method=method)).close()
        return connect("s3://bucket/some/path")


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    server = Azurite()
    yield server
    server.stop()


@needs_azurite
class TestOnAzure(DepotContract):
    @pytest.fixture
    def depot(self, azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Depot:
        point_at(azurite.environment, monkeypatch)
        return connect(f"az://{azurite.container()}/some/path")

    def test_it_passes_the_probe(self, depot: Depot) -> None:
        probe(depot, "az://it")


@needs_objects
def test_a_large_file_comes_and_goes_in_parts(environment: ObjectServer, tmp_path: Path) -> None:
    depot = connect(f"s3://{environment.bucket()}/store")
    data = b"".join(number.to_bytes(4, "big") for number in range(2_000_000))
    (tmp_path / "file").write_bytes(data)
    depot.put_file("log/a", tmp_path / "file")
    depot.get_file("log/a", tmp_path / "copy", 1 << 30)
    assert (tmp_path / "copy").read_bytes() == data
    assert depot.get_ranges("log/a", [(7_000_000, 8), (0, 4)]) == [data[7_000_000:7_000_008], data[:4]]


@needs_objects
def test_a_server_that_holds_conditions_passes_the_probe(environment: ObjectServer) -> None:
    depot = connect(f"s3://{environment.bucket()}/store")
    probe(depot, "s3://it")
    assert list(depot.list(".")) == []


class Careless(ObjectDepot):
    """A service that overwrites whatever it was told about what must be there."""

    def __init__(self, ignored: str) -> None:
        super().__init__(obstore.store.MemoryStore(), "s3://careless/store")
        self._ignored = ignored

    def _put(self, name: str, data: bytes, mode: Any) -> str:
        ignored = mode == self._ignored or (isinstance(mode, dict) and self._ignored == "replace")
        return super()._put(name, data, "overwrite" if ignored else mode)


@pytest.mark.parametrize(("ignored", "told"), [("create", "If-None-Match"), ("replace", "If-Match")])
def test_a_service_that_ignores_a_condition_is_refused_by_its_name(ignored: str, told: str) -> None:
    with pytest.raises(InputError, match=rf"s3://it: of 4 writers .*{told}.*, 4 succeeded"):
        probe(Careless(ignored), "s3://it")


class Failing:
    """The API of obstore, of which the answer to one kind of call is lost after it was carried out, or before."""

    def __init__(self, when: str, times: int = 1) -> None:
        self._when, self._left = when, times
        self.exceptions = obstore.exceptions

    def __getattr__(self, name: str) -> Any:
        return getattr(obstore, name)

    def put(self, *arguments: Any, **named: Any) -> Any:
        lost = self._left > 0
        self._left -= 1
        done = None if lost and self._when == "before" else obstore.put(*arguments, **named)
        if lost:
            raise obstore.exceptions.GenericError("Generic S3 error: HTTP error: error sending request")
        return done


def failing(when: str) -> ObjectDepot:
    depot = in_memory()
    depot._api = Failing(when)
    return depot


WRITES: list[Callable[[Depot], object]] = [
    lambda depot: depot.create("commits/1", b"a commit"),
    lambda depot: depot.replace("commits/1", b"a commit"),
]


@pytest.mark.parametrize("write", WRITES)
def test_a_write_whose_answer_is_lost_knows_its_own_success(write: Callable[[Depot], object]) -> None:
    depot = failing("after")
    write(depot)
    assert depot.get("commits/1", 99) is not None


@pytest.mark.parametrize("write", WRITES)
def test_a_write_that_never_came_is_told(write: Callable[[Depot], object]) -> None:
    depot = failing("before")
    with pytest.raises(UnavailableError, match="does not answer"):
        write(depot)
    assert depot.head("commits/1") is None


def test_a_write_that_is_sent_again_knows_itself_and_no_other() -> None:
    depot = in_memory()
    depot.create("commits/1", b"a commit")
    depot.create("commits/1", b"a commit")
    with pytest.raises(ConflictError):
        depot.create("commits/1", b"another one")
    with pytest.raises(ConflictError):
        depot.create("commits/1", b"a commit" * (1 << 18))


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("s3://bucket/path", "s3://bucket/path"),
        ("s3:/bucket/path", "s3://bucket/path"),
        ("gcs://bucket/path/", "gs://bucket/path"),
        ("azure://bucket", "az://bucket"),
        ("abfss:/container/path", "az://container/path"),
        ("s3://", ""),
        ("file:///path", ""),
        ("s3", ""),
        ("/s3:/bucket", ""),
        ("some/folder", ""),
    ],
)
def test_urls_and_paths_are_told_apart(given: str, url: str) -> None:
    assert store_url(given) == url


@pytest.mark.parametrize(
    "given",
    [
        "s3://key:secret@bucket/path",
        "s3://key:secret/path",
        "s3://bucket/path?key=secret",
        "s3://bucket/../path",
        "s3://bucket//path",
    ],
)
def test_a_url_that_says_more_is_refused_and_not_repeated(given: str) -> None:
    with pytest.raises(UsageError) as told:
        store_url(given)
    assert "secret" not in f"{told.value.message} {told.value.hint}"
    assert told.value.message.startswith("--store ")


def test_a_store_without_credentials_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    point_at({}, monkeypatch)
    monkeypatch.setattr("esctl.cloud.credentials._is_in_cloud", lambda: False)
    with pytest.raises(UnavailableError, match="az://container: no credentials were found"):
        connect("az://container/path")


@needs_objects
@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("AWS_SECRET_ACCESS_KEY", "not-the-one", "the credentials are not accepted (SignatureDoesNotMatch)"),
        ("AWS_ACCESS_KEY_ID", "nobody", "the credentials are not accepted"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", "the server does not answer"),
    ],
)
@pytest.mark.parametrize("call", [lambda depot: depot.list("log"), lambda depot: depot.create("a", b"")])
def test_what_a_server_refuses_is_one_line_without_secrets(
    environment: ObjectServer,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[Depot], object],
    variable: str,
    value: str,
    told: str,
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr("esctl.storage.connecting.patience", lambda: Patience(retries=0))
    depot = connect(f"s3://{environment.bucket()}/store")
    with pytest.raises(UnavailableError) as error:
        call(depot)
    assert (told in error.value.message, "\n" in error.value.message) == (True, False)
    assert "not-the-one" not in error.value.message


@needs_objects
def test_a_bucket_that_is_not_there_is_told(environment: ObjectServer) -> None:
    depot = connect("s3://no-such-bucket/store")
    for call in (lambda: depot.list("log"), lambda: depot.create("a", b""), lambda: depot.get("a", 9)):
        with pytest.raises(UnavailableError, match="s3://no-such-bucket: there is no such bucket"):
            call()


@needs_objects
def test_keys_of_a_profile_are_used(environment: ObjectServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = environment.environment
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name)
    keys = f"aws_access_key_id = {settings['AWS_ACCESS_KEY_ID']}\naws_secret_access_key = "
    (tmp_path / "credentials").write_text(f"[tests]\n{keys}{settings['AWS_SECRET_ACCESS_KEY']}\n")
    (tmp_path / "config").write_text(f"[profile tests]\nendpoint_url = {environment.address}\nregion = us-east-1\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "tests")
    depot = connect(f"s3://{environment.bucket()}/store")
    depot.create("a", b"one")
    assert depot.head("a") is not None


@pytest.fixture
def proxy(environment: ObjectServer) -> Iterator[S3Proxy]:
    proxy = S3Proxy(environment.address)
    yield proxy
    proxy.stop()


@needs_objects
def test_answers_that_are_lost_on_the_way_are_found_out(
    environment: ObjectServer, proxy: S3Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
    bucket = environment.bucket()
    depot = connect(f"s3://{bucket}/store")
    lost: list[tuple[str, str]] = []

    def loses(request: tuple[str, str]) -> bool:
        if request[0] == "PUT" and request not in lost:
            lost.append(request)
            return True
        return False

    proxy.loses = loses
    depot.create("commits/1", b"first")
    tag = depot.replace("manifest.json", b"one")
    lost.clear()
    tag = depot.replace("manifest.json", b"two", tag)
    with pytest.raises(ConflictError):
        depot.create("commits/1", b"second")
    assert depot.get("commits/1", 9) == (b"first", depot.head("commits/1").tag)  # type: ignore[union-attr]
    assert depot.get("manifest.json", 9) == (b"two", tag)
    assert len(lost) == 2


def test_a_server_that_ignores_conditions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    server = CarelessServer()
    point_at(amazon(server.address, "a", "b"), monkeypatch)
    with pytest.raises(InputError, match=r"of 4 writers that create one object \(If-None-Match\), 4 succeeded"):
        probe(connect("s3://bucket/store"), "s3://it")
    assert server.objects == {}
    server.stop()
