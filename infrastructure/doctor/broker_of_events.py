"""Pulsar as the relay needs it: it drops repeats, and keeps what nobody has read yet."""

import http.client
import json
import os
import ssl
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pulsar as client_library

from infrastructure.doctor.findings import Note, failed, good, warning
from infrastructure.settings import Settings, masked

_TIMEOUT_S = 5
_DAY_MIN = 24 * 60
_SILENCE_MIN = 7 * _DAY_MIN
_INACTIVITY = "brokerDeduplicationProducerInactivityTimeoutMinutes"


def pulsar(settings: Settings) -> Iterator[Note]:
    """Whether it can be reached, deduplicates and retains."""
    if not settings.pulsar_service_url:
        yield good("off: PULSAR_SERVICE_URL is empty, nothing is published")
        return
    place = masked(settings.pulsar_service_url)
    topic = f"persistent://{settings.pulsar_tenant_namespace}/footanalytics.doctor"
    with closing(_connected(settings)) as client:
        try:
            client.get_topic_partitions(topic)
        except client_library.PulsarException as error:
            reason = str(error).partition("\n")[0].removeprefix("Pulsar error: ")
            yield failed(
                f"{place} cannot be used ({reason}): see that it runs, and check "
                "PULSAR_SERVICE_URL, PULSAR_TOKEN and PULSAR_TLS_TRUST_CERTS"
            )
            return
        yield good(f"{place} answers")
        admin = _Admin(settings)
        yield from admin.notes() if admin.answers() else _without_admin(client, topic, admin.place)


def _connected(settings: Settings) -> Any:
    token = settings.pulsar_token.get_secret_value()
    certificates = settings.pulsar_tls_trust_certs
    return client_library.Client(
        settings.pulsar_service_url,
        authentication=client_library.AuthenticationToken(token) if token else None,
        operation_timeout_seconds=_TIMEOUT_S,
        connection_timeout_ms=_TIMEOUT_S * 1000,
        tls_trust_certs_file_path=str(certificates) if certificates else None,
        tls_validate_hostname=True,
        logger=client_library.FileLogger(client_library.LoggerLevel.Error, os.devnull),
    )


def _without_admin(client: Any, topic: str, place: str) -> Iterator[Note]:
    """Send the same number twice: a broker that drops repeats has no place for the second."""
    with closing(client.create_producer(topic, producer_name=f"doctor-{uuid.uuid4()}")) as producer:
        producer.send(b"first", sequence_id=1)
        again = producer.send(b"again", sequence_id=1)
    yield good("it drops repeats") if again.entry_id() < 0 else _NO_DEDUPLICATION
    yield warning(f"retention is unknown, {place} does not answer: set PULSAR_ADMIN_URL")


_NO_DEDUPLICATION = failed(
    "it does not drop repeats: set brokerDeduplicationEnabled=true, or for the namespace: "
    "pulsar-admin namespaces set-deduplication --enable TENANT/NAMESPACE"
)


class _Admin:
    """The admin REST service, at PULSAR_ADMIN_URL or where it is by default."""

    def __init__(self, settings: Settings) -> None:
        parts = urlsplit(settings.pulsar_service_url.partition(",")[0])
        secure = parts.scheme == "pulsar+ssl"
        guess = f"{'https' if secure else 'http'}://{parts.hostname}:{8443 if secure else 8080}"
        self.place = os.environ.get("PULSAR_ADMIN_URL") or guess
        self._settings = settings
        self._namespace = f"/admin/v2/namespaces/{settings.pulsar_tenant_namespace}"

    def answers(self) -> bool:
        try:
            self._ask(f"{self._namespace}/retention")
        except (OSError, http.client.HTTPException, ValueError):
            return False
        return True

    def notes(self) -> Iterator[Note]:
        broker = self._broker()
        enabled = self._ask(f"{self._namespace}/deduplication")
        if enabled is None:
            enabled = broker.get("brokerDeduplicationEnabled") == "true"
        yield good("it drops repeats") if enabled else _NO_DEDUPLICATION
        if (silence := int(broker.get(_INACTIVITY, _SILENCE_MIN))) < _SILENCE_MIN:
            yield warning(
                f"it forgets a silent producer's numbers after {silence} minutes, and a relay that "
                f"was down so long may repeat itself: set {_INACTIVITY}={_SILENCE_MIN}"
            )
        yield self._retention(broker)

    def _retention(self, broker: dict[str, str]) -> Note:
        kept = self._ask(f"{self._namespace}/retention") or {
            "retentionTimeInMinutes": int(broker.get("defaultRetentionTimeInMinutes", 0)),
            "retentionSizeInMB": int(broker.get("defaultRetentionSizeInMB", 0)),
        }
        minutes, megabytes = kept["retentionTimeInMinutes"], kept["retentionSizeInMB"]
        if minutes == 0 or megabytes == 0 or 0 < minutes < _DAY_MIN:
            return warning(
                f"it keeps messages that are read for {max(minutes, 0)} minutes only: "
                f"pulsar-admin namespaces set-retention {self._settings.pulsar_tenant_namespace} "
                "--time 7d --size -1"
            )
        days = "for ever" if minutes < 0 else f"for {minutes / _DAY_MIN:.0f} days"
        return good(f"it keeps messages {days}")

    def _broker(self) -> dict[str, str]:
        """The broker's own settings, where it tells them to us."""
        try:
            return dict(self._ask("/admin/v2/brokers/configuration/runtime") or {})
        except (OSError, ValueError):
            return {}

    def _ask(self, path: str) -> Any:
        """The answer's JSON, None where it is empty.

        Raises:
            OSError: no answer, or a refusal.
        """
        parts = urlsplit(self.place)
        connection = self._connection(parts.scheme, parts.hostname or "", parts.port)
        token = self._settings.pulsar_token.get_secret_value()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with closing(connection):
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status not in (200, 204):
                raise OSError(f"{path}: {answer.status}")
            return json.loads(body) if body.strip() else None

    def _connection(self, scheme: str, host: str, port: int | None) -> Any:
        if scheme != "https":
            return http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
        trusted = self._settings.pulsar_tls_trust_certs
        context = ssl.create_default_context(cafile=trusted)
        return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=context)
