"""The service's settings, their example file, and which paths a client may name."""

import os
import re
from pathlib import Path

import pytest
from dotenv import dotenv_values
from pydantic import ValidationError

from domain.errors import ConfigurationError, InputError
from infrastructure.settings import Settings, allowed_path, masked

_EXAMPLE = Path(__file__).parents[1] / ".env.example"


def test_the_example_has_every_variable_with_its_default_and_what_it_is_for() -> None:
    lines = _EXAMPLE.read_text().splitlines()
    explained = {
        name.partition("=")[0]: comment
        for comment, name in zip(lines, lines[1:], strict=False)
        if comment.startswith("# ")
    }
    fields = Settings.model_fields
    assert explained == {name.upper(): f"# {field.description}" for name, field in fields.items()}
    values = {name: value or "" for name, value in dotenv_values(_EXAMPLE).items()}
    assert list(values) == [name.upper() for name in fields]
    assert Settings.load(values) == Settings.load({})


def test_values_come_from_the_environment_then_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("ML_PIPELINE_PORT=1\nLEASE_SECONDS=2.5\nAWS_PROFILE=other\n")
    monkeypatch.setenv("ML_PIPELINE_PORT", "9000")
    settings = Settings.load()
    assert (settings.ml_pipeline_port, settings.lease_seconds) == (9000, 2.5)


def test_a_given_environment_is_the_only_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("LEASE_SECONDS=2.5\n")
    monkeypatch.setenv("ML_PIPELINE_PORT", "9000")
    settings = Settings.load({"ML_PIPELINE_WORKERS": "3"})
    assert settings.ml_pipeline_workers == 3
    assert (settings.ml_pipeline_port, settings.lease_seconds) == (8000, 30)


def test_an_empty_variable_is_as_good_as_none_but_for_pulsar() -> None:
    # Compose files pass on `${NAME:-}`; and without Pulsar the relay is switched off.
    settings = Settings.load({name.upper(): "" for name in Settings.model_fields})
    assert settings.pulsar_service_url == ""
    rest = settings.model_dump(exclude={"pulsar_service_url"})
    assert rest == Settings.load({}).model_dump(exclude={"pulsar_service_url"})


def test_folders_are_parted_by_colons_or_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    settings = Settings.load({"ML_PIPELINE_VIDEO_ROOTS": "/a:/b c, ~/d,here"})
    assert settings.ml_pipeline_video_roots == (
        Path("/a"),
        Path("/b c"),
        Path("/home/me/d"),
        Path.cwd() / "here",
    )


def test_a_level_may_be_written_in_capitals() -> None:
    assert Settings.load({"ML_PIPELINE_LOG_LEVEL": "DEBUG"}).ml_pipeline_log_level == "debug"


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("ML_PIPELINE_PORT", "70000", "must be a whole number from 1 up to 65535"),
        ("ML_PIPELINE_PORT", "http", "must be a whole number from 1 up to 65535"),
        ("ML_PIPELINE_WORKERS", "0", "must be a whole number from 1 up to 256"),
        ("GPU_MEMORY_FRACTION", "0", "must be a number above 0 up to 1"),
        ("GPU_MEMORY_FRACTION", "nan", "must be a number above 0 up to 1"),
        ("WORKER_MEMORY_LIMIT_MB", "-1", "must be a whole number from 0"),
        ("ML_PIPELINE_LOG_LEVEL", "loud", "must be debug, info, warning, error or critical"),
        ("REDIS_URL", "127.0.0.1", "must be redis://... or rediss://... or unix://..."),
        ("REDIS_URL", "redis://", "must be redis://... or rediss://... or unix://..."),
        ("PULSAR_SERVICE_URL", "http://a", "must be pulsar://... or pulsar+ssl://..."),
        ("PULSAR_TENANT_NAMESPACE", "public", "must be TENANT/NAMESPACE"),
        ("MATCH_TIME_LIMIT_SECONDS", "9", "must be at least CELL_TIME_LIMIT_SECONDS"),
    ],
)
def test_a_wrong_value_is_one_line_with_name_value_and_legal_range(
    name: str, value: str, line: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({name: value})
    assert str(caught.value) == f"{name}={value}: {line}"


def test_all_wrong_values_are_told_at_once_and_in_one_line() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({"ML_PIPELINE_PORT": "a\nb", "LEASE_SECONDS": "x"})
    assert str(caught.value) == (
        r"ML_PIPELINE_PORT='a\nb': must be a whole number from 1 up to 65535; "
        "LEASE_SECONDS=x: must be a number above 0 up to 3600"
    )


def test_no_secret_is_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({"REDIS_URL": "http://me:hidden-word@redis:1"})
    assert str(caught.value).startswith("REDIS_URL=http://me:***@redis:1: must be")
    settings = Settings.load(
        {"REDIS_URL": "redis://:hidden-word@redis", "PULSAR_TOKEN": "hidden-word"}
    )
    assert "hidden-word" not in repr(settings)
    assert settings.pulsar_token.get_secret_value() == "hidden-word"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("rediss://me:a@b:c/d@host:1/0", "rediss://me:***@host:1/0"),  # unescaped @ : and /
        ("redis://:word@a;redis://:word@b", "redis://:***@a;redis://:***@b"),
        ("redis://word@host", "redis://***@host"),  # the colon forgotten
        ("redis://h/0?password=word&db=1", "redis://h/0?password=***&db=1"),
        ("./artifacts", "./artifacts"),
    ],
)
def test_credentials_in_addresses_are_masked(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.parametrize(
    ("state", "queues", "shared"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/1", False),
        ("redis://127.0.0.1:6379/0", "redis://localhost", True),  # all of it is the default
        ("redis://:a@redis:7000/2", "rediss://me:b@redis:7000/2", True),
        ("redis://redis:7000/2", "redis://redis:7001/2", False),
        ("redis://redis/0", "redis://redis?db=3", False),
        ("redis://b/1", "redis://a/1;redis://b/1", True),  # a list of brokers
        ("unix:///run/r.sock?db=1", "redis+socket:///run/r.sock?virtual_host=1", True),
        ("redis://redis/0", "memory://", False),
    ],
)
def test_state_and_queues_in_one_database_are_noticed(
    state: str, queues: str, shared: bool
) -> None:
    settings = Settings.load({"REDIS_URL": state, "CELERY_BROKER_URL": queues})
    assert settings.shares_database is shared


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings.load({}).ml_pipeline_port = 1  # type: ignore[misc]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    (folder / "season").mkdir(parents=True)
    (folder / "season" / "match.mp4").write_bytes(b"")
    (tmp_path / "secret.mp4").write_bytes(b"")
    return folder


def test_a_path_in_an_allowed_folder_is_resolved(root: Path) -> None:
    match = root / "season" / "match.mp4"
    for path in (str(match), "season/match.mp4", f"{root}/season/../season/match.mp4"):
        assert allowed_path(path, [root.parent / "empty", root]) == match
    assert allowed_path("season", [root]) == root / "season"  # a folder of numbered images


def test_a_folder_may_be_a_link_itself(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    assert allowed_path("season/match.mp4", [tmp_path / "link"]) == root / "season" / "match.mp4"


def test_no_path_is_allowed_where_no_folder_is_named(root: Path) -> None:
    with pytest.raises(InputError, match="ML_PIPELINE_VIDEO_ROOTS is empty: set it"):
        allowed_path(str(root / "season" / "match.mp4"), [])


def test_what_lies_outside_is_refused_alike_whether_it_is_there_or_not(
    root: Path, tmp_path: Path
) -> None:
    (root / "out.mp4").symlink_to(tmp_path / "secret.mp4")
    (root / "gone.mp4").symlink_to(tmp_path / "nothing.mp4")
    (root / "up").symlink_to(tmp_path)
    Path(f"{root}-too").mkdir()  # its name begins as the allowed one does
    pairs = [
        (str(tmp_path / "secret.mp4"), str(tmp_path / "nothing.mp4")),
        ("../secret.mp4", "../nothing.mp4"),
        ("season/../../secret.mp4", "no/../../nothing.mp4"),
        ("out.mp4", "gone.mp4"),
        ("up/secret.mp4", "up/nothing.mp4"),
        (f"{root}-too", f"{root}-more"),
    ]
    for there, not_there in pairs:
        said = []
        for path in (there, not_there):
            with pytest.raises(InputError, match="not in an allowed folder") as caught:
                allowed_path(path, [root])
            said.append(str(caught.value).removeprefix(path))
        assert said[0] == said[1]


@pytest.mark.parametrize("path", ["nothing.mp4", "circle", "concat:season/match.mp4"])
def test_a_missing_file_in_an_allowed_folder_is_called_missing(root: Path, path: str) -> None:
    (root / "circle").symlink_to(root / "circle")
    with pytest.raises(InputError, match=f"^{re.escape(path)}: no such file or folder"):
        allowed_path(path, [root])


@pytest.mark.parametrize("path", ["", "a\0b", "a\nb"])
def test_a_strange_path_is_refused_in_one_line(root: Path, path: str) -> None:
    with pytest.raises(InputError) as caught:
        allowed_path(path, [root])
    assert str(caught.value).isprintable()


def test_what_is_neither_file_nor_folder_is_refused(root: Path) -> None:
    os.mkfifo(root / "pipe.mp4")  # reading it would wait for ever
    with pytest.raises(InputError, match="no such file"):
        allowed_path("pipe.mp4", [root])
