"""The Pulsar of the fault scenarios: one server behind a proxy, a namespace for each scenario."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.servers import NoServerError, PulsarServer
from tests.faults import cannot_have
from tests.faults.proxy import Proxy


@dataclass
class ProxiedPulsar:
    server: PulsarServer
    proxy: Proxy
    count: int = 0

    def namespace(self) -> str:
        """A new one, that keeps what nobody subscribed to."""
        self.count += 1
        name = f"public/faults{self.count}"
        path = f"/admin/v2/namespaces/{name}"
        assert self.server.ask("PUT", path, {}) == 204
        retention = {"retentionTimeInMinutes": 600, "retentionSizeInMB": -1}
        assert self.server.ask("POST", f"{path}/retention", retention) == 204
        return name


@contextmanager
def proxied_pulsar(folder: Path) -> Iterator[ProxiedPulsar]:
    server = PulsarServer(folder)
    with Proxy(("127.0.0.1", server.port)) as proxy:
        server.advertised_port = proxy.port
        try:
            server.start()
        except NoServerError as error:
            cannot_have("Pulsar", error)
        try:
            yield ProxiedPulsar(server, proxy)
        finally:
            server.stop()
