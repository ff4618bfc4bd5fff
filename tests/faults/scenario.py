"""The list of scenarios: each has a name, a group and what happens to the cluster."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.faults.rig import Rig

Play = Callable[[Rig], None]


@dataclass(frozen=True)
class Scenario:
    """`play` starts the cluster, does the harm and ends with `rig.finish()`.

    `quick` ones run in CI with every change. `pulsar` ones get a Pulsar of their own.
    """

    name: str
    group: str
    play: Play
    quick: bool = False
    pulsar: bool = False
    video: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"{self.group}: {self.name}"


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    name: str,
    group: str,
    *,
    quick: bool = False,
    pulsar: bool = False,
    video: bool = False,
    **environment: str,
) -> Callable[[Play], Play]:
    def add(play: Play) -> Play:
        assert name not in SCENARIOS, name
        SCENARIOS[name] = Scenario(name, group, play, quick, pulsar, video, environment)
        return play

    return add
