"""Who gets in, with what, how often; and what is written down about it."""

import json
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from api.command_line import main
from api.security import audit
from api.security.guard import Rules
from api.security.origins import is_foreign
from api.security.rates import FAILURES_A_MINUTE, Allowance
from application.api_keys import REMEMBERED_S, ApiKeys
from application.tickets import LIFE_S, Tickets
from domain.errors import ConfigurationError, InputError
from infrastructure.settings import Settings
from infrastructure.state.redis import RedisStateStore
from infrastructure.state.sqlite import SQLiteStateStore
from infrastructure.storage.folder import FolderArtifactStore
from tests.secured import PROXIED, Secured, in_a_process, listening, parts_over, secured
from tests.state_stores import Clock

STATUS = "/api/v1/pipeline/{}/status"
NOBODY = "0" * 32


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    url = request.getfixturevalue("_shared_redis").url if request.param == "redis" else ""
    with secured(request.param, url, tmp_path_factory.mktemp("secured")) as made:
        yield made


@pytest.fixture
def keys(tmp_path: Path) -> ApiKeys:
    return ApiKeys(FolderArtifactStore(tmp_path), Clock())


# Keys


def test_a_key_is_kept_as_a_hash_and_found_again_by_another_process(tmp_path: Path) -> None:
    """Whoever reads the storage does not get the key; a lost state does not lose it."""
    key, text = ApiKeys(FolderArtifactStore(tmp_path), Clock()).create("club", ["read"])
    assert ApiKeys(FolderArtifactStore(tmp_path), Clock()).check(text) == key
    secret = text.rpartition("_")[2].encode()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert key.digest.encode() in kept
    assert secret not in kept


@pytest.mark.parametrize("change", ["last", "identity", "short", "empty", "unicode"])
def test_a_text_that_is_not_the_whole_key_is_none(keys: ApiKeys, change: str) -> None:
    key, text = keys.create("club", ["read"])
    other = {
        "last": text[:-1] + ("A" if text[-1] != "A" else "B"),
        "identity": text.replace(key.key_id, "0" * 12),
        "short": text[:-1],
        "empty": "",
        "unicode": text[:-1] + "\u0430",
    }[change]
    assert keys.check(text) == key
    assert keys.check(other) is None


def test_old_and_new_key_work_together_until_the_overlap_ends(tmp_path: Path) -> None:
    clock = Clock()
    keys = ApiKeys(FolderArtifactStore(tmp_path), clock)
    _, old_text = keys.create("club", ["read", "submit"])
    new, new_text = keys.rotate(keys.check(old_text).key_id, 100.0)  # type: ignore[union-attr]
    clock.now += 99
    assert keys.check(old_text)
    assert keys.check(new_text) == new
    assert (new.owner, new.scopes) == ("club", ("read", "submit"))
    clock.now += 2
    assert keys.check(old_text) is None
    assert keys.check(new_text) == new
    with pytest.raises(InputError, match="works no more"):
        keys.rotate(new.replaces, 1.0)


def test_a_key_ends_when_it_expires_or_was_revoked_elsewhere(tmp_path: Path) -> None:
    """A process may go on for as long as it remembers, and no longer."""
    clock, store = Clock(), FolderArtifactStore(tmp_path)
    here, there = ApiKeys(store, clock), ApiKeys(store, clock)
    key, text = here.create("club", ["read"])
    _, brief = here.create("club", ["read"], lifetime_s=5.0)
    assert here.check(text)
    assert here.check(brief)
    there.revoke(key.key_id)
    clock.now += REMEMBERED_S
    assert (here.check(text), here.check(brief)) == (None, None)


@pytest.mark.parametrize(("owner", "scopes"), [("", ["read"]), ("a b", ["read"]), ("club", [])])
def test_a_key_without_owner_or_scope_is_not_made(
    keys: ApiKeys, owner: str, scopes: list[Any]
) -> None:
    with pytest.raises(InputError):
        keys.create(owner, scopes)


def test_the_command_makes_shows_replaces_and_ends_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "prepare", lambda: None)  # no handler that outlives the capture
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARTIFACT_URL", str(tmp_path / "store"))
    assert main(["keys", "create", "--owner", "club"]) == 0
    text = capsys.readouterr().out.strip()
    keys = ApiKeys(FolderArtifactStore(tmp_path / "store"), time.time)
    key = keys.check(text)
    assert key
    assert key.scopes == ("read", "submit")
    assert main(["keys", "rotate", key.key_id, "--overlap-days", "1", "--json"]) == 0
    replaced = json.loads(capsys.readouterr().out)
    assert keys.check(replaced["key"])
    assert main(["keys", "revoke", replaced["key_id"]]) == 0
    assert main(["keys", "list", "--json"]) == 0
    shown = capsys.readouterr().out
    assert [each["state"] for each in json.loads(shown.partition("\n")[2])] == ["works", "revoked"]
    assert text[-32:] not in shown
    assert main(["keys", "revoke", "0" * 12]) == 2


def test_the_commands_show_the_key_of_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with secured("sqlite", "", tmp_path, Rules(require_keys="always")) as service:
        headers = service.key("club")
        made = service.submit(headers)["pipeline_id"]
        assert main(["list", "--url", service.url]) == 2
        assert "Authorization: Bearer" in capsys.readouterr().err
        monkeypatch.setenv("FOOTANALYTICS_API_KEY", headers["Authorization"].split()[1])
        assert main(["list", "--url", service.url]) == 0
        assert made in capsys.readouterr().out


# The door


@pytest.mark.parametrize(
    "headers",
    [
        PROXIED,
        {"Forwarded": "for=203.0.113.7"},
        {"X-Forwarded-For": "127.0.0.1"},  # whoever says so came through something
        {"Via": "1.1 proxy"},
        {"Host": "evil.example"},  # DNS rebinding: a page's own name that leads to the loopback
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "127.0.0.1@evil.example"},
    ],
    ids=str,
)
def test_who_is_not_plainly_on_this_machine_needs_a_key(
    service: Secured, headers: dict[str, str]
) -> None:
    answer = httpx.get(service.url + "/api/v1/pipelines", headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["type"].endswith(":no-key")
    allowed = httpx.get(service.url + "/api/v1/pipelines", headers=headers | service.key("club"))
    assert allowed.status_code == 200


def test_a_program_on_this_machine_needs_none(service: Secured) -> None:
    assert httpx.get(service.url + "/api/v1/pipelines").status_code == 200


def test_http_1_0_is_what_a_proxy_that_says_nothing_sends(service: Secured) -> None:
    with socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2]))) as raw:
        raw.sendall(b"GET /api/v1/pipelines HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        assert b" 401 " in raw.recv(100)


def test_the_same_service_at_all_addresses_asks_others_for_a_key(tmp_path: Path) -> None:
    """`uvicorn api.main:app --host 0.0.0.0` is safe without any setting."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            address = probe.getsockname()[0]
    except OSError:
        pytest.skip("this machine has no address but the loopback")
    state = SQLiteStateStore(tmp_path / "state.sqlite")
    parts = parts_over(state, tmp_path, tmp_path, Rules())
    with listening(parts, "0.0.0.0") as url:  # noqa: S104 - what is tested
        far = url.replace("127.0.0.1", address)
        assert httpx.get(url + "/api/v1/pipelines").status_code == 200
        assert httpx.get(far + "/api/v1/pipelines").status_code == 401
        assert (
            httpx.get(far + "/api/v1/pipelines", headers={"Host": "localhost"}).status_code == 401
        )
    state.close()


def test_always_means_everybody(tmp_path: Path) -> None:
    with secured("sqlite", "", tmp_path, Rules(require_keys="always")) as service:
        assert httpx.get(service.url + "/api/v1/pipelines").status_code == 401
        assert httpx.get(service.url + "/health/live").status_code == 200


def test_a_wrong_key_is_refused_even_on_this_machine(service: Secured) -> None:
    for headers in ({"X-API-Key": "fa_0"}, {"Authorization": "Basic eDp5"}, {"Authorization": "x"}):
        answer = httpx.get(service.url + "/api/v1/pipelines", headers=headers)
        assert (answer.status_code, answer.json()["type"][-9:]) == (401, "wrong-key"), headers


def test_every_route_asks_for_a_key_but_those_that_are_open(service: Secured) -> None:
    """A route that somebody adds and forgets here is closed, not open."""
    document = httpx.get(service.url + "/openapi.json").json()
    for path, methods in document["paths"].items():
        for method in methods:
            answer = service.http.request(method, path.replace("{pipeline_id}", NOBODY))
            is_open = path.startswith("/health")
            assert (answer.status_code == 401) is not is_open, path
    assert service.http.get("/anything").status_code == 401


def test_strangers_learn_from_health_only_that_it_is_well(service: Secured) -> None:
    """What the dependencies say names hosts and paths."""
    assert "secret-host" not in service.http.get("/health").text
    assert "secret-host" in service.http.get("/health", headers=service.key("club", "read")).text


# Scopes and owners


def test_a_key_sees_its_owners_matches_alone(service: Secured) -> None:
    mine, theirs = service.key("mine"), service.key("theirs")
    boss = service.key("boss", "operate")
    made = service.submit(mine)["pipeline_id"]
    for path in ("status", "results", "frame", "events", "results/events"):
        answer = service.http.get(f"/api/v1/pipeline/{made}/{path}", headers=theirs)
        assert (answer.status_code, answer.json()["type"][-16:]) == (404, "unknown-pipeline"), path
        nobody = service.http.get(f"/api/v1/pipeline/{NOBODY}/{path}", headers=theirs)
        assert nobody.json()["detail"].replace(NOBODY, made) == answer.json()["detail"]
    for key, seen in ((mine, True), (theirs, False), (boss, True)):
        listed = service.http.get("/api/v1/pipelines", headers=key).json()["pipelines"]
        assert (made in [each["pipeline_id"] for each in listed]) is seen
    assert service.http.get("/api/v1/pipelines?owner=mine", headers=theirs).status_code == 403
    refused = service.http.post(f"/api/v1/pipeline/{made}/cancel", headers=theirs)
    assert refused.status_code == 404
    assert service.http.post(f"/api/v1/pipeline/{made}/cancel", headers=mine).status_code == 200
    assert service.http.delete(f"/api/v1/pipeline/{made}", headers=mine).status_code == 403
    assert service.http.delete(f"/api/v1/pipeline/{made}", headers=boss).status_code == 204


def test_a_scope_that_a_key_lacks_is_named(service: Secured) -> None:
    reader, sender = service.key("club", "read"), service.key("club", "submit")
    assert "submit" in service.submit(reader, 403)["detail"]
    made = service.submit(sender)["pipeline_id"]
    answer = service.http.get(STATUS.format(made), headers=sender)
    assert (answer.status_code, answer.json()["type"][-11:]) == (403, "lacks-scope")


def test_owners_do_not_share_idempotency_keys(service: Secured) -> None:
    one, other = (service.key(owner) | {"Idempotency-Key": "k"} for owner in ("one", "other"))
    assert service.submit(one)["pipeline_id"] != service.submit(other)["pipeline_id"]
    assert service.submit(one)["pipeline_id"] == service.submit(one)["pipeline_id"]


# Tickets and origins


def ticket_of(service: Secured, headers: dict[str, str]) -> str:
    answer = service.http.post("/api/v1/tickets", headers=headers)
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    return str(answer.json()["ticket"])


def socket_to(service: Secured, pipeline_id: str, query: str, **more: Any) -> Any:
    address = f"{service.url.replace('http', 'ws')}/api/v1/pipeline/{pipeline_id}/progress{query}"
    return connect(address, additional_headers=PROXIED, **more)


def refusal_of(service: Secured, pipeline_id: str, query: str, **more: Any) -> int:
    with pytest.raises(InvalidStatus) as caught, socket_to(service, pipeline_id, query, **more):
        pass
    return caught.value.response.status_code


def test_a_ticket_opens_one_socket_once(service: Secured) -> None:
    headers = service.key("watcher")
    made = service.submit(headers)["pipeline_id"]
    ticket = ticket_of(service, headers)
    with socket_to(service, made, f"?ticket={ticket}") as watching:
        assert json.loads(watching.recv(30))["pipeline_id"] == made
    assert refusal_of(service, made, f"?ticket={ticket}") == 401
    assert refusal_of(service, made, "") == 401
    forged = ticket_of(service, headers)
    assert refusal_of(service, made, f"?ticket={forged[:-2]}AA") == 401
    assert service.http.get(STATUS.format(made), params={"ticket": forged}).status_code == 401


def test_a_ticket_sees_what_its_key_sees(service: Secured) -> None:
    made = service.submit(service.key("one"))["pipeline_id"]
    ticket = ticket_of(service, service.key("other"))
    with socket_to(service, made, f"?ticket={ticket}") as watching, pytest.raises(ConnectionClosed):
        watching.recv(30)
    assert watching.protocol.close_code == 4004


def test_a_ticket_opens_an_event_stream(service: Secured) -> None:
    headers = service.key("watcher")
    made = service.submit(headers)["pipeline_id"]
    path = f"/api/v1/pipeline/{made}/events"
    query = {"ticket": ticket_of(service, headers)}
    with service.http.stream("GET", path, params=query) as answer:
        assert answer.status_code == 200
    assert service.http.get(path, params=query).status_code == 401


@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_of_all_processes_one_takes_a_ticket_and_only_in_time(
    store: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    clock = Clock()
    if store == "redis":
        url = request.getfixturevalue("redis_url")
        states: list[Any] = [RedisStateStore(url), RedisStateStore(url)]
        states[0].begin(1)
    else:  # one process alone has it
        states = [SQLiteStateStore(tmp_path / "state.sqlite")] * 2
    secret = ApiKeys(FolderArtifactStore(tmp_path / "a"), clock).ticket_secret
    doors = [Tickets(state, secret, clock) for state in states]
    if store == "sqlite":
        doors = doors[:1] * 2
    for order in (doors, doors[::-1]):
        ticket = order[0].give("key")
        assert [bool(door.take(ticket)) for door in order] == [True, False]
        assert not order[0].take(ticket)
    late = doors[0].give("key")
    clock.now += LIFE_S
    assert doors[0].take(late) is None
    for state in states:
        state.close()


def test_the_pages_of_others_change_nothing_and_watch_nothing(service: Secured) -> None:
    """A page in a browser on this machine comes from the loopback like any program."""
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": service.url.replace("127.0.0.1", "localhost.evil.example")},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        answer = httpx.post(f"{service.url}/api/v1/pipeline/{NOBODY}/cancel", headers=headers)
        assert (answer.status_code, answer.json()["type"][-14:]) == (403, "foreign-origin"), headers
    own = httpx.post(
        f"{service.url}/api/v1/pipeline/{NOBODY}/cancel", headers={"Origin": service.url}
    )
    assert own.status_code == 404
    ticket = ticket_of(service, service.key("club"))
    assert refusal_of(service, NOBODY, f"?ticket={ticket}", origin="https://evil.example") == 403


def test_pages_that_the_operator_names_may(tmp_path: Path) -> None:
    page = {"Origin": "https://club.example"}
    rules = Rules(allowed_origins=("https://club.example",))
    with secured("sqlite", "", tmp_path, rules) as service:
        asked = {"Access-Control-Request-Method": "POST"}
        asked |= {"Access-Control-Request-Headers": "authorization,content-type"}
        first = service.http.options("/api/v1/process-video", headers=page | asked)
        assert first.headers["access-control-allow-origin"] == "https://club.example"
        answer = service.http.post("/api/v1/tickets", headers=page | service.key("club"))
        assert answer.headers["access-control-allow-origin"] == "https://club.example"
        other = service.http.post("/api/v1/tickets", headers={"Origin": "https://x.example"})
        assert other.status_code == 403
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    ("origin", "host", "foreign"),
    [
        ("http://a:8000", "a:8000", False),
        ("https://a", "a", False),
        ("https://a", "a:443", False),
        ("http://a", "a:8000", True),  # another port is another program
        ("http://b", "a", True),
        ("http://[::1]:80", "[::1]", False),
        ("http://a:99999", "a", True),
        ("chrome-extension://a", "a", True),
        ("http://", "", True),
    ],
)
def test_which_page_is_the_services_own(origin: str, host: str, foreign: bool) -> None:
    assert is_foreign({b"origin": origin.encode(), b"host": host.encode()}, ()) is foreign


# Limits


@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_too_many_requests_wait(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Each key has its own count; on the cluster its processes have one count together."""
    url = request.getfixturevalue("redis_url") if store == "redis" else ""
    with secured(store, url, tmp_path, Rules(allowance=Allowance(5, 2))) as service:
        headers, other = service.key("club"), service.key("other")
        service.submit(headers)
        service.submit(headers)
        refused = service.http.post(
            "/api/v1/process-video", json={"video_path": "match.mp4"}, headers=headers
        )
        assert (refused.status_code, refused.json()["type"][-17:]) == (429, "too-many-requests")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        doors = [service.url]
        with listening(service.parts) as second:
            doors += [second] if store == "redis" else []
            asked = PROXIED | headers
            answers = [httpx.get(doors[-1] + "/api/v1/pipelines", headers=asked) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert service.http.get("/api/v1/pipelines", headers=other).status_code == 200
        assert httpx.get(service.url + "/api/v1/pipelines").status_code == 200  # on this machine


def test_limits_are_kept_by_each_process_while_redis_is_away(tmp_path: Path) -> None:
    """The state here is SQLite, and the counts' Redis is not there at all."""
    rules = Rules(allowance=Allowance(2, 2), rates_url="redis://127.0.0.1:1/0")
    with secured("sqlite", "", tmp_path, rules) as service:
        headers = service.key("club")
        answers = [service.http.get("/api/v1/pipelines", headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]


def test_who_tries_keys_is_told_to_wait(tmp_path: Path) -> None:
    with secured("sqlite", "", tmp_path) as service:
        wrong = {"X-API-Key": "fa_000000000000_" + "A" * 43}
        tries = [service.http.get("/version", headers=wrong) for _ in range(FAILURES_A_MINUTE + 1)]
        assert [answer.status_code for answer in tries[-2:]] == [401, 429]
        assert service.http.get("/version", headers=service.key("club")).status_code == 200


def test_the_queue_of_one_owner_has_an_end(tmp_path: Path) -> None:
    with secured("sqlite", "", tmp_path, Rules(max_queued=2)) as service:
        headers = service.key("club")
        first = service.submit(headers | {"Idempotency-Key": "first"})
        service.submit(headers)
        answer = service.http.post(
            "/api/v1/process-video", json={"video_path": "match.mp4"}, headers=headers
        )
        assert (answer.status_code, answer.json()["type"][-16:]) == (429, "too-many-waiting")
        assert int(answer.headers["Retry-After"]) > 0
        assert service.submit(headers | {"Idempotency-Key": "first"}) == first  # a repeat is none
        service.submit(service.key("other"))


# What is written down


def test_each_change_and_each_refusal_leaves_a_line(
    service: Secured, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("footanalytics.audit"), "propagate", True)
    caplog.set_level(logging.INFO, "footanalytics.audit")
    headers = service.key("audited")
    made = service.submit(headers)["pipeline_id"]
    service.http.delete(f"/api/v1/pipeline/{made}", headers=headers)
    service.http.get("/a%0Awho=root", headers={"X-API-Key": "no"})
    lines = [each.getMessage() for each in caplog.records if each.name == "footanalytics.audit"]
    submitted, deleted, tried = lines[-3:]
    assert "who=audited" in submitted
    assert f"did=POST path=/api/v1/process-video pipeline={made} outcome=202" in submitted
    assert submitted.endswith("client=203.0.113.7")
    assert "did=DELETE" in deleted
    assert "outcome=403" in deleted
    assert tried.startswith("who=- key=- did=GET")
    assert "path=/a%0Awho%3Droot" in tried
    assert "\n" not in tried


def test_no_secret_is_logged_or_answered(tmp_path: Path) -> None:
    """A process of its own with every logger at its most talkative, the access log too."""
    log, answers = tmp_path / "log", list[str]()
    with in_a_process(tmp_path / "service", log) as service:
        headers = service.key("club")
        made = service.submit(headers)["pipeline_id"]
        ticket, late = ticket_of(service, headers), ticket_of(service, headers)
        with socket_to(service, made, f"?ticket={ticket}&after=0"):
            pass
        refusal_of(service, made, f"?after=0&ticket={ticket}")
        for path in (f"/api/v1/pipeline/{made}/frame?ticket={late}", "/version?api_key=x"):
            answers.append(service.http.get(path).text)
        video = "https://user:hunter2@host/a.mp4?X-Amz-Signature=hunter3"
        answers.append(str(service.submit(headers, 422, video_path=video)))
        wrong = {"X-API-Key": headers["Authorization"].split()[1][:-3] + "zzz"}
        answers.append(service.http.get("/", headers=wrong).text)
    written = log.read_text()
    assert "WebSocket /api/v1/pipeline" in written, "the access log was not captured"
    assert "< GET" in written, "the log is not at its most talkative"
    assert "outcome=422" in written
    text = headers["Authorization"].split("_", 2)[2]  # may hold more of them
    for secret in (text, text[:20], ticket, late, "hunter2", "hunter3"):
        assert not [each for each in (written, *answers) if secret in each], secret


# Settings


@pytest.mark.parametrize("wrong", ["club.example", "https://club.example/", "https://a/b", "*"])
def test_an_origin_is_written_as_browsers_send_it(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="ML_PIPELINE_ALLOWED_ORIGINS"):
        Settings.load({"ML_PIPELINE_ALLOWED_ORIGINS": wrong})
    right = Settings.load({"ML_PIPELINE_ALLOWED_ORIGINS": "https://a.example, http://b:8000"})
    assert right.ml_pipeline_allowed_origins == ("https://a.example", "http://b:8000")


def test_keys_cannot_be_switched_off() -> None:
    with pytest.raises(ConfigurationError, match="ML_PIPELINE_REQUIRE_KEYS=never"):
        Settings.load({"ML_PIPELINE_REQUIRE_KEYS": "never"})
