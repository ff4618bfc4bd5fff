"""Attacks: by files that somebody made to do harm, and by requests. docs/security.md lists them.

Files meet the code where `footanalytics analyze` and a worker first touch them: `open_source`.
"""

import gzip
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import main as api_main
from api.routes import uploads as uploads_module
from api.security.guard import Rules
from domain.errors import InputError
from infrastructure.settings import allowed_path
from infrastructure.video.images import read_image
from infrastructure.video.probe import ProbeLimits, probe
from infrastructure.video.source import open_source
from tests import hostile_files as files
from tests import video_files
from tests.secured import Secured, listening, secured

PATIENT = ProbeLimits(time_s=20)
PROBLEM = "application/problem+json"


@pytest.fixture
def canary_file(tmp_path: Path) -> Path:
    """A pipe that nobody writes to: whoever opens it hangs, and is caught by that."""
    path = tmp_path / "canary.ts"
    os.mkfifo(path)
    return path


@pytest.fixture
def canary_server() -> Iterator[tuple[str, list[Any]]]:
    """An address, and the connections that were made to it."""
    made: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            try:
                while True:
                    connection, address = server.accept()
                    made.append(address)
                    connection.close()
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/a.ts", made
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def small_mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return video_files.small(tmp_path_factory.mktemp("video") / "video.mp4")


def refusal_of(use: Callable[[], object]) -> str:
    """Empty where it was no refusal; any other error is a failure."""
    try:
        use()
    except InputError as error:
        return str(error)
    return ""


# Files that name others


@pytest.mark.parametrize("suffix", [".avi", ".m3u8"])
@pytest.mark.parametrize("kind", files.TEXTS)
def test_a_file_that_names_others_opens_nothing(
    kind: str,
    suffix: str,
    tmp_path: Path,
    canary_file: Path,
    canary_server: tuple[str, list[Any]],
) -> None:
    """By name, as file: and as http:, whatever the suffix promises."""
    address, connections = canary_server
    for target in (canary_file.name, f"file://{canary_file}", address, f"concat:{canary_file}|a"):
        path = files.write(tmp_path / f"match{suffix}", files.TEXTS[kind](target))
        with pytest.raises(InputError, match=r"is a playlist|is not a video that can be read"):
            probe(path, PATIENT)
    assert not connections


def test_a_playlist_hidden_in_the_subtitles_of_an_avi_opens_nothing(
    tmp_path: Path, canary_file: Path, canary_server: tuple[str, list[Any]]
) -> None:
    """FFmpeg opens subtitles in an AVI as files of their own; the pictures are fine."""
    address, connections = canary_server
    for target in (f"file://{canary_file}", address):
        for text in (files.playlist(target), files.ffconcat(target), files.dash(target)):
            data = files.avi([files.picture()] * 5, (64, 48), subtitle=text)
            source = open_source(files.write(tmp_path / "match.avi", data))
            assert len(list(source.decode(0, 5))) == 5
    assert not connections


def test_an_mp4_whose_data_is_said_to_be_elsewhere_opens_nothing(
    tmp_path: Path, canary_file: Path, small_mp4: Path
) -> None:
    data = files.other_data(small_mp4.read_bytes(), str(canary_file))
    assert str(canary_file).encode() in data
    said = refusal_of(lambda: probe(files.write(tmp_path / "match.mp4", data), PATIENT))
    assert "could not be understood within" not in said  # it would wait for the pipe


@pytest.mark.parametrize("name", ["concat:a.mp4|b.mp4", "http:a.mp4", "match: 2.mp4", "-i.mp4"])
def test_a_name_that_looks_like_a_protocol_is_a_name(
    name: str, tmp_path: Path, small_mp4: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(small_mp4.read_bytes())
    assert probe(Path(name)).codec == "h264"


# Files that are too much


def peak_memory_mb(statement: str, path: Path) -> tuple[str, float]:
    """What the statement prints in a process of its own, and how much that took at most."""
    code = (
        "import re, sys; from pathlib import Path; path = Path(sys.argv[1])\n"
        "from domain.errors import InputError\n"
        "from infrastructure.video.source import open_source\n"
        f"try:\n {statement}\n"
        "except InputError as error: print(error)\n"
        "status = Path('/proc/self/status').read_text()\n"  # ru_maxrss begins at the parent's
        "print(int(re.search(r'VmHWM:\\s*(\\d+)', status)[1]) / 1024)"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said, _, peak = done.stdout.strip().rpartition("\n")
    return said, float(peak)


def test_an_image_that_unpacks_to_a_gigabyte_is_not_unpacked(tmp_path: Path) -> None:
    """110 KB of PNG are 30000x30000 pixels: 2.7 GB for OpenCV, and as much again."""
    folder = tmp_path / "images"
    folder.mkdir()
    bomb = files.write(folder / "1.png", files.png(files.HUGE, files.HUGE))
    assert bomb.stat().st_size < 200_000
    said, peak_mb = peak_memory_mb("open_source(path)", folder)
    assert "cannot be read as an image" in said
    assert peak_mb < 500


def test_an_image_of_another_kind_under_an_image_suffix_is_not_decoded(tmp_path: Path) -> None:
    """OpenCV would try each of its decoders, TIFF's and JPEG 2000's among them."""
    import cv2
    import numpy as np

    tiff = cv2.imencode(".tiff", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    assert read_image(files.write(tmp_path / "1.png", tiff)) is None
    assert read_image(files.write(tmp_path / "2.png", files.png(64, 48))) is not None


def test_frames_of_30000_pixels_are_refused(tmp_path: Path) -> None:
    """Where the container says so, and where only the first picture does."""
    big = files.claiming(files.picture(), files.HUGE, files.HUGE)
    path = files.write(tmp_path / "match.avi", files.avi([big] * 3, (files.HUGE, files.HUGE)))
    with pytest.raises(InputError, match=r"above the limit|no picture of its beginning"):
        open_source(path)


def test_a_huge_frame_after_small_ones_is_not_decoded(tmp_path: Path) -> None:
    """The probe sees the first picture only: a later one has the limit too."""
    big = files.picture(9000, 9000)
    data = files.avi([files.picture()] * 3 + [big, files.picture()], (64, 48))
    said, peak_mb = peak_memory_mb(
        "print([f.image is not None for f in open_source(path).decode(0, 5)])",
        files.write(tmp_path / "match.avi", data),
    )
    assert said == "[True, True, True, False, True]"
    assert peak_mb < 300


@pytest.mark.parametrize("streams", [65, 5000])
def test_thousands_of_streams_are_refused(streams: int, tmp_path: Path) -> None:
    data = files.avi([files.picture()], (64, 48), streams=streams)
    with pytest.raises(InputError, match=r"streams, more than|more memory"):
        open_source(files.write(tmp_path / "match.avi", data))


@pytest.mark.parametrize("endless", ["/dev/zero", "/dev/urandom", "/dev/full", "/dev/stdin"])
def test_what_never_ends_is_not_begun(endless: str, tmp_path: Path) -> None:
    link = tmp_path / "match.mp4"
    link.symlink_to(endless)
    with pytest.raises(InputError, match=r"not a regular file|no such file|is empty|not a video"):
        open_source(link)


def test_a_pipe_is_not_waited_for(canary_file: Path) -> None:
    with pytest.raises(InputError, match="not a regular file"):
        open_source(canary_file)


def test_a_terabyte_of_nothing_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "match.ts"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match=r"not a video|could not be understood"):
        open_source(path)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts"])
def test_a_file_that_breaks_off_is_read_or_refused(
    suffix: str, share: float, tmp_path: Path, small_mp4: Path
) -> None:
    whole = video_files.remuxed(tmp_path / f"whole{suffix}", [small_mp4])
    data = whole.read_bytes()
    path = files.write(tmp_path / f"cut{suffix}", data[: int(len(data) * share)])
    assert "\n" not in refusal_of(lambda: decode_all(path))


def decode_all(path: Path) -> None:
    source = open_source(path)
    count = source.index.frame_count
    assert len(list(source.decode(0, count))) == count


# Paths


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured("sqlite", "", tmp_path_factory.mktemp("hostile")) as made:
        outside = made.videos.parent / "outside"
        outside.mkdir()
        (outside / "secret.mp4").write_bytes(b"secret")
        (made.videos / "link.mp4").symlink_to(outside / "secret.mp4")
        (made.videos / "folder").symlink_to(outside)
        (made.videos / "loop.mp4").symlink_to(made.videos / "loop.mp4")
        os.mkfifo(made.videos / "pipe.mp4")
        yield made


TRICKS = [
    "../outside/secret.mp4",
    "x/../../outside/secret.mp4",
    "link.mp4",
    "folder/secret.mp4",
    "folder",
    "loop.mp4",
    "pipe.mp4",
    "/etc/passwd",
    "/proc/self/fd/0",
    "/proc/self/environ",
    "/proc/self/root/etc/passwd",
    "/dev/zero",
    "file:///etc/passwd",
    "http://127.0.0.1:1/a.mp4",
    "s3://bucket/a.mp4",
    "concat:/etc/passwd|/etc/passwd",
    "match.mp4\0.txt",
    "match.mp4/../../outside/secret.mp4",
    "..\\outside\\secret.mp4",
    "%2e%2e/outside/secret.mp4",
    "\uff0e\uff0e/outside/secret.mp4",  # full-width dots, which some normalise to dots
    "\u202egnp.4pm",
    "match\u200b.mp4",
    "\ud800.mp4",
    "~/match.mp4",
    "$HOME/match.mp4",
    "upload://../../outside/secret.mp4",
    "upload://" + "0" * 32 + "/..",
    "a" * 300 + ".mp4",
    "a/" * 2000,
    " ",
]


@pytest.mark.parametrize("path", TRICKS, ids=lambda path: ascii(path)[:40])
def test_a_path_out_of_the_allowed_folders_is_refused(service: Secured, path: str) -> None:
    body = json.dumps({"video_path": path}).encode()
    answer = httpx.post(
        service.url + "/api/v1/process-video",
        content=body,
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM), answer.text
    shown = answer.json()["detail"]
    assert "secret" not in shown or "secret" in path  # it tells no more than was said
    assert shown.isprintable()


def test_nothing_tells_whether_a_file_outside_is_there(service: Secured) -> None:
    there, nowhere = (
        httpx.post(service.url + "/api/v1/process-video", json={"video_path": f"../outside/{name}"})
        .json()["detail"]
        .replace(name, "NAME")
        for name in ("secret.mp4", "nothing.mp4")
    )
    assert there == nowhere


def test_a_link_that_is_swapped_after_the_check_is_not_followed_then(tmp_path: Path) -> None:
    """The real path is kept, not the link. (Who may write in the folder can still swap the file
    itself: docs/security.md.)"""
    root, outside = tmp_path / "root", tmp_path / "outside.mp4"
    root.mkdir()
    (root / "a.mp4").write_bytes(b"a")
    outside.write_bytes(b"b")
    (root / "link.mp4").symlink_to(root / "a.mp4")
    found = allowed_path("link.mp4", [root])
    (root / "link.mp4").unlink()
    (root / "link.mp4").symlink_to(outside)
    assert found.read_bytes() == b"a"


# Networks


@pytest.mark.parametrize(
    "name",
    ["../evil.pt", "/tmp/evil.pt", "evil.pt", "link.pt", "a/b.pt", "..", ".", "x\0.pt", "~"],  # noqa: S108
)
def test_a_network_that_is_not_the_operators_is_refused(name: str, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (tmp_path / "evil.pt").write_bytes(b"x")
    (models / "link.pt").symlink_to(tmp_path / "evil.pt")
    with secured("sqlite", "", tmp_path, Rules(models=models)) as service:
        options: dict[str, Any] = {"stage_configs": {"player_detection": {"model_name": name}}}
        answer = service.submit(service.key("club"), 422, **options)
    assert "model_name" in answer["detail"]


def test_a_network_of_the_operators_folder_goes_to_the_worker_by_its_path(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "own.onnx").write_bytes(b"x")
    with secured("sqlite", "", tmp_path, Rules(models=models)) as service:
        for name, used in (
            ("own.onnx", str(models / "own.onnx")),
            ("detector.onnx", "detector.onnx"),
            ("detector", "detector.onnx"),
        ):
            options: dict[str, Any] = {"stage_configs": {"player_detection": {"model_name": name}}}
            made = service.submit(service.key("club"), **options)["pipeline_id"]
            record = service.parts.state.pipeline(made)
            assert record
            given = json.loads(record.configuration)["stage_configs"]["player_detection"]
            assert given["model_name"] == used


# Requests


def post(service: Secured, body: bytes, **headers: str) -> httpx.Response:
    kind = {"Content-Type": "application/json"}
    return httpx.post(
        service.url + "/api/v1/process-video", content=body, headers=kind | headers, timeout=30
    )


BODIES = {
    "empty": b"",
    "nul": b"\0" * 100,
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "deep where any is taken": b'{"video_path":"match.mp4","stage_configs":{"x":'
    + b'{"a":' * 900
    + b"1"
    + b"}" * 902,
    "not UTF-8": b'{"video_path": "\xff\xfe"}',
    "half a surrogate": b'{"video_path": "\\ud800"}',
    "many digits": b'{"video_path": "match.mp4", "batch_size": ' + b"9" * 100_000 + b"}",
    "large exponent": b'{"video_path": "match.mp4", "segment_s": 1e99999}',
    "not a number": b'{"video_path": "match.mp4", "segment_s": NaN}',
    "infinity": b'{"video_path": "match.mp4", "segment_s": -Infinity}',
    "many keys": json.dumps({str(n): n for n in range(50_000)}).encode(),
    "many paths": json.dumps({"video_path": ["match.mp4"] * 10_000}).encode(),
    "a list for a text": b'{"video_path": {"a": [1]}}',
    "polluted": b'{"video_path": "match.mp4", "__class__": {"__init__": 1}}',
    "compressed": gzip.compress(b'{"video_path": "match.mp4"}'),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_hostile_body_is_a_problem_of_its_sender(service: Secured, kind: str) -> None:
    answer = post(service, BODIES[kind])
    assert answer.status_code in {400, 413, 422}, answer.text[:200]
    assert answer.headers["content-type"] == PROBLEM
    assert len(answer.content) < 100_000


def test_of_a_repeated_name_the_last_value_counts(service: Secured) -> None:
    """In the check and in what is run: there is one reader."""
    body = b'{"video_path": "match.mp4", "video_path": "../outside/secret.mp4"}'
    assert post(service, body).status_code == 422
    made = post(service, b'{"video_path": "../outside/secret.mp4", "video_path": "match.mp4"}')
    record = service.parts.state.pipeline(made.json()["pipeline_id"])
    assert record
    assert "secret" not in record.configuration


def test_a_body_that_is_too_long_is_refused_before_it_is_read(service: Secured) -> None:
    answer = post(service, b"x" * (2 << 20))
    assert answer.status_code == 413

    def pieces() -> Iterator[bytes]:
        for _ in range(64):
            yield b" " * (1 << 16)

    chunked = httpx.post(service.url + "/api/v1/process-video", content=pieces())
    assert chunked.status_code == 413


def raw(service: Secured, data: bytes) -> bytes:
    """What is answered to these bytes, up to the end of the connection."""
    address = ("127.0.0.1", int(service.url.rpartition(":")[2]))
    answer = b""
    with socket.create_connection(address, timeout=30) as connection:
        try:
            connection.sendall(data)
            while piece := connection.recv(1 << 16):
                answer += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
    return answer


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 50_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /api/v1/process-video HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/process-video HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /version HTTP/1.1\r\n\r\n",
        b"POST /api/v1/process-video HTTP/1.1\r\nHost: localhost\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",  # TLS to a port that speaks none
        b"\0" * 1000 + b"\r\n\r\n",
    ],
    ids=["header", "line", "headers", "hosts", "length", "smuggled", "chunk", "tls", "zeros"],
)
def test_a_malformed_request_is_refused_and_the_service_lives(
    service: Secured, data: bytes
) -> None:
    answer = raw(service, data + b"\r\n\r\n")
    assert answer.count(b"HTTP/1.1") <= 1, "a second request was read out of the first"
    assert b" 500 " not in answer
    assert b" 200 " not in answer
    assert httpx.get(service.url + "/health/live").status_code == 200


def test_a_body_that_comes_by_drops_is_not_waited_for(
    service: Secured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """30 s in service; here a quarter second. One that stops, and one that goes on for ever."""
    monkeypatch.setattr(api_main, "BODY_PATIENCE_S", 0.25)
    with listening(service.parts) as url:
        quick = replace(service, url=url)
        head = b"POST /api/v1/process-video HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
        assert b" 408 " in raw(quick, head + b'Content-Type: application/json\r\n\r\n{"a')
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        with socket.create_connection(address, timeout=30) as drops:
            drops.sendall(head + b"\r\n")
            sent = 0
            while sent < 900:
                try:
                    drops.sendall(b" ")
                except OSError:
                    break
                sent += 1
                drops.settimeout(0.02)
                try:
                    if b" 408 " in drops.recv(1000):
                        break
                except TimeoutError:
                    continue
            assert sent < 900


FORM = {"Content-Type": "multipart/form-data; boundary=b"}


def form(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def part(name: bytes = b"a.mp4", data: bytes = b"x") -> bytes:
    head = b'Content-Disposition: form-data; name="file"; filename="' + name + b'"\r\n\r\n'
    return head + data


@pytest.mark.parametrize(
    "name",
    [
        b"../../../../tmp/evil.mp4",
        b"..",
        b".",
        b".part",
        b"/etc/passwd",
        b"C:\\evil.mp4",
        b"a\0b.mp4",
        b"$(id).mp4",
        b"-rf",
        b"\xff\xfe.mp4",
        "\u202e4pm.exe".encode(),
        b"a" * 3000,
        b"",
    ],
    ids=repr,
)
def test_the_name_of_an_upload_never_leads_out_of_its_folder(service: Secured, name: bytes) -> None:
    body = form(part(name))
    answer = httpx.post(service.url + "/api/v1/upload", content=body, headers=FORM)
    assert answer.status_code in {201, 400, 422}, answer.text
    assert service.parts.uploads
    root = service.parts.uploads
    for kept in root.rglob("*"):
        assert len(kept.relative_to(root).parts) <= 2
        assert not kept.is_symlink()
    if answer.status_code == 201:
        path = answer.json()["video_path"]
        assert set(path.rpartition("/")[2]) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
        )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        b"--b\r\n\r\n",
        b"--c\r\n" + part() + b"\r\n--c--",
        form(part(), part()),
        form(*[b'Content-Disposition: form-data; name="x"\r\n\r\n1'] * 20_000),
        form(b"X: " + b"a" * 100_000 + b"\r\n" + part()),
        form(b"X: a\r\n" * 10_000 + part()),
        form(part(data=b"x" * (3 << 20))),
    ],
    ids=["empty", "begun", "no part", "other", "two", "many", "long header", "headers", "large"],
)
def test_a_hostile_form_leaves_nothing(service: Secured, body: bytes) -> None:
    assert service.parts.uploads
    before = set(service.parts.uploads.glob("*"))
    answer = httpx.post(service.url + "/api/v1/upload", content=body, headers=FORM, timeout=60)
    assert answer.status_code in {400, 413, 422}, answer.text
    assert set(service.parts.uploads.glob("*")) == before


def test_uploads_leave_room_on_the_disk(service: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads_module, "ROOM_BYTES", 1 << 60)
    answer = httpx.post(service.url + "/api/v1/upload", content=form(part()), headers=FORM)
    assert (answer.status_code, answer.json()["type"][-7:]) == (507, "no-room")


def test_connections_that_say_nothing_keep_nobody_out(service: Secured) -> None:
    """200 of them; how many there may be is the operating system's and the proxy's to say."""
    address = ("127.0.0.1", int(service.url.rpartition(":")[2]))
    silent = [socket.create_connection(address) for _ in range(200)]
    try:
        for connection in silent:
            connection.sendall(b"GET / HTTP/1.1\r\n")
        assert httpx.get(service.url + "/health/live", timeout=10).status_code == 200
    finally:
        for connection in silent:
            connection.close()
