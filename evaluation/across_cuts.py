"""Identities across cuts: is a person the same player again when the main picture comes back?"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evaluation.scores import Scores, share

ROWS_AT_A_CUT = 25
"""So many of a person's rows on either side of a cut, about a second, tell his name there."""


def score_across_cuts(
    stretch: NDArray[np.int64], person: NDArray[np.str_], answer: NDArray[np.str_]
) -> Scores:
    """Compare each person's name before a cut with his name after it.

    A person is compared from one stretch to the next in which he is found again, whatever lies
    between. His name at either end of a stretch is the answer that most of its 25 rows there give.

    Args:
        stretch: (n,) number of the unbroken measurable stretch of each row, ascending.
        person: (n,) truth's player of each row, in the order of frames.
        answer: (n,) the result's player, "" where it names none.

    Returns:
        `identity_kept_share`: of the persons found before and after, those with the same name;
        `identity_kept_n`; `identity_joins_right_share`: of those whose name after was anybody's
        before, those for whom it was their own; `identity_joins_n`. None where nobody is found
        on both sides of a cut.
    """
    names: dict[str, str] = {}
    seen = same = joined = right = 0
    for group in _groups(stretch):
        first, last = _ends(person[group], answer[group])
        taken = {name for name in names.values() if name}
        for who, name in first.items():
            known = bool(name) and name == names.get(who)
            seen, same = seen + (who in names), same + known
            joined, right = joined + (name in taken), right + known
        names |= last
    return {
        "identity_kept_share": share(same, seen),
        "identity_kept_n": seen,
        "identity_joins_right_share": share(right, joined),
        "identity_joins_n": joined,
    }


def _groups(stretch: NDArray[np.int64]) -> Iterator[slice]:
    """The rows of each stretch."""
    edges = np.flatnonzero(np.diff(stretch)) + 1
    bounds = [0, *edges.tolist(), len(stretch)]
    return (slice(a, b) for a, b in zip(bounds, bounds[1:], strict=False) if b > a)


def _ends(
    person: NDArray[np.str_], answer: NDArray[np.str_]
) -> tuple[dict[str, str], dict[str, str]]:
    """The name of each person of one stretch where it begins and where it ends."""
    names = {str(who): answer[person == who].tolist() for who in np.unique(person)}
    first = {who: _most(given[:ROWS_AT_A_CUT]) for who, given in names.items()}
    return first, {who: _most(given[-ROWS_AT_A_CUT:]) for who, given in names.items()}


def _most(names: list[str]) -> str:
    """The most frequent name, of equally frequent ones the first."""
    return Counter(names).most_common(1)[0][0]
