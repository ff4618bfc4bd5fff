"""How late watchers hear of what happens."""

_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 3, 10)


class ProgressMetrics:
    """The numbers of a process with watchers; make them by `here`."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Histogram

        self.registry = CollectorRegistry()
        self.latency = Histogram(
            "footanalytics_progress_latency_seconds",
            "from a change in the state to its message, by the clocks of both",
            buckets=_BUCKETS,
            registry=self.registry,
        )

    @classmethod
    def here(cls) -> "ProgressMetrics":
        """Those of this process."""
        if not _here:
            _here.append(cls())
        return _here[0]

    def told_after(self, seconds: float) -> None:
        """Watchers were told of a change that was made so long ago."""
        self.latency.observe(max(seconds, 0.0))


_here: list[ProgressMetrics] = []
