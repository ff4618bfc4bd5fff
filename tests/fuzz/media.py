"""Mutated video files through the decoder's entry: `python -m tests.fuzz.media --count 2000`.

Each file goes the way of a real one: probed, indexed, decoded to its end, in a child with the
probe's limits. A child serves many files, so that one costs milliseconds; one that dies or hangs is
replaced, and the file is kept.
"""

import argparse
import contextlib
import json
import random
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np

SECONDS = 30.0
"""A mutant of a few kilobytes that takes longer hangs."""
GOOD = ("decoded", "refused", "no resources")
SEEDS = {
    "h264.mp4": ("mp4", "libx264", "yuv420p"),
    "mjpeg.mov": ("mov", "mjpeg", "yuvj420p"),
    "h265.mkv": ("matroska", "libx265", "yuv420p"),
    "vp9.webm": ("webm", "libvpx-vp9", "yuv420p"),
    "h264.ts": ("mpegts", "libx264", "yuv420p"),
    "mpeg2.mpg": ("mpeg", "mpeg2video", "yuv420p"),
    "mjpeg.avi": ("avi", "mjpeg", "yuvj420p"),
    "flv1.flv": ("flv", "flv", "yuv420p"),
    "wmv2.wmv": ("asf", "wmv2", "yuv420p"),
    "mpeg2.mxf": ("mxf", "mpeg2video", "yuv420p"),
}
_EDGES: tuple[bytes, ...] = (
    b"\0",
    b"\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
)
_EDGES = (*_EDGES, b"\xff" * 8, b"\0\0\0\1", b"\x01\0\0\0")


def seeds(folder: Path) -> Mapping[str, bytes]:
    """A small sound file of each kind that this FFmpeg can write."""
    made = {}
    for name, (form, codec, pixels) in SEEDS.items():
        path = folder / name
        if codec not in av.codecs_available:
            continue
        with av.open(str(path), "w", format=form) as container:
            stream = container.add_stream(codec, rate=25)
            if codec == "libx265":
                stream.codec_context.options = {"x265-params": "log-level=none"}
            stream.width, stream.height, stream.pix_fmt = 96, 64, pixels
            for number in range(12):
                picture = np.full((64, 96, 3), number * 20, np.uint8)
                picture[number : number + 20, 10:40] = 255 - number
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            container.mux(stream.encode())
        made[name] = path.read_bytes()
    return made


def mutant(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """The file with one to eight changes, half of them near its beginning or its end."""
    made = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        if not made:
            break
        chance.choice(_WAYS)(made, other, _place(len(made), chance), chance)
    return bytes(made)


def _place(length: int, chance: random.Random) -> int:
    near = min(length, 1024)
    return chance.choice(
        (
            chance.randrange(length),
            chance.randrange(length),
            chance.randrange(near),
            length - 1 - chance.randrange(near),
        )
    )


def _flip(made: bytearray, _: bytes, place: int, chance: random.Random) -> None:
    made[place] ^= 1 << chance.randrange(8)


def _edge(made: bytearray, _: bytes, place: int, chance: random.Random) -> None:
    edge = chance.choice(_EDGES)
    made[place : place + len(edge)] = edge


def _noise(made: bytearray, _: bytes, place: int, chance: random.Random) -> None:
    length = chance.randint(1, 64)
    made[place : place + length] = chance.randbytes(length)


def _drop(made: bytearray, _: bytes, place: int, chance: random.Random) -> None:
    del made[place : place + chance.randint(1, 512)]


def _cut(made: bytearray, _: bytes, place: int, chance: random.Random) -> None:
    if chance.random() < 0.3:
        del made[place:]


def _repeat(made: bytearray, _: bytes, place: int, chance: random.Random) -> None:
    piece = made[place : place + chance.randint(1, 512)]
    made[place:place] = piece * chance.randint(1, 20)


def _splice(made: bytearray, other: bytes, place: int, chance: random.Random) -> None:
    start = chance.randrange(len(other))
    made[place:place] = other[start : start + chance.randint(1, 2048)]


_WAYS = (_flip, _flip, _edge, _edge, _noise, _drop, _cut, _repeat, _splice)


class Child:
    """A process that opens one file after another; it is made anew when it is gone."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def outcome(self, path: Path) -> tuple[str, str]:
        """What became of the file, and the words for it."""
        process = self._running()
        assert process.stdin
        assert process.stdout
        with contextlib.suppress(BrokenPipeError):  # it is gone already: nothing will be read
            process.stdin.write(f"{path}\n".encode())
            process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], SECONDS)
        line = process.stdout.readline() if ready else b""
        if line:
            kind, words = json.loads(line)
            return kind, words
        if ready:
            code = process.wait()
            self.close()
            return "crash", f"exit {code}"
        self.close()
        return "hang", f"more than {SECONDS:g} s"

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            command = [sys.executable, "-m", "tests.fuzz.media", "--child"]
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
            )
        return self._process

    def close(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()  # type: ignore[union-attr]
            self._process = None


def serve() -> None:
    """The child: for each path on stdin a line on stdout."""
    from infrastructure.video import probe, probe_process

    def answer(_path: Path, request: str, _time_s: float) -> dict[str, Any]:
        """The probe's own code without a process of its own: this one has the limits already."""
        return probe_process.answer(json.loads(request))

    probe._ask = answer  # type: ignore[assignment]
    probe_process.limit(probe.DEFAULT.memory_bytes, 10**6)
    for line in sys.stdin:
        print(json.dumps(_opened(Path(line.rstrip("\n")))), flush=True)


def _opened(path: Path) -> tuple[str, str]:
    from domain.errors import InputError, ResourceError
    from infrastructure.video.source import open_source

    try:
        opened = open_source(path)
        frames = sum(1 for _ in opened.decode(0, opened.index.frame_count))
    except InputError as error:
        return "refused", str(error)
    except ResourceError as error:
        return "no resources", str(error)
    except BaseException as error:  # whatever it is, it is what is looked for
        return "other error", f"{type(error).__name__}: {error}"
    return "decoded", str(frames)


def mutants(count: int, start: int, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Mutants by name; number N of a name is the same in every run."""
    sound = seeds(folder)
    names = sorted(sound)
    for number in range(start, start + count):
        chance = random.Random(number)  # noqa: S311 - repeatable on purpose
        name = names[number % len(names)]
        yield f"{number}-{name}", mutant(sound[name], sound[chance.choice(names)], chance)


def run(
    count: int, start: int, keep: Path, tell: Callable[[str], None] = print
) -> Mapping[str, Counter[str]]:
    """Counts of outcomes by kind of file; files with a bad one stay in `keep`."""
    counts: dict[str, Counter[str]] = {}
    child = Child()
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name, data in mutants(count, start, Path(folder)):
                path = Path(folder) / f"mutant{Path(name).suffix}"
                path.write_bytes(data)
                kind, words = child.outcome(path)
                counts.setdefault(name.partition("-")[2], Counter())[kind] += 1
                if kind not in GOOD:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / name).write_bytes(data)
                    tell(f"{kind}: {keep / name}: {words}")
    finally:
        child.close()
    return counts


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.fuzz.media", description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--start", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        serve()
        return 0
    began = time.monotonic()
    counts = run(given.count, given.start, given.keep)
    for name, kinds in sorted(counts.items()):
        print(f"{name:12}", ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items())))
    total: Counter[str] = sum(counts.values(), Counter())
    print(f"{'all':12}", ", ".join(f"{kind} {n}" for kind, n in sorted(total.items())))
    print(f"{time.monotonic() - began:.0f} s")
    return 0 if set(total) <= set(GOOD) else 1


if __name__ == "__main__":
    sys.exit(main())
