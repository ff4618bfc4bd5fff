"""Images and the compose file, as far as they can be checked without a container engine."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from infrastructure import health
from infrastructure.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
VARIABLES = {name.upper() for name in Settings.model_fields}


def locked(name: str) -> dict[str, str]:
    """Version by package, for the images' Python 3.11."""
    text = (ROOT / name).read_text()
    found = re.findall(r"^([\w.-]+)==([^\s;]+)(?: ; ([^\\\n]*))?", text, re.MULTILINE)
    return {package: version for package, version, marker in found if ">= '3.12'" not in marker}


def stages() -> dict[str, tuple[str, str]]:
    """What each stage of the Dockerfile starts from, and its lines."""
    parts = re.split(r"^FROM (\S+) AS (\S+)\n", DOCKERFILE, flags=re.MULTILINE)[1:]
    return {parts[place + 1]: (parts[place], parts[place + 2]) for place in range(0, len(parts), 3)}


def instructions(target: str) -> str:
    """All lines that an image is made of, the first first."""
    start, lines = stages()[target]
    return (instructions(start) if start in stages() else "") + lines


TARGETS = ("development", "production", "worker", "beat", "relay")


def test_only_variables_of_the_example_are_used() -> None:
    # what a user may set is in .env.example, which test_settings compares with the settings
    assert set(re.findall(r"\$\{(\w+)", COMPOSE_TEXT + DOCKERFILE)) <= VARIABLES
    for service in OURS.values():
        assert set(service["environment"]) <= VARIABLES


def test_the_settings_of_each_service_are_legal() -> None:
    for service in OURS.values():
        settings = Settings.load(service["environment"])
        assert not settings.shares_database  # state and queues are two servers


def test_images_are_pinned_by_version() -> None:
    named = [each["image"] for each in SERVICES.values() if "image" in each]
    named += [start for start, _ in stages().values() if start not in stages()]
    assert named
    for image in named:
        assert re.search(r":v?\d+\.\d+\.\d+", image), image


def test_the_servers_are_as_the_service_needs_them() -> None:
    state = SERVICES["state"]["command"]
    assert state[state.index("--maxmemory-policy") + 1] == "noeviction"
    assert state[state.index("--appendonly") + 1] == "yes"
    pulsar = SERVICES["pulsar"]["environment"]
    assert pulsar["brokerDeduplicationEnabled"] == "true"
    assert int(pulsar["brokerDeduplicationProducerInactivityTimeoutMinutes"]) >= 7 * 24 * 60
    assert int(pulsar["defaultRetentionTimeInMinutes"]) >= 24 * 60
    assert SERVICES["pulsar"]["image"].endswith(":4.0.8")  # as deploy/servers.py


def test_each_service_is_built_from_a_target_that_there_is() -> None:
    assert {service["build"]["target"] for service in OURS.values()} <= set(TARGETS)
    assert set(TARGETS) <= set(stages())


@pytest.mark.parametrize("profile", ["gpu", "cpu"])
def test_both_queues_have_workers_in_each_profile(profile: str) -> None:
    running = [
        service for service in OURS.values() if profile in service.get("profiles", [profile])
    ]
    commands = [service["command"] for service in running if "worker" in service.get("command", ())]
    assert {command[command.index("-Q") + 1] for command in commands} == {"gpu", "cpu"}


def test_a_worker_with_a_device_does_not_fork() -> None:
    for name, service in OURS.items():
        if "deploy" in service:
            command = service["command"]
            assert command[command.index("--pool") + 1] == "solo", name


@pytest.mark.parametrize("target", TARGETS)
def test_images_run_as_nobody_special_and_can_be_asked_how_they_are(target: str) -> None:
    lines = instructions(target)
    assert re.findall(r"^USER (\S+)", lines, re.MULTILINE)[-1] == "10001"
    check = re.findall(r"^HEALTHCHECK .*CMD (\[.*\])", lines, re.MULTILINE)[-1]
    *_, module, part = yaml.safe_load(check)
    assert module == "infrastructure.health"
    assert part in health.PARTS
    assert "curl" not in lines


def test_modules_that_are_started_are_there() -> None:
    commands = re.findall(r'"-m", "([\w.]+)"', DOCKERFILE)
    commands += re.findall(r"python, -m, ([\w.]+)", COMPOSE_TEXT)
    commands += re.findall(r"-A, ([\w.]+)", COMPOSE_TEXT)
    assert "infrastructure.relay" in commands
    for module in set(commands):
        assert importlib.util.find_spec(module), module


@pytest.mark.parametrize("target", ["production", "beat", "relay"])
def test_what_serves_holds_neither_torch_nor_ultralytics(target: str) -> None:
    assert re.findall(r"-r \S+/(\S+\.lock)", instructions(target)) == ["service.lock"]
    packages = locked("deploy/images/service.lock")
    heavy = {name for name in packages if re.match(r"torch|ultralytics|nvidia|triton", name)}
    assert heavy == set()


def test_the_images_have_the_versions_that_are_tested() -> None:
    tested = locked("requirements.lock")
    service, worker, wheel = (
        locked(f"deploy/images/{name}.lock") for name in ("service", "worker", "wheel")
    )
    only_on_cuda = {"onnxruntime-gpu", "nvidia-curand"}
    assert {*service.items(), *wheel.items()} <= set(tested.items())
    assert {name for name in worker if worker[name] != tested.get(name)} == only_on_cuda
    assert worker["onnxruntime-gpu"] == tested["onnxruntime"]
    without = {"torch", "torchvision", "ultralytics"}
    assert without <= set(worker)
    assert "onnxruntime" not in worker  # two of them in one place break each other


def test_every_file_that_is_copied_is_there() -> None:
    for sources in re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source


def test_the_wheel_gets_all_that_it_packs() -> None:
    import tomllib

    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    copied = set(re.findall(r"^COPY (\w+) \w+$", stages()["wheel"][1], re.MULTILINE))
    target = wheel["targets"]["wheel"]
    assert copied == {*target["packages"], *target["force-include"]}
