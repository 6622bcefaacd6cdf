"""A producer whose records appear all together, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from esctl.errors import InputError
from esctl.sinks.kafka.destination import Topic, address_of
from esctl.sinks.protocol import Message
from esctl.sources.kafka.topics import Brokers

if TYPE_CHECKING:
    from confluent_kafka import Producer

SECONDS = 30.0
"""How long to wait for the brokers to begin or end a transaction."""
_FULL_WAIT = 0.5
_ATTEMPTS = 4


class Outbox:
    """A transactional producer. An identity has only one: a later one takes it over, and the first is fenced."""

    def __init__(self, brokers: Brokers, identity: str, topic: Topic) -> None:
        self._brokers, self._identity, self._topic = brokers, identity, topic
        self._failure: tuple[Any, Message] | None = None
        self._producer: Producer | None = None
        self.ends: dict[tuple[str, int], int] = {}
        """By topic and partition, the offset after the last record that this transaction wrote there."""

    def __enter__(self) -> Self:
        """Take the identity over; a transaction that another has not committed is aborted."""
        known = self._brokers.properties
        self._producer = self._brokers.producer(
            {
                "transactional.id": self._identity,
                "partitioner": known.get("partitioner", "murmur2_random"),  # as Java's
                "transaction.timeout.ms": known.get("transaction.timeout.ms", 300_000),
                "message.max.bytes": known.get("message.max.bytes", 500_000_000),  # the topic says what is too large
                "batch.size": known.get("batch.size", min(self._topic.largest, 1_000_000)),
                "queue.buffering.max.kbytes": known.get("queue.buffering.max.kbytes", 262_144),
                "linger.ms": known.get("linger.ms", 5),
            }
        )
        with self._explaining("no transaction can be begun"):
            self._producer.init_transactions(SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect from the brokers."""
        self._producer = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is put within the block, or abort it if the block raises.

        Raises InputError if a record is refused, naming it, and if another process took the identity over.
        """
        assert self._producer is not None
        self._failure, self.ends = None, {}
        with self._explaining("no transaction can be begun"):
            self._producer.begin_transaction()
        try:
            yield
            self.flush()
            with self._explaining("the transaction cannot be committed"):
                self._commit()
        except BaseException:
            self._abort()
            raise

    def put(self, message: Message, topic: str = "", partition: int = -1) -> None:
        """Send a message to the topic, or to another one, and there to a partition (-1: that of its key)."""
        from confluent_kafka import KafkaException

        assert self._producer is not None
        report = self._reporting(message)
        headers = list(message.headers)
        while True:
            try:
                self._producer.produce(
                    topic or self._topic.name, message.value, message.key, partition,
                    headers=headers, on_delivery=report,
                )  # fmt: skip
                break
            except BufferError:
                if not len(self._producer):
                    raise self._too_large(message) from None
                with self._explaining("the records cannot be sent"):
                    self._producer.poll(_FULL_WAIT)
            except KafkaException as error:
                self._check_size(error.args[0], message)
                raise self._error_of("a record cannot be sent", error) from None
        with self._explaining("the records cannot be sent"):
            self._producer.poll(0)
        if self._failure is not None:
            self._raise_failure()

    def flush(self) -> None:
        """Wait until all that was put is with the brokers. Raises InputError for the first that is refused."""
        assert self._producer is not None
        for _ in range(_ATTEMPTS):
            with self._explaining("the records cannot be sent"):
                left = self._producer.flush(SECONDS)
            if self._failure is not None:
                self._raise_failure()
            if not left:
                return
        raise InputError(f"{self._brokers.where}: the brokers do not take the records", "nothing was committed")

    def _commit(self) -> None:
        from confluent_kafka import KafkaException

        assert self._producer is not None
        for attempt in range(_ATTEMPTS):
            try:
                self._producer.commit_transaction(SECONDS)
                return
            except KafkaException as error:
                if not error.args[0].retriable() or attempt == _ATTEMPTS - 1:
                    raise

    def _abort(self) -> None:
        from confluent_kafka import KafkaException

        assert self._producer is not None
        with suppress(KafkaException):
            self._producer.abort_transaction(SECONDS)

    def _reporting(self, message: Message) -> Callable[[Any, Any], None]:
        def report(error: Any, sent: Any) -> None:
            if error is not None:
                self._failure = self._failure or (error, message)
            else:
                place = sent.topic(), sent.partition()
                self.ends[place] = max(sent.offset() + 1, self.ends.get(place, 0))

        return report

    def _raise_failure(self) -> None:
        from confluent_kafka import KafkaException

        assert self._failure is not None
        error, message = self._failure
        self._check_size(error, message)
        raise self._error_of("a record is refused", KafkaException(error))

    def _check_size(self, error: Any, message: Message) -> None:
        """Raise InputError if an error says that a message is too large."""
        from confluent_kafka import KafkaError

        if error.code() in (
            KafkaError.MSG_SIZE_TOO_LARGE,
            KafkaError.INVALID_MSG_SIZE,
            KafkaError.RECORD_LIST_TOO_LARGE,
        ):
            raise self._too_large(message)

    def _too_large(self, message: Message) -> InputError:
        size = len(message.value or b"")
        return InputError(
            f"{self._brokers.where}: {message_name(message)} has {size} bytes, which is more than "
            f"the topic takes ({self._topic.largest}); nothing was committed",
            f"let it take more: kafka-configs.sh --bootstrap-server {address_of(self._brokers)} --alter "
            f"--topic {self._topic.name} --add-config max.message.bytes={2 * size}",
        )

    @contextmanager
    def _explaining(self, what: str) -> Iterator[None]:
        from confluent_kafka import KafkaException

        try:
            yield
        except KafkaException as error:
            raise self._error_of(what, error) from None

    def _error_of(self, what: str, error: Any) -> InputError:
        """Return the InputError to raise for an error of the client."""
        from confluent_kafka import KafkaError

        cause = error.args[0]
        if cause.code() in (KafkaError._FATAL, KafkaError.INVALID_TXN_STATE):
            cause = self._cause() or cause
        fenced = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)
        if cause.code() in fenced:
            return InputError(
                f"{self._brokers.where} is being written by another process, which took over; nothing was committed",
                "let one of them go on alone",
            )
        try:
            with self._brokers.asking(what):
                raise error
        except InputError as reported:
            if not reported.hint and "AUTHORIZATION" in reported.message:
                hint = f"the user needs to be allowed to WRITE topics and the transactional id {self._identity}"
                return InputError(reported.message, hint)
            return reported

    def _cause(self) -> Any:
        """Return the error that ended the producer, which only calls on transactions report."""
        from confluent_kafka import KafkaException

        assert self._producer is not None
        try:
            self._producer.abort_transaction(SECONDS)
        except KafkaException as error:
            return error.args[0]
        return None


def message_name(message: Message) -> str:
    """Return the words by which errors name a message: the state, event or record that it is of."""
    headers = dict(message.headers)
    entity = headers.get("esctl-entity", message.key or b"").decode(errors="replace")
    position = headers.get("esctl-position", b"").decode(errors="replace")
    if "esctl-version" in headers:
        return f"the state of {entity!r} (last event at @{position})"
    return f"the event at @{position}, of {entity!r}," if position else f"the record of {entity!r}"
