"""The relay's connection to a Pulsar with TLS and tokens."""

import base64
import hmac
import http.client
import json
import secrets
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from application.state import LogEntry
from deploy.servers import PulsarServer, free_port
from infrastructure.pulsar import schemas
from infrastructure.pulsar.publisher import BrokerError, Publisher
from tests.relay_rig import story


@pytest.fixture
def topics() -> str:
    """Topics that no other test uses."""
    return f"persistent://public/default/relay-{secrets.token_hex(8)}"


class GuardedPulsar(PulsarServer):
    """A Pulsar with TLS that lets in only who has a token."""

    def __init__(self, folder: Path) -> None:
        self.tls_port, self.secret = free_port(), secrets.token_bytes(32)
        self.certificate, key = folder / "certificate.pem", folder / "key.pem"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", str(key), "-out", str(self.certificate)),
            ],
            check=True,
            capture_output=True,
        )
        plugins = "org.apache.pulsar"
        super().__init__(
            folder / "pulsar",
            brokerServicePortTls=str(self.tls_port),
            tlsCertificateFilePath=str(self.certificate),
            tlsKeyFilePath=str(key),
            authenticationEnabled="true",
            authenticationProviders=f"{plugins}.broker.authentication.AuthenticationProviderToken",
            tokenSecretKey="data:;base64," + base64.b64encode(self.secret).decode(),
            superUserRoles="admin",
            brokerClientAuthenticationPlugin=f"{plugins}.client.impl.auth.AuthenticationToken",
            brokerClientAuthenticationParameters=f"token:{self.token()}",
        )

    def token(self) -> str:
        """A JSON web token for the role `admin`."""
        parts = (json.dumps(part).encode() for part in ({"alg": "HS256"}, {"sub": "admin"}))
        signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
        signature = base64.urlsafe_b64encode(hmac.digest(self.secret, signed, "sha256"))
        return (signed + b"." + signature.rstrip(b"=")).decode()

    def ask(self, method: str, path: str, body: object = None) -> int:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token()}"}
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10.0)
        with closing(connection):
            connection.request(method, path, json.dumps(body), headers)
            return connection.getresponse().status


@pytest.mark.slow
def test_tls_and_a_token(tmp_path: Path, topics: str) -> None:
    """Without either of them the relay is refused, and the message names what to check."""
    with GuardedPulsar(tmp_path) as server:
        url, certificate = f"pulsar+ssl://127.0.0.1:{server.tls_port}", str(server.certificate)
        with closing(Publisher(url, topics, server.token(), certificate)) as publisher:
            publisher.connect()
            publisher.send(
                "pipeline", [schemas.pipeline_message(LogEntry(7, 1, 0.0, story("m")[0]))]
            )
            assert publisher.last_sequence("pipeline") == 7
        for token, trusted in (("", certificate), (server.token(), "")):
            with (
                closing(Publisher(url, topics, token, trusted, timeout_s=2)) as publisher,
                pytest.raises(
                    BrokerError, match="check PULSAR_SERVICE_URL, token and certificates"
                ),
            ):
                publisher.connect()
