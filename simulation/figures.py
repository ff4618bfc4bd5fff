"""People as jointed figures: where each limb is at a moment, in metres.

Proportions follow Drillis and Contini's segment lengths (share of body height): thigh 0.245,
shin 0.246, upper arm 0.186, forearm and hand 0.25, shoulders 0.82 of the height up.
"""

from dataclasses import dataclass

import numpy as np

from simulation.arrays import Floats, Ints
from simulation.contacts import GESTURE_ARMS_UP, GESTURE_DIVE, GESTURE_HOLD

(
    PELVIS, CHEST, HEAD, CROWN, L_SHOULDER, R_SHOULDER, L_ELBOW, R_ELBOW, L_HAND, R_HAND,
    L_HIP, R_HIP, L_KNEE, R_KNEE, L_ANKLE, R_ANKLE, L_TOE, R_TOE,
) = range(18)  # fmt: skip
JOINTS = 18

REFERENCE_HEIGHT_M = 1.80
THIGH_M, SHIN_M, FOOT_M, ANKLE_M = 0.44, 0.43, 0.17, 0.075
UPPER_ARM_M, FOREARM_M = 0.30, 0.34
TRUNK_M, NECK_M = 0.50, 0.19
HALF_SHOULDERS_M, HALF_HIPS_M = 0.185, 0.095


@dataclass(frozen=True)
class Part:
    """A limb drawn as a rod between two joints, from share `start` to share `end` of the way."""

    first: int
    second: int
    radius_m: float
    material: str
    start: float = 0.0
    end: float = 1.0
    bias_m: float = 0.0  # drawn as if this much nearer to the camera


PARTS = (
    # bare only below the shorts: a thigh that swings forward is nearer than they are
    Part(L_HIP, L_KNEE, 0.073, "thigh", 0.5),
    Part(R_HIP, R_KNEE, 0.073, "thigh", 0.5),
    Part(L_KNEE, L_ANKLE, 0.056, "socks"),
    Part(R_KNEE, R_ANKLE, 0.056, "socks"),
    Part(L_ANKLE, L_TOE, 0.046, "boots"),
    Part(R_ANKLE, R_TOE, 0.046, "boots"),
    Part(L_HIP, L_KNEE, 0.092, "shorts", 0.0, 0.62, 0.01),
    Part(R_HIP, R_KNEE, 0.092, "shorts", 0.0, 0.62, 0.01),
    Part(L_HIP, R_HIP, 0.11, "shorts", bias_m=0.02),
    Part(L_ELBOW, L_HAND, 0.040, "forearm"),
    Part(R_ELBOW, R_HAND, 0.040, "forearm"),
    Part(L_ELBOW, L_HAND, 0.046, "hands", 0.82, 1.0, 0.01),
    Part(R_ELBOW, R_HAND, 0.046, "hands", 0.82, 1.0, 0.01),
    Part(L_SHOULDER, L_ELBOW, 0.052, "forearm", 0.6),
    Part(R_SHOULDER, R_ELBOW, 0.052, "forearm", 0.6),
    Part(L_SHOULDER, L_ELBOW, 0.068, "sleeve", 0.0, 0.7, 0.01),
    Part(R_SHOULDER, R_ELBOW, 0.068, "sleeve", 0.0, 0.7, 0.01),
    Part(PELVIS, CHEST, 0.135, "shirt", 0.0, 0.9),
    Part(L_HIP, L_SHOULDER, 0.088, "shirt", 0.1, 0.97),
    Part(R_HIP, R_SHOULDER, 0.088, "shirt", 0.1, 0.97),
    Part(L_SHOULDER, R_SHOULDER, 0.075, "shirt"),
    Part(CHEST, HEAD, 0.058, "skin", 0.0, 0.8),
    Part(HEAD, CROWN, 0.092, "skin", -0.2, 0.2, 0.05),
    Part(HEAD, CROWN, 0.095, "hair", 0.45, 0.75, 0.04),
)
FIRST = np.array([part.first for part in PARTS])
SECOND = np.array([part.second for part in PARTS])
START = np.array([part.start for part in PARTS])
END = np.array([part.end for part in PARTS])
RADIUS_M = np.array([part.radius_m for part in PARTS])
BIAS_M = np.array([part.bias_m for part in PARTS])
HEAD_PARTS = np.array([HEAD in (part.first, part.second) for part in PARTS])
HAIR_PARTS = np.array([part.material == "hair" for part in PARTS])


def radii_m(girth: Floats, hair_volume: Floats) -> Floats:
    """Radii (n, parts) of people of a girth (n) and a volume of hair (n), both 1 on average."""
    body = np.where(HEAD_PARTS[None], 1.0, girth[:, None])
    hair = np.where(HAIR_PARTS[None], hair_volume[:, None], 1.0)
    return np.asarray(RADIUS_M * body * hair)


@dataclass(frozen=True)
class Pose:
    """What decides a figure's joints; arrays (n) over people, `position` (n, 2)."""

    position: Floats
    heading: Floats
    speed_mps: Floats
    gait: Floats
    kick: Floats
    lean: Floats
    gesture: Ints
    height_m: Floats


def joints(pose: Pose) -> Floats:
    """Joints (n, 18, 3) in pitch metres; the lowest foot stands on the ground."""
    local = np.zeros((len(pose.heading), JOINTS, 3))
    _legs(local, pose)
    _trunk(local, pose)
    _arms(local, pose)
    local *= (pose.height_m / REFERENCE_HEIGHT_M)[:, None, None]
    _lean_over(local, pose.lean)
    return _into_pitch(local, pose)


def _swing(speed_mps: Floats) -> Floats:
    """Largest angle in radians of the thigh: 0.35 walking, near 0.9 sprinting."""
    return np.asarray(0.95 * (1.0 - np.exp(-speed_mps / 2.6)))


def _legs(local: Floats, pose: Pose) -> None:
    """Legs in a frame of forward, left, up; they decide how high the pelvis is."""
    swing = _swing(pose.speed_mps)
    running = np.clip(pose.speed_mps / 6.0, 0.0, 1.2)
    drop, ends = np.zeros(len(swing)), []
    for side, shift in ((1, 0.0), (-1, np.pi)):
        phase = pose.gait + shift
        thigh = swing * np.sin(phase) + 0.22 * running
        bend = 0.10 + (0.35 * swing + 1.35 * running) * np.maximum(np.cos(phase - 0.2), 0.0)
        if side == -1:
            thigh = thigh + pose.kick
            bend = np.where(pose.kick < 0, bend - pose.kick, bend * np.maximum(1 - pose.kick, 0))
        ends.append((side, thigh, thigh - bend))
        drop = np.maximum(drop, THIGH_M * np.cos(thigh) + SHIN_M * np.cos(thigh - bend))
    pelvis = drop + ANKLE_M
    local[:, PELVIS, 2] = pelvis
    for side, thigh, shin in ends:
        _leg(local, side, thigh, shin, pelvis)


def _leg(local: Floats, side: int, thigh: Floats, shin: Floats, pelvis: Floats) -> None:
    hip, knee, ankle, toe = (
        (L_HIP, L_KNEE, L_ANKLE, L_TOE) if side == 1 else (R_HIP, R_KNEE, R_ANKLE, R_TOE)
    )
    local[:, hip, 1], local[:, hip, 2] = side * HALF_HIPS_M, pelvis
    local[:, knee] = local[:, hip] + THIGH_M * _sagittal(thigh)
    local[:, knee, 1] += side * 0.03
    local[:, ankle] = local[:, knee] + SHIN_M * _sagittal(shin)
    local[:, ankle, 1] += side * 0.01
    pitch = np.clip(np.pi / 2 + 0.75 * np.minimum(shin, 0.0), 0.3, np.pi / 2)
    local[:, toe] = local[:, ankle] + FOOT_M * _sagittal(pitch)
    local[:, toe, 2] = np.maximum(local[:, toe, 2] - 0.02, 0.045)


def _sagittal(angle: Floats) -> Floats:
    """Unit vectors (n, 3) that hang down and swing forward by `angle` radians."""
    return np.stack([np.sin(angle), np.zeros_like(angle), -np.cos(angle)], axis=1)


def _trunk(local: Floats, pose: Pose) -> None:
    bow = np.minimum(0.06 + 0.035 * pose.speed_mps, 0.32)
    up = -_sagittal(-bow) * np.array([1.0, 1.0, 1.0])
    up[:, 0] = np.sin(bow)
    local[:, CHEST] = local[:, PELVIS] + TRUNK_M * up
    local[:, HEAD] = local[:, CHEST] + NECK_M * (0.5 * up + [0.0, 0.0, 0.5]) + [0.02, 0.0, 0.0]
    local[:, CROWN] = local[:, HEAD] + [-0.03, 0.0, 0.12]
    twist = 0.25 * _swing(pose.speed_mps) * np.sin(pose.gait)
    for side, joint in ((1, L_SHOULDER), (-1, R_SHOULDER)):
        local[:, joint] = local[:, CHEST] - 0.03 * up
        local[:, joint, 1] += side * HALF_SHOULDERS_M
        local[:, joint, 0] -= side * twist * HALF_SHOULDERS_M


def _arms(local: Floats, pose: Pose) -> None:
    swing = 0.9 * _swing(pose.speed_mps) * np.sin(pose.gait)
    bend = 0.25 + 1.25 * np.clip(pose.speed_mps / 5.0, 0.0, 1.0)
    for side, shoulder, elbow, hand in (
        (1, L_SHOULDER, L_ELBOW, L_HAND),
        (-1, R_SHOULDER, R_ELBOW, R_HAND),
    ):
        upper, lower = _arm_angles(pose.gesture, -side * swing - 0.15, bend)
        local[:, elbow] = local[:, shoulder] + UPPER_ARM_M * _sagittal(upper)
        local[:, elbow, 1] += side * 0.06
        local[:, hand] = local[:, elbow] + FOREARM_M * _sagittal(lower)
        holds = np.isin(pose.gesture, (GESTURE_HOLD,))
        local[:, hand, 1] += np.where(holds, -0.16, 0.02) * side


def _arm_angles(gesture: Ints, upper: Floats, bend: Floats) -> tuple[Floats, Floats]:
    """Angles of upper arm and forearm: swinging, raised overhead, or holding the ball."""
    raised = np.isin(gesture, (GESTURE_ARMS_UP, GESTURE_DIVE))
    upper = np.where(raised, 2.75, np.where(gesture == GESTURE_HOLD, 0.35, upper))
    lower = np.where(raised, 2.95, np.where(gesture == GESTURE_HOLD, 1.5, upper + bend))
    return upper, lower


def _lean_over(local: Floats, lean: Floats) -> None:
    """Tip figures sideways around their feet, to the right for positive angles."""
    if not np.any(lean):
        return
    cos, sin = np.cos(lean)[:, None], np.sin(lean)[:, None]
    left, up = local[..., 1].copy(), local[..., 2].copy()
    local[..., 1], local[..., 2] = cos * left - sin * up, sin * left + cos * up
    local[..., 2] -= np.minimum(local[..., 2].min(axis=1, keepdims=True) - 0.045, 0.0)


def _into_pitch(local: Floats, pose: Pose) -> Floats:
    cos, sin = np.cos(pose.heading)[:, None], np.sin(pose.heading)[:, None]
    x = cos * local[..., 0] - sin * local[..., 1] + pose.position[:, :1]
    y = sin * local[..., 0] + cos * local[..., 1] + pose.position[:, 1:]
    return np.stack([x, y, local[..., 2]], axis=-1)
