"""A small sample of what `make fuzz` does in numbers; docs/security.md has its figures."""

import random
from pathlib import Path

from tests.fuzz import api, media


def test_mutated_videos_are_decoded_or_refused(tmp_path: Path) -> None:
    """No crash, no hang, no error but the one that says what is wrong with the file."""
    said: list[str] = []
    counts = media.run(120, 1_000_000, tmp_path / "kept", said.append)
    assert not said
    assert sum(sum(kinds.values()) for kinds in counts.values()) == 120
    total = {kind for kinds in counts.values() for kind in kinds}
    assert total >= {"decoded", "refused"}, "the mutants are all alike"


def test_a_child_that_dies_is_seen_and_replaced(tmp_path: Path) -> None:
    """Else a run without crashes would mean nothing: a path that ends it stands for a crash."""
    name, data = next(iter(media.seeds(tmp_path).items()))
    sound = tmp_path / name
    sound.write_bytes(data)
    child = media.Child()
    try:
        assert child.outcome(sound)[0] == "decoded"
        child._running().kill()
        child._running().wait()
        assert child.outcome(sound)[0] == "crash"
        assert child.outcome(sound)[0] == "decoded"
    finally:
        child.close()


def test_a_number_is_the_same_mutant_again() -> None:
    """What was found can be made again."""
    data = bytes(range(256)) * 8
    first, second = (media.mutant(data, data, random.Random(7)) for _ in range(2))  # noqa: S311
    assert first == second != data


def test_no_generated_request_breaks_the_service() -> None:
    for outcome in api.run(4, "examples,fuzzing"):
        assert outcome.good, outcome.text[-3000:]
        assert outcome.requests > 50
