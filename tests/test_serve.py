"""`footanalytics serve` as a user runs it: one process, no servers, killed and started again."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.rig import SAMPLES, TRACKED
from tests.matches import results

SUBMITTED = {
    "video_path": TRACKED["video_path"],
    "segment_s": TRACKED["segment_s"],
    "stages": [name for name in TRACKED["stages"] if not name.startswith("slow")],
}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def _serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    port = _free_port()
    command = [
        *(sys.executable, "-m", "api.command_line", "serve", "--dir", str(folder)),
        *("--videos", str(SAMPLES), "--port", str(port), "--progress-port", "0", *options),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def _until(url: str, condition: str) -> Any:
    """The answer of GET `url`, once its state is `condition`."""
    for _ in range(600):
        try:
            answer = httpx.get(url).json()
        except httpx.TransportError:
            answer = {}
        if condition in (answer.get("state"), answer.get("status")):
            return answer
        time.sleep(0.1)
    raise AssertionError(answer)


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "api.command_line", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_match_survives_a_killed_service_and_gives_the_same_files(tmp_path: Path) -> None:
    configuration = tmp_path / "configuration.json"
    configuration.write_text(json.dumps(SUBMITTED))
    inputs = TRACKED["video_path"]
    alone = tmp_path / "alone"
    given = ("--config", str(configuration), "--out", str(alone))
    assert _command("analyze", *inputs, *given).returncode == 0

    with _serving(tmp_path / "data") as (process, url):
        _until(f"{url}/health", "ready")
        answer = httpx.post(f"{url}/api/v1/process-video", json=SUBMITTED)
        assert answer.status_code == 202, answer.text
        pipeline_id = answer.json()["pipeline_id"]
        process.kill()
        process.wait()
    with _serving(tmp_path / "data") as (process, url):
        _until(f"{url}/api/v1/pipeline/{pipeline_id}/status", "completed")
        fetched = _command("results", pipeline_id, "--url", url, "--out", str(tmp_path / "got"))
        assert fetched.returncode == 0, fetched.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert results(tmp_path / "got") == results(alone)


@pytest.mark.slow
def test_one_folder_has_one_service(tmp_path: Path) -> None:
    with _serving(tmp_path / "data") as (_, url):
        _until(f"{url}/health", "ready")
        second = _command("serve", "--dir", str(tmp_path / "data"), "--port", str(_free_port()))
        assert second.returncode == 1
        assert second.stderr.splitlines()[-1].endswith(
            "another service runs there: stop it or choose another --dir"
        )


def test_a_folder_of_videos_that_is_none_is_refused(tmp_path: Path) -> None:
    refused = _command("serve", "--dir", str(tmp_path / "d"), "--videos", str(tmp_path / "none"))
    assert refused.returncode == 2
    assert refused.stderr == f"footanalytics: --videos {tmp_path / 'none'}: not a folder\n"
