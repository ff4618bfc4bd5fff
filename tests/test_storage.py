"""One contract for every artifact store: a folder, the memory file system, and S3 over HTTP."""

import contextlib
import hashlib
import multiprocessing
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest
from moto.server import ThreadedMotoServer

from application.ports import Artifact, ArtifactStore
from domain.errors import ArtifactError, ConfigurationError, InputError, ResourceError
from infrastructure.storage.cache import LocalCache
from infrastructure.storage.folder import FolderArtifactStore, publish, write_whole
from infrastructure.storage.opening import check_store, open_store
from infrastructure.storage.remote import RemoteArtifactStore

_BUCKET = "matches"
_S3 = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "hidden-word",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def _serve_one_at_a_time(server: ThreadedMotoServer) -> None:
    """Make a conditional write one step, as it is in S3: moto looks first and then writes."""
    assert server._server
    application = server._server.app
    lock = threading.Lock()

    def guarded(environ: Any, start_response: Any) -> Any:
        with lock:
            return application(environ, start_response)

    server._server.app = guarded


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _serve_one_at_a_time(server)
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Addresses a fresh prefix; the endpoint and the credentials come from the environment."""
    for name, value in {**_S3, "AWS_ENDPOINT_URL": s3_server}.items():
        monkeypatch.setenv(name, value)
    files = fsspec.filesystem("s3", use_listings_cache=False)
    if not files.exists(_BUCKET):
        files.mkdir(_BUCKET)
    return f"s3://{_BUCKET}/{uuid.uuid4().hex}"


@pytest.fixture(params=["folder", "memory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return str(request.getfixturevalue("s3"))
    if request.param == "memory":
        return f"memory://{uuid.uuid4().hex}"
    return str(tmp_path / "artifacts")


@pytest.fixture
def store(url: str, tmp_path: Path) -> ArtifactStore:
    return open_store(url, tmp_path / "cache")


def _another(url: str, tmp_path: Path) -> ArtifactStore:
    """The same storage as another machine sees it: with a cache of its own."""
    return open_store(url, tmp_path / f"cache-{uuid.uuid4().hex}")


def _overwrite(url: str, name: str, data: bytes) -> None:
    """Change the bytes behind the store's back."""
    fsspec.open(f"{url}/{name}").fs.pipe_file(f"{url}/{name}", data)


def _place(artifact: Artifact) -> str:
    return f"{artifact.sha256[:2]}/{artifact.sha256}"


def test_an_artifact_is_named_by_its_bytes(store: ArtifactStore) -> None:
    artifact = store.put(b"rows")
    assert artifact == Artifact(hashlib.sha256(b"rows").hexdigest(), 4)
    assert store.put(b"rows") == artifact
    assert bytes(store.read(artifact)) == store.local_path(artifact).read_bytes() == b"rows"
    assert [found for found, _ in store.artifacts()] == [artifact]


def test_an_empty_artifact_is_one_like_any_other(store: ArtifactStore) -> None:
    assert bytes(store.read(store.put(b""))) == b""


def test_what_one_machine_wrote_another_reads(
    store: ArtifactStore, url: str, tmp_path: Path
) -> None:
    other = _another(url, tmp_path)
    known = store.put(b"first")
    store.put_record("checkpoints/ab/b", b"done")
    assert [found for found, _ in other.artifacts()] == [known]
    assert list(other.records("checkpoints")) == ["checkpoints/ab/b"]
    artifact = store.put(b"rows")
    store.put_record("checkpoints/ab/c", b"done")
    # Listings that fsspec kept from before would hide the new ones.
    assert other.holds(artifact)
    assert bytes(other.read(artifact)) == b"rows"
    assert {found for found, _ in other.artifacts()} == {known, artifact}
    assert list(other.records("checkpoints")) == ["checkpoints/ab/b", "checkpoints/ab/c"]


def test_a_missing_artifact_is_an_artifact_error(store: ArtifactStore) -> None:
    never_put = Artifact("0" * 64, 4)
    assert not store.holds(never_put)
    with pytest.raises(ArtifactError, match="run again"):
        store.read(never_put)


def test_changed_bytes_are_noticed_and_can_be_put_again(
    store: ArtifactStore, url: str, tmp_path: Path
) -> None:
    artifact = store.put(b"rows")
    _overwrite(url, _place(artifact), b"ROWS")
    reader = _another(url, tmp_path)
    with pytest.raises(ArtifactError, match="changed"):
        reader.read(artifact)
    # The same size must not make `put` believe that nothing is to be written.
    store.put(b"rows")
    assert bytes(reader.read(artifact)) == b"rows"


def test_a_cut_off_artifact_does_not_count_and_is_put_again(
    store: ArtifactStore, url: str, tmp_path: Path
) -> None:
    artifact = store.put(b"rows")
    _overwrite(url, _place(artifact), b"ro")
    assert not store.holds(artifact)
    store.put(b"rows")
    assert bytes(_another(url, tmp_path).read(artifact)) == b"rows"


def test_a_file_is_taken_over(store: ArtifactStore) -> None:
    with store.workspace() as folder:
        (folder / "a").write_bytes(b"video")
        (folder / "b").write_bytes(b"video")
        taken = [store.put_file(folder / name) for name in ("a", "b")]
        assert list(folder.iterdir()) == []
    assert taken[0] == taken[1]
    assert bytes(store.read(taken[0])) == b"video"
    assert not folder.exists()


def test_a_removed_artifact_is_gone_and_removing_it_again_is_no_error(store: ArtifactStore) -> None:
    artifact, other = store.put(b"rows"), store.put(b"more rows")
    store.remove(artifact)
    store.remove(artifact)
    assert not store.holds(artifact)
    with pytest.raises(ArtifactError):
        store.read(artifact)
    assert [found for found, _ in store.artifacts()] == [other]


def test_records_are_replaced_whole(store: ArtifactStore) -> None:
    assert store.read_record("pipelines/p.json") is None
    store.put_record("pipelines/p.json", b"one")
    store.put_record("pipelines/p.json", b"two")
    assert store.read_record("pipelines/p.json") == b"two"


def test_records_are_listed_by_folder_and_not_by_prefix(store: ArtifactStore) -> None:
    for name in ("plans/b", "plans/a/1", "plansx/c", "other"):
        store.put_record(name, b"x")
    store.put(b"an artifact is no record")
    assert sorted(store.records("plans")) == ["plans/a/1", "plans/b"]
    assert list(store.records("nothing")) == []


def test_a_removed_record_is_gone_and_removing_it_again_is_no_error(store: ArtifactStore) -> None:
    store.put_record("plans/p", b"x")
    store.remove_record("plans/p")
    store.remove_record("plans/p")
    assert store.read_record("plans/p") is None
    assert list(store.records("plans")) == []
    assert store.put_first("plans/p", b"new") == b"new"


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "a//b", "a/./b", "", "a\0b"])
def test_no_record_name_leads_out_of_the_records(store: ArtifactStore, name: str) -> None:
    # A pipeline's id becomes part of a name, and a client may choose it.
    with pytest.raises(InputError, match="cannot name a record"):
        store.put_record(name, b"x")


def test_the_first_record_of_a_name_stays(store: ArtifactStore) -> None:
    assert store.put_first("plans/p", b"one") == b"one"
    assert store.put_first("plans/p", b"two") == b"one"
    assert store.read_record("plans/p") == b"one"
    check_store(store)
    assert list(store.records("checks")) == []


def test_of_threads_that_race_for_a_record_one_wins_and_all_get_its_bytes(
    store: ArtifactStore,
) -> None:
    barrier = threading.Barrier(4)
    seen: list[tuple[int, bytes]] = []

    def race(writer: int) -> None:
        for turn in range(5):
            barrier.wait()
            seen.append((turn, store.put_first(f"plans/{turn}", b"%d" % writer)))

    threads = [threading.Thread(target=race, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 20
    assert len(set(seen)) == 5  # one answer a turn


def _race(url: str, cache: Path, writer: int, barrier: Any, answers: Any) -> None:
    store = open_store(url, cache)
    store.read_record("plans/none")  # the client is ready before the race
    for turn in range(5):
        barrier.wait()
        answers.put((turn, store.put_first(f"plans/{turn}", b"%d" % writer)))


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_of_processes_that_race_for_a_record_one_wins_and_all_get_its_bytes(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = str(tmp_path / "shared") if kind == "folder" else str(request.getfixturevalue("s3"))
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    processes = [
        context.Process(target=_race, args=(url, tmp_path / f"{writer}", writer, barrier, answers))
        for writer in range(2)
    ]
    for process in processes:
        process.start()
    seen = [answers.get(timeout=120) for _ in range(10)]
    for process in processes:
        process.join()
    assert len(set(seen)) == 5
    store = open_store(url, tmp_path / "after")
    assert all(store.read_record(f"plans/{turn}") == answer for turn, answer in seen)


_KILLED = """
import os, signal, sys
from pathlib import Path
from infrastructure.storage.opening import open_store

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

url, cache, what = sys.argv[1:]
store = open_store(url, Path(cache))
if url.startswith("s3"):
    import s3fs
    call = s3fs.S3FileSystem._call_s3

    async def last_step(self, method, *args, **kwargs):
        if method in ("complete_multipart_upload", "put_object"):
            die()
        return await call(self, method, *args, **kwargs)

    s3fs.S3FileSystem._call_s3 = last_step
else:
    os.fsync = die
data = b"x" * (33 << 20)
{
    "put": lambda: store.put(data),
    "put_record": lambda: store.put_record("plans/p", b"x"),
    "put_first": lambda: store.put_first("plans/p", b"x"),
}[what]()
"""


@pytest.mark.parametrize("kind", ["folder", "s3"])
@pytest.mark.parametrize("what", ["put", "put_record", "put_first"])
def test_a_killed_writer_leaves_nothing_that_others_see(
    kind: str, what: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = str(tmp_path / "shared") if kind == "folder" else str(request.getfixturevalue("s3"))
    command = [sys.executable, "-c", _KILLED, url, str(tmp_path / "cache"), what]
    assert subprocess.run(command, check=False).returncode == -9
    store = open_store(url, tmp_path / "other")
    assert list(store.artifacts()) == []
    assert list(store.records("plans")) == []
    assert store.read_record("plans/p") is None
    assert store.put_first("plans/p", b"mine") == b"mine"


def test_a_killed_writers_file_is_cleared_when_it_is_old_enough(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _KILLED, str(tmp_path), "-", "put"]
    subprocess.run(command, check=False)
    (left,) = (tmp_path / "tmp").iterdir()
    store = FolderArtifactStore(tmp_path)
    store.clear_temporary(older_than_s=3600)
    assert left.exists()  # another process may be writing it
    os.utime(left, (left.stat().st_mtime - 3700,) * 2)
    store.clear_temporary(older_than_s=3600)
    assert not left.exists()


def test_a_workspace_in_use_is_not_cleared_however_old_it_is(tmp_path: Path) -> None:
    store = FolderArtifactStore(tmp_path)
    with store.workspace() as folder:
        (folder / "parts").mkdir()
        (folder / "parts" / "video").write_bytes(b"still growing")
        for path in (folder / "parts", folder):
            os.utime(path, (1000, 1000))
        store.clear_temporary(older_than_s=3600)
        assert (folder / "parts" / "video").exists()
        store.clear_temporary()
        assert not folder.exists()


def test_what_is_put_again_is_young_again(tmp_path: Path) -> None:
    # A collector that goes by age must not take what a pipeline has just relied upon.
    store = FolderArtifactStore(tmp_path)
    artifact = store.put(b"rows")
    os.utime(store.local_path(artifact), (1000, 1000))
    assert dict(store.artifacts()) == {artifact: 1000}
    store.put(b"rows")
    assert dict(store.artifacts())[artifact] > 1000


def test_an_old_object_is_uploaded_anew_and_a_young_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"memory://{uuid.uuid4().hex}"
    store = open_store(url, tmp_path / "cache")
    artifact = store.put(b"rows")
    ((_, written_at),) = store.artifacts()
    store.put(b"rows")
    assert dict(store.artifacts())[artifact] == written_at
    monkeypatch.setattr("infrastructure.storage.remote._FRESH_S", 0.0)
    store.put(b"rows")
    assert dict(store.artifacts())[artifact] > written_at


def test_the_files_of_a_shared_folder_are_as_open_as_the_umask_says(tmp_path: Path) -> None:
    # tempfile makes files that only their owner reads: an API of another user could not.
    before = os.umask(0o022)
    try:
        store = FolderArtifactStore(tmp_path)
        assert store.local_path(store.put(b"rows")).stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)


def test_a_folder_without_hard_links_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(ResourceError, match="no hard links"):
        FolderArtifactStore(tmp_path).put_first("plans/p", b"x")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_link_whose_answer_was_lost_is_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An NFS client repeats the request and is told that the name is taken: by itself.
    link = os.link

    def twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", twice)
    store = FolderArtifactStore(tmp_path)
    assert store.put_first("plans/p", b"mine") == b"mine"


def test_the_room_in_a_folder_is_told_and_in_a_bucket_it_is_not(tmp_path: Path) -> None:
    free = open_store(str(tmp_path)).free_bytes()
    assert free is not None
    assert 0 < free <= os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize
    assert open_store("memory://room", tmp_path / "cache").free_bytes() is None


def test_an_artifact_is_downloaded_once(tmp_path: Path) -> None:
    url = f"memory://{uuid.uuid4().hex}"
    artifact = open_store(url, tmp_path / "writer").put(b"rows")
    reader = open_store(url, tmp_path / "reader")
    reader.read(artifact)
    fsspec.filesystem("memory").rm(url, recursive=True)
    assert bytes(reader.read(artifact)) == b"rows"


def test_a_cached_file_that_was_changed_is_downloaded_again(tmp_path: Path) -> None:
    store = open_store(f"memory://{uuid.uuid4().hex}", tmp_path / "cache")
    artifact = store.put(b"rows")
    store.local_path(artifact).write_bytes(b"ROWS")
    assert bytes(store.read(artifact)) == b"rows"


def test_the_cache_drops_what_was_not_used_for_longest(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path, size_bytes=10, keep_s=0)
    old, used = cache.put(b"old.."), cache.put(b"used.")
    for artifact in (old, used):
        os.utime(cache.path(artifact), (1000, 1000))
    cache.use(used)
    new = cache.put(b"new..")  # 15 bytes: one must go
    assert [cache.use(each) is not None for each in (old, used, new)] == [False, True, True]


def test_the_cache_keeps_what_was_used_just_now(tmp_path: Path) -> None:
    # Its reader has the path and has not opened it yet.
    cache = LocalCache(tmp_path, size_bytes=1, keep_s=3600)
    kept = [cache.put(b"one"), cache.put(b"two")]
    assert all(cache.use(each) for each in kept)


def _use_in_child(store: ArtifactStore, artifact: Artifact) -> None:
    store.put_record("from/child", b"x")
    os._exit(0 if store.holds(artifact) else 1)


def test_a_forked_child_makes_a_client_of_its_own(s3: str, tmp_path: Path) -> None:
    # The parent's client waits for a thread that the child does not have: it would wait for ever.
    store = open_store(s3, tmp_path / "cache")
    artifact = store.put(b"rows")
    child = multiprocessing.get_context("fork").Process(
        target=_use_in_child, args=(store, artifact)
    )
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert store.read_record("from/child") == b"x"


def test_a_file_of_many_parts_arrives_whole(s3: str, tmp_path: Path) -> None:
    video = tmp_path / "video"
    data = os.urandom(1 << 20) * 33  # three parts of at most 16 MiB
    video.write_bytes(data)
    artifact = open_store(s3, tmp_path / "cache").put_file(video)
    assert artifact.sha256 == hashlib.sha256(data).hexdigest()
    other = _another(s3, tmp_path)
    assert hashlib.sha256(other.read(artifact)).hexdigest() == artifact.sha256


@pytest.mark.usefixtures("s3")
def test_a_bucket_that_is_not_there_is_no_empty_one(tmp_path: Path) -> None:
    store = open_store("s3://nowhere/prefix", tmp_path / "cache")
    with pytest.raises(ResourceError, match=r"^s3://nowhere/prefix: the bucket is not there"):
        store.read_record("plans/p")
    with pytest.raises(ResourceError, match="the bucket is not there"):
        store.put(b"rows")


@pytest.fixture
def one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs  # type: ignore[import-untyped]

    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.mark.usefixtures("one_try")
def test_a_server_that_does_not_answer_is_told_in_one_line_without_secrets(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:hidden-word@127.0.0.1:9")
    store = open_store(s3, tmp_path / "cache")
    with pytest.raises(ResourceError, match="no answer: check the network") as caught:
        store.put(b"rows")
    assert "\n" not in str(caught.value)
    assert "hidden-word" not in str(caught.value)


@pytest.mark.usefixtures("one_try")
def test_missing_credentials_are_named(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ResourceError, match="set AWS_ACCESS_KEY_ID"):
        open_store(s3, tmp_path / "cache").put(b"rows")


def test_a_file_address_is_a_folder(tmp_path: Path) -> None:
    artifact = open_store(f"file://{tmp_path}/a").put(b"rows")
    assert open_store(str(tmp_path / "a")).holds(artifact)


@pytest.mark.parametrize("url", ["ftp://host/a", "s3://", "nonsense://x"])
def test_an_address_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^ARTIFACT_URL={url}: cannot be used: give"):
        open_store(url)


def test_a_refused_address_shows_no_password() -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_store("ftp://user:hidden-word@host/a")
    assert "hidden-word" not in str(caught.value)


def test_a_driver_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "infrastructure.storage.remote")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ConfigurationError, match="fsspec is not installed: pip install s3fs"):
        open_store("s3://bucket/prefix")


def test_a_service_that_ignores_conditions_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(_: object, path: str, data: bytes) -> bool:
        fsspec.filesystem("memory").pipe_file(path, data)
        return True

    monkeypatch.setattr(RemoteArtifactStore, "_create", careless)
    with pytest.raises(ResourceError, match="If-None-Match"):
        check_store(open_store("memory://careless", tmp_path / "cache"))


def test_a_published_file_is_a_copy(tmp_path: Path) -> None:
    store = FolderArtifactStore(tmp_path / "artifacts")
    artifact = store.put(b"result")
    target = tmp_path / "out" / "exports" / "result.txt"
    publish(store.local_path(artifact), target)
    target.write_bytes(b"changed by the user")
    assert bytes(store.read(artifact)) == b"result"
    assert [path.name for path in target.parent.iterdir()] == ["result.txt"]


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "run.json"
    write_whole(target, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="the disk is full"):
        write_whole(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
    with contextlib.suppress(ResourceError):
        FolderArtifactStore(tmp_path / "s").put(b"rows")
    assert list((tmp_path / "s" / "tmp").iterdir()) == []
