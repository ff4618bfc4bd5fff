"""The same, with a real video: what is killed decodes pixels and runs networks."""

from functools import partial

from tests.faults.rig import Rig
from tests.faults.scenario import scenario

GROUP = "video"
POINTS = (("frames seen", 2), ("artifacts written", 2), ("before commit", 2))


def _killed_at(rig: Rig, point: str, count: int) -> None:
    workers = rig.start(crash=(point, count))
    rig.dies_by_itself(workers)
    rig.finish(limit_s=300.0)


for _point, _count in POINTS:
    scenario(f"worker killed in a pass over video: {_point}", GROUP, video=True)(
        partial(_killed_at, point=_point, count=_count)
    )


@scenario("FLUSHALL in a pass over video", GROUP, video=True)
def _flushed(rig: Rig) -> None:
    rig.start()
    rig.held("player_detection/2")
    rig.affects_all()
    rig.cluster.redis.flushall()
    rig.ends()
    rig.finish(limit_s=300.0)
