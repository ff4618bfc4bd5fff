"""A port at which Prometheus finds the numbers of a process that is no web server itself."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from infrastructure.settings import Settings
from infrastructure.telemetry.gpus import gpus

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

_log = logging.getLogger(__name__)


def worker_registry(folder: Path) -> "CollectorRegistry":
    """The numbers of all processes that share `folder`, and the machine's devices."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    registry.register(GpuCollector())
    return registry


def serve(registry: "CollectorRegistry", settings: Settings) -> Callable[[], None]:
    """Serve `registry`, where a port for that is set, until what is returned is called.

    A port that is taken is no reason not to work: it is said, and nothing is served.
    """
    host, port = settings.ml_pipeline_metrics_host, settings.ml_pipeline_metrics_port
    if not port:
        return lambda: None
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        _log.warning(
            "no metrics of this process: %s:%d cannot be listened on (%s)",
            host,
            port,
            error.strerror,
        )
        return lambda: None

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return close


class GpuCollector:
    """The devices as they are when they are asked for."""

    def collect(self) -> "Iterable[Metric]":
        from prometheus_client.core import GaugeMetricFamily

        found = list(gpus())
        for name, text, values in (
            ("memory_used_bytes", "memory in use", [each.memory_used for each in found]),
            ("memory_bytes", "memory", [each.memory_total for each in found]),
            ("busy_ratio", "share of time in which it computed", [each.busy for each in found]),
        ):
            family = GaugeMetricFamily(f"footanalytics_gpu_{name}", f"GPU: {text}", labels=["gpu"])
            for gpu, value in zip(found, values, strict=True):
                family.add_metric([str(gpu.number)], value)
            if found:
                yield family
