"""The connection to Pulsar: sends in order, and tells what was sent before.

Messages are not batched: the broker remembers a batch by its first sequence id alone, so after a
restart it would take the others twice, or drop new ones that share a batch with an old one.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Literal, NamedTuple

import pulsar

from domain.errors import ConfigurationError, ResourceError
from infrastructure.pulsar.schemas import CompactJson, MatchEvent, Message, PipelineEvent

Topic = Literal["pipeline", "match"]
SCHEMAS: Mapping[Topic, type] = {"pipeline": PipelineEvent, "match": MatchEvent}
PRODUCER = "footanalytics-relay"
PENDING = 1000
"""The most messages to send at once."""


class BrokerError(ResourceError):
    """Pulsar cannot be reached, refuses, or did not answer in time."""


class Sent(NamedTuple):
    """What identifies a message on the broker."""

    event_id: str
    number: int
    key: str


class Publisher:
    """Both topics of one relay, named `topics` and `.pipeline` or `.match`.

    After a BrokerError nothing is known about what was sent since: `connect` again, which asks
    the broker. Create it in the process that uses it: the client does not survive a fork.
    """

    def __init__(
        self,
        service_url: str,
        topics: str = "persistent://public/default/footanalytics",
        token: str = "",
        trust_certs: str = "",
        timeout_s: int = 10,
    ) -> None:
        self._url = service_url
        self._topics = topics
        self._token = token
        self._trust_certs = trust_certs
        self._timeout_s = timeout_s
        self._client: Any = None
        self._producers: dict[Topic, Any] = {}

    def connect(self) -> None:
        """Start anew. The broker lets only one producer of the name in."""
        self.disconnect()
        with self._broker_errors():
            self._client = self._open()
            for topic, record in SCHEMAS.items():
                self._producers[topic] = self._client.create_producer(
                    f"{self._topics}.{topic}",
                    producer_name=PRODUCER,
                    schema=CompactJson(record),
                    send_timeout_millis=self._timeout_s * 1000,
                    max_pending_messages=PENDING,
                    block_if_queue_full=True,
                    batching_enabled=False,
                )

    def last_sequence(self, topic: Topic) -> int:
        """The highest sequence id that the broker has of this topic; -1 for none."""
        return int(self._producers[topic].last_sequence_id())

    def send(self, topic: Topic, messages: Sequence[Message]) -> None:
        """Send in order; all are safe on the broker when it returns.

        Raises:
            BrokerError: some, from one on, were not acknowledged in time.
        """
        results: list[Any] = []
        with self._broker_errors():
            for message in messages:
                self._producers[topic].send_async(
                    message.record,
                    lambda result, _: results.append(result),
                    properties=dict(message.properties),
                    partition_key=message.key,
                    sequence_id=message.sequence,
                    event_timestamp=message.time_ms,
                )
            self._producers[topic].flush()
        failed = [result for result in results if result != pulsar.Result.Ok]
        if failed or len(results) != len(messages):
            raise self._error(f"{len(messages)} messages: {failed[:1] or 'no answer'}")

    def published(self, topic: Topic, generation: int) -> Iterator[bytes]:
        """The event ids, 16 bytes each, of what was sent with numbers below this generation's.

        Numbers rise in a topic, so these are its first messages, as far as it retains them.
        """
        with self._broker_errors(), closing(self._reader(topic, pulsar.MessageId.earliest)) as kept:
            for sent in self._read(kept):
                if sent.number >> 32 >= generation:
                    return
                yield uuid.UUID(sent.event_id).bytes

    def last_message(self, topic: Topic) -> Sent | None:
        """The last message that the topic retains."""
        with self._broker_errors(), closing(self._reader(topic, pulsar.MessageId.latest)) as last:
            return next(self._read(last), None)

    def disconnect(self) -> None:
        """Drop the connection at once, with all that is under way."""
        if self._client is not None:
            self._client.shutdown()
        self._client, self._producers = None, {}

    def close(self) -> None:
        """Close in order: the broker lets a successor in at once."""
        if self._client is not None:
            with self._broker_errors():
                self._client.close()
        self._client, self._producers = None, {}

    def _open(self) -> Any:
        try:
            return pulsar.Client(
                self._url,
                authentication=pulsar.AuthenticationToken(self._token) if self._token else None,
                operation_timeout_seconds=self._timeout_s,
                connection_timeout_ms=self._timeout_s * 1000,
                tls_trust_certs_file_path=self._trust_certs or None,
                tls_validate_hostname=True,
                # The library writes a line for each of its own tries; errors reach us anyway.
                logger=pulsar.FileLogger(pulsar.LoggerLevel.Error, "/dev/null"),
            )
        except (pulsar.InvalidUrl, pulsar.InvalidConfiguration, ValueError) as error:
            raise ConfigurationError(
                f"PULSAR_SERVICE_URL={self._url} is no address: give pulsar://HOST:PORT or "
                f"pulsar+ssl://HOST:PORT"
            ) from error

    def _reader(self, topic: Topic, start: Any) -> Any:
        return self._client.create_reader(
            f"{self._topics}.{topic}",
            start,
            start_message_id_inclusive=True,
            receiver_queue_size=PENDING,
        )

    def _read(self, reader: Any) -> Iterator[Sent]:
        """The relay's messages; what others wrote into the topic is passed over."""
        while reader.has_message_available():
            message = reader.read_next(self._timeout_s * 1000)
            given = message.properties()
            if "number" in given and "event_id" in given:
                yield Sent(given["event_id"], int(given["number"]), message.partition_key())

    @contextmanager
    def _broker_errors(self) -> Iterator[None]:
        try:
            yield
        except pulsar.ProducerBusy as error:
            raise self._error("another relay is publishing; this one takes over later") from error
        except pulsar.PulsarException as error:
            reason = str(error).partition("\n")[0].removeprefix("Pulsar error: ")
            advice = "see that it runs, and check PULSAR_SERVICE_URL, token and certificates"
            raise self._error(f"{reason}: {advice}") from error

    def _error(self, reason: str) -> BrokerError:
        return BrokerError(f"Pulsar at {self._url}: {reason}")
