"""The documents: each command in them is run, and each error they quote is one of the code's.

A block without a language, or marked sh, holds commands; each runs by bash in a folder of its
document's own, with what the reader has there: `.venv`, a video, tracking data. A block whose first
line is `# NAME` is a file that the reader writes, other Python is run, nothing else is.

What is changed on the way, and nothing more:
- `~` and `$HOME` are a temporary folder (the variable HOME), with `matches/derby.mp4`;
- `localhost:8000` is the port of the one service, and `list` and its like are given it by --url;
- `ID` is the match that was submitted last, once it is completed;
- `-ss 600` is `-ss 0`: the match here lasts two seconds;
- `docker exec NAME COMMAND` is COMMAND: what is done inside, done here.
"""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import kloppy.tests
import pytest

from infrastructure.inference.machine import cuda_devices
from tests.matches import render_match
from tests.test_serve import _free_port

ROOT = Path(__file__).parent.parent
GUIDES = (
    "docs/quick-start.md",
    "docs/your-own-video.md",
    "docs/stage-development.md",
    "docs/gpu-optimization.md",
    "docs/training.md",
    "docs/export-models.md",
    "docs/troubleshooting.md",
)
DOCUMENTS = ("README.md", *GUIDES, "docs/deployment.md")
SERVICE = "footanalytics serve --videos ~/matches"
NOT_RUN = {
    "make servers": "runs until Ctrl-C; tests/test_servers.py starts the same servers",
    "nvidia-smi": "no GPU",
    "footanalytics export-model * --format tensorrt *": "no GPU",
    "*model_name=detector.engine": "no GPU to build it on",
    "docker build *": "no docker; tests/test_containers.py reads the Dockerfile",
    "docker run *": "no docker",
    "docker compose *": "no docker; tests/test_containers.py reads docker-compose.yml",
    "pip install -e .": "asks a package index; the test writes what it would install",
    "*python -m celery *": "needs a Redis; tests/test_faults.py runs workers and beat",
    "python -m infrastructure.relay": "needs a Pulsar; tests/test_relay.py",
    "uvicorn api.main:app --port 8000": "needs a Redis; tests/test_security.py",
    "broker[A-Z]*=*": "a line of Pulsar's broker.conf",
    "default[A-Z]*=*": "a line of Pulsar's broker.conf",
    "journal[A-Z]*=*": "a line of Pulsar's bookkeeper.conf",
}
"""What is not run here, as a pattern of the whole command, and why."""
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_WRITTEN = re.compile(r"# ([\w./-]+\.\w+)\n")
_IN_TABLE = re.compile(r"\| `((?:\S+=\S+ )*(?:python|uvicorn|make|celery) [^`]+)` \|")
_PLACEHOLDERS = ("FILE", "FOLDER", "NAME", "ADDRESS", "PORT", "REASON", "N")


class Block(NamedTuple):
    """A fenced block: its language, and the text between the fences."""

    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The file that the reader writes it into."""
        first = _WRITTEN.match(self.text)
        return first[1] if first and self.language else None

    @property
    def commands(self) -> Sequence[str]:
        joined = self.text.replace("\\\n", " ")
        return [line for line in joined.splitlines() if line and not line.startswith("#")]


def _text(document: str) -> str:
    """The part of a document that is run here; of the README that is the service."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return text[text.index("## As a service") :].split("\n## ")[0] if "/" not in document else text


def _blocks(document: str) -> list[Block]:
    return [Block(*found) for found in _BLOCK.findall(_text(document))]


def _reason(command: str) -> str | None:
    """Why the command is not run here; None where it is."""
    return next((why for each, why in NOT_RUN.items() if fnmatchcase(command, each)), None)


def _commands(document: str) -> list[str]:
    shell = [block.commands for block in _blocks(document) if block.language in ("", "sh")]
    return [command for commands in shell for command in commands]


# -- the service, and the folder of a reader


@dataclass
class Desk:
    """Where the readers sit: home, the service's port, and what every folder of theirs has."""

    home: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        programs = Path(sys.executable).parent
        path = f"{programs}:{os.environ['PATH']}"
        return {**os.environ, "HOME": str(self.home), "PATH": path}

    def folder(self, document: str) -> Path:
        """A reader's folder, with the files that documents speak of."""
        folder = self.home / Path(document).stem
        folder.mkdir()
        (folder / ".venv").symlink_to(sys.prefix)
        shutil.copy(ROOT / ".env.example", folder)
        os.link(self.home / "matches" / "derby.mp4", folder / "match.mp4")
        samples = Path(kloppy.tests.__file__).parent / "files"
        shutil.copy(samples / "second_spectrum_fake_metadata.xml", folder / "metadata.xml")
        shutil.copy(samples / "second_spectrum_fake_data.jsonl", folder / "tracking.jsonl")
        return folder

    def here(self, command: str) -> str:
        """The command as it is run here; the module's docstring lists what is changed."""
        command = re.sub(r"^docker exec NAME ", "", command)
        command = command.replace("localhost:8000", f"127.0.0.1:{self.port}")
        command = command.replace("-ss 600", "-ss 0")
        if re.search(r"\bfootanalytics (list|status|results|cancel|retry)\b", command):
            command += f" --url {self.url}"
        return re.sub(r"\bID\b", lambda _: self._last(), command)

    def _last(self) -> str:
        for _ in range(1200):
            newest: Any = httpx.get(f"{self.url}/api/v1/pipelines").json()["pipelines"][0]
            if newest["state"] not in ("queued", "running"):
                assert newest["state"] == "completed", newest
                return str(newest["pipeline_id"])
            time.sleep(0.1)
        raise AssertionError(newest)

    def run(self, command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
        search = f"{folder / 'installed'}:{os.environ.get('PYTHONPATH', '')}"
        return subprocess.run(
            command,
            cwd=folder,
            env={**self.environment, "PYTHONPATH": search},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The one service, started by the documents' own line on a port of its own."""
    made = Desk(tmp_path_factory.mktemp("home"), _free_port())
    matches = made.home / "matches"
    matches.mkdir()
    render_match(made.home / "rendered", seconds=2.0, seed=7).rename(matches / "derby.mp4")
    where = f"--dir {shlex.quote(str(made.home / 'data'))} --port {made.port} --progress-port 0"
    process = subprocess.Popen(
        ["bash", "-c", f"exec {SERVICE} {where}"],
        cwd=made.home,
        env=made.environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        _until_ready(made.url)
        yield made
    finally:
        process.terminate()
        process.wait()


def _until_ready(url: str) -> None:
    for _ in range(600):
        try:
            if httpx.get(f"{url}/health").json()["status"] == "ready":
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} does not become ready")


def _install(folder: Path) -> None:
    """What pip makes of the documented pyproject.toml: the module, and its entry points."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    name, version = project["name"].replace("-", "_"), project["version"]
    information = folder / "installed" / f"{name}-{version}.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    )
    groups = project["entry-points"].items()
    lines = [line for group, points in groups for line in (f"[{group}]", *_assigned(points))]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    for module in folder.glob("*.py"):
        shutil.copy(module, folder / "installed")


def _assigned(points: dict[str, str]) -> list[str]:
    return [f"{name} = {target}" for name, target in points.items()]


# -- the tests


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_a_document_says_to_do_works(document: str, desk: Desk) -> None:
    folder = desk.folder(document)
    for block in _blocks(document):
        if block.file:
            (folder / block.file).write_text(block.text)
        elif block.language == "python":
            _succeeds(desk, block.text, [sys.executable, "-c", block.text], folder)
        elif block.language in ("", "sh"):
            for command in block.commands:
                _do(desk, command, folder)
    for counted in folder.glob("thirds/ball_thirds.json"):  # noughts would be equal at any cut
        assert all(json.loads(counted.read_text()).values())


def _do(desk: Desk, command: str, folder: Path) -> None:
    if command == "pip install -e .":
        _install(folder)
    elif not _reason(command) and command.removeprefix(".venv/bin/") != SERVICE:
        _succeeds(desk, command, ["bash", "-c", desk.here(command)], folder)


def _succeeds(desk: Desk, said: str, command: Sequence[str], folder: Path) -> None:
    done = desk.run(command, folder)
    told = f"{said}\n{done.stdout}\n{done.stderr}"
    # The doctor also looks at a Redis that happens to listen on the default port here.
    assert done.returncode in ((0, 1) if " doctor" in said else (0,)), told
    assert "Traceback" not in told, told
    if "gpu_enabled" in said and " analyze " in said and not cuda_devices():
        assert any(re.fullmatch(_as_pattern(_notice()), each) for each in done.stderr.splitlines())


def _notice() -> str:
    """The notice of the last row of the troubleshooting, which a machine without GPU brings up."""
    found = next(each for each in _quoted() if each.startswith("gpu_enabled"))
    return f"notice: {found}"


def _as_pattern(said: str) -> str:
    names = "|".join(_PLACEHOLDERS)
    return re.sub(rf"\b({names})\b", ".+", re.escape(said))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_is_run_or_says_why_not(document: str) -> None:
    """A program that no test knows must be classified before it can be in a document."""
    known = ("footanalytics", ".venv/bin/footanalytics", "curl", "cp", "cmp", "ffmpeg", ".")
    for command in _commands(document):
        inside = command.removeprefix("docker exec NAME ")
        if "footanalytics serve" in inside:
            assert inside.removeprefix(".venv/bin/") == SERVICE, f"{command}: one service for all"
        assert _reason(command) or inside.split()[0] in known, f"{command}: run it, or say why not"
    for command in _IN_TABLE.findall(_text(document)):
        assert _reason(command), f"{command}: say why it is not run"


def test_what_is_not_run_is_in_a_document() -> None:
    """A pattern that nothing needs would hide the next command."""
    texts = [_text(document) for document in DOCUMENTS]
    said = [command for document in DOCUMENTS for command in _commands(document)]
    said += [command for text in texts for command in _IN_TABLE.findall(text)]
    assert not [each for each in NOT_RUN if not any(fnmatchcase(one, each) for one in said)]


@pytest.mark.parametrize("document", GUIDES)
def test_guides_are_short_and_their_links_lead_somewhere(document: str) -> None:
    text = _text(document)
    assert text.count("\n") < 80
    for target, _, part in re.findall(r"\]\(([^)#]+)(#([^)]+))?\)", text):
        linked = (ROOT / document).parent / target
        assert linked.is_file(), target
        titles = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
        assert not part or part in {title.lower().replace(" ", "-") for title in titles}


def _quoted() -> list[str]:
    """The messages of the troubleshooting: rows that begin with a line of code and nothing else."""
    return re.findall(r"^\| `([^`]{20,})` \|", _text("docs/troubleshooting.md"), re.MULTILINE)


@cache
def _messages() -> tuple[re.Pattern[str], ...]:
    """Each text of the code that may be a message; what is filled in matches anything."""
    found: list[re.Pattern[str]] = []
    for package in ("domain", "application", "infrastructure", "api", "stages"):
        for file in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                found += _message(node)
    return tuple(found)


def _message(node: ast.AST) -> list[re.Pattern[str]]:
    values = node.values if isinstance(node, ast.JoinedStr) else [node]
    fixed = [each.value if isinstance(each, ast.Constant) else None for each in values]
    if sum(len(each) for each in fixed if isinstance(each, str)) < 15:
        return []
    parts = [re.escape(each) if isinstance(each, str) else ".+" for each in fixed]
    return [re.compile("".join(parts))]


def test_the_troubleshooting_quotes_messages_of_the_code() -> None:
    """A message that was reworded must be found by who searches for it."""
    assert len(_quoted()) > 15
    for said in _quoted():
        forms = (said, said.partition(": ")[2])  # some begin with a place that is put before them
        assert any(each.fullmatch(form) for each in _messages() for form in forms), said


def test_a_message_that_is_not_of_the_code_would_be_noticed() -> None:
    assert not any(each.fullmatch("FILE: no such film; look again") for each in _messages())
