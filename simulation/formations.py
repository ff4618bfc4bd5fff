"""Formations as places in a team's block."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Slot:
    """A player's place in the team's block, seen by a team that attacks towards +x.

    `depth` runs from 0 (the defensive line) to 1 (the foremost player) out of possession,
    `attack_depth` is the same in possession, and `width` from -1 (right) to 1 (left).
    """

    position: str
    depth: float
    width: float
    attack_depth: float


def _slot(position: str, depth: float, width: float, attack_depth: float | None = None) -> Slot:
    return Slot(position, depth, width, depth if attack_depth is None else attack_depth)


_BACK_FOUR = (
    _slot("LB", 0.05, 0.85, 0.32),
    _slot("LCB", 0.0, 0.28),
    _slot("RCB", 0.0, -0.28),
    _slot("RB", 0.05, -0.85, 0.28),
)

# Outfield slots, ten each, from the back; the goalkeeper has no slot.
FORMATIONS: dict[str, tuple[Slot, ...]] = {
    "4-4-2": (
        *_BACK_FOUR,
        _slot("LM", 0.52, 0.88, 0.66),
        _slot("LCM", 0.44, 0.27),
        _slot("RCM", 0.44, -0.27),
        _slot("RM", 0.52, -0.88, 0.66),
        _slot("LS", 1.0, 0.2),
        _slot("RS", 0.93, -0.22),
    ),
    "4-3-3": (
        *_BACK_FOUR,
        _slot("DM", 0.36, 0.0),
        _slot("LCM", 0.52, 0.4, 0.56),
        _slot("RCM", 0.52, -0.4, 0.56),
        _slot("LW", 0.86, 0.82, 0.95),
        _slot("ST", 1.0, 0.0),
        _slot("RW", 0.86, -0.82, 0.95),
    ),
    "4-2-3-1": (
        *_BACK_FOUR,
        _slot("LDM", 0.38, 0.25),
        _slot("RDM", 0.38, -0.25),
        _slot("LW", 0.7, 0.85, 0.82),
        _slot("AM", 0.7, 0.0),
        _slot("RW", 0.7, -0.85, 0.82),
        _slot("ST", 1.0, 0.0),
    ),
    "3-5-2": (
        _slot("LCB", 0.03, 0.5),
        _slot("CB", 0.0, 0.0),
        _slot("RCB", 0.03, -0.5),
        _slot("LWB", 0.42, 0.97, 0.6),
        _slot("LCM", 0.52, 0.38),
        _slot("DM", 0.38, 0.0),
        _slot("RCM", 0.52, -0.38),
        _slot("RWB", 0.42, -0.97, 0.6),
        _slot("LS", 1.0, 0.22),
        _slot("RS", 0.94, -0.22),
    ),
    "5-4-1": (
        _slot("LWB", 0.08, 0.95, 0.36),
        _slot("LCB", 0.02, 0.46),
        _slot("CB", 0.0, 0.0),
        _slot("RCB", 0.02, -0.46),
        _slot("RWB", 0.08, -0.95, 0.36),
        _slot("LM", 0.58, 0.78, 0.7),
        _slot("LCM", 0.48, 0.25),
        _slot("RCM", 0.48, -0.25),
        _slot("RM", 0.58, -0.78, 0.7),
        _slot("ST", 1.0, 0.0),
    ),
}
