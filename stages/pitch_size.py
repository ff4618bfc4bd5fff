"""The size that the pitch seems to have, by what the camera saw all match long."""

from dataclasses import asdict, dataclass

from application.stage import WholeMatch
from domain.pitch import Pitch

# a size counts as another one where it is so far off, and so many standard deviations
DIFFERS_M, DIFFERS_SIGMAS = 1.0, 3.0


@dataclass(frozen=True)
class PitchSize:
    """Length and width in metres with their standard deviations, None where the view tells none.

    `looks` frames were used.
    """

    length_m: float | None
    length_sigma_m: float | None
    width_m: float | None
    width_sigma_m: float | None
    looks: int

    @classmethod
    def read(cls, match: WholeMatch) -> "PitchSize | None":
        """What the table `pitch_size` says; None where the plan makes none, or nothing was told."""
        rows = match.table("pitch_size").to_pylist() if match.has("pitch_size") else []
        return cls(**rows[0]) if rows else None

    def rounded(self) -> dict[str, float | int | None]:
        """Its numbers to the decimetre, for people to read."""
        named = asdict(self)
        return {name: None if told is None else round(told, 1) for name, told in named.items()}

    def finding(self, used: Pitch) -> str | None:
        """What to tell somebody who had the match analysed on a pitch of another size, or None."""
        sides = (
            ("long", self.length_m, self.length_sigma_m, used.length_m, "match.pitch_length_m"),
            ("wide", self.width_m, self.width_sigma_m, used.width_m, "match.pitch_width_m"),
        )
        parts = [
            f"{seen:.1f} m {word} (give or take {2 * sigma:.1f}), not {taken:g}: {option}"
            for word, seen, sigma, taken, option in sides
            if seen is not None and sigma is not None and _differ(seen, sigma, taken)
        ]
        if not parts:
            return None
        return f"The pitch looks {'; '.join(parts)} can say so, and places change with it."


def _differ(seen: float, sigma: float, used: float) -> bool:
    return abs(seen - used) > max(DIFFERS_M, DIFFERS_SIGMAS * sigma)
