"""The service's settings: environment variables, and a .env file in the working directory."""

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qs, unquote, urlsplit

from annotated_types import Ge, Gt, Le
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.errors import ConfigurationError, InputError

_REDIS = ("redis", "rediss", "unix")
_BROKERS = ("redis", "rediss", "redis+socket", "memory")
_PULSAR = ("pulsar", "pulsar+ssl")
_LOCAL = {"localhost": "127.0.0.1", "::1": "127.0.0.1", "": "127.0.0.1"}


def _split(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    parts = (part.strip() for part in re.split(f"[,{re.escape(os.pathsep)}]", text))
    return tuple(Path(part).expanduser().absolute() for part in parts if part)


def _split_words(text: Any) -> Any:
    return tuple(filter(None, map(str.strip, text.split(",")))) if isinstance(text, str) else text


def _origins(given: tuple[str, ...]) -> tuple[str, ...]:
    """As browsers send them: scheme, host, and the port where it is not the scheme's own."""
    for origin in given:
        parts = urlsplit(origin)
        plain = f"{parts.scheme}://{parts.netloc}" == origin and "@" not in parts.netloc
        if parts.scheme not in {"http", "https"} or not parts.hostname or not plain:
            raise ValueError("origins such as https://host:port without a path, parted by commas")
    return given


def _lower(text: Any) -> Any:
    return text.lower() if isinstance(text, str) else text


class _Address:
    """Accepts addresses with one of these schemes; several are parted by semicolons."""

    def __init__(self, *schemes: str) -> None:
        self.legal = " or ".join(f"{scheme}://..." for scheme in schemes)
        self._schemes = schemes

    def __call__(self, text: str) -> str:
        for url in filter(None, text.split(";")):
            scheme, separator, rest = url.partition("://")
            if not separator or scheme not in self._schemes or not (rest or scheme == "memory"):
                raise ValueError(self.legal)
            _ = urlsplit(url).port  # a port that is no number is a ValueError
        return text


_RedisAddress = Annotated[str, AfterValidator(_Address(*_REDIS))]
_BrokerAddress = Annotated[str, AfterValidator(_Address(*_BROKERS))]
_PulsarAddress = Annotated[str, AfterValidator(_Address(*_PULSAR))]
_Level = Literal["debug", "info", "warning", "error", "critical"]


class Settings(BaseSettings):
    """Each field is the environment variable of the same name in capitals.

    An empty variable is as good as none, but for PULSAR_SERVICE_URL, where it means "off".
    Variables win over the .env file.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_file=".env", env_file_encoding="utf-8"
    )

    ml_pipeline_port: Annotated[int, Ge(1), Le(65535)] = Field(8000, description="the API's port")
    ml_pipeline_workers: Annotated[int, Ge(1), Le(256)] = Field(
        1, description="number of API processes (Celery's concurrency is Celery's own option)"
    )
    ml_pipeline_log_level: Annotated[_Level, BeforeValidator(_lower)] = Field(
        "info", description="debug, info, warning, error or critical"
    )
    ml_pipeline_metrics_port: Annotated[int, Ge(0), Le(65535)] = Field(
        0, description="port for Prometheus, of each worker, relay and API; 0 switches it off"
    )
    ml_pipeline_metrics_host: str = Field(
        "127.0.0.1", description="address of that port; it asks for no key: keep it private"
    )
    ml_pipeline_video_roots: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="folders that videos may be in, parted by colons or commas; empty: none"
    )
    ml_pipeline_max_running: Annotated[int, Ge(1)] = Field(
        64, description="matches that run at the same time; the others wait"
    )
    ml_pipeline_max_per_client: Annotated[int, Ge(1)] = Field(
        8, description="matches of one client that run at the same time"
    )
    ml_pipeline_max_queued_per_client: Annotated[int, Ge(1)] = Field(
        500, description="matches of one client that wait; more are refused"
    )
    ml_pipeline_require_keys: Annotated[Literal["auto", "always"], BeforeValidator(_lower)] = Field(
        "auto", description="auto: programs on this machine need no API key; always: everybody does"
    )
    ml_pipeline_allowed_origins: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_split_words), AfterValidator(_origins)
    ] = Field((), description="web pages of other hosts that may use the service, parted by commas")
    ml_pipeline_requests_per_minute: Annotated[int, Ge(1)] = Field(
        3000, description="requests of one API key in a minute"
    )
    ml_pipeline_submissions_per_minute: Annotated[int, Ge(1)] = Field(
        120, description="matches and uploads of one API key in a minute"
    )
    ml_pipeline_model_dir: Path | None = Field(
        None, description="folder of networks that clients may name as model_name; empty: none"
    )
    redis_url: _RedisAddress = Field(
        "redis://127.0.0.1:6379/0", repr=False, description="the state's Redis (rediss:// for TLS)"
    )
    celery_broker_url: _BrokerAddress = Field(
        "redis://127.0.0.1:6379/1", repr=False, description="the queues' Redis or its database"
    )
    pulsar_service_url: _PulsarAddress = Field(
        "pulsar://127.0.0.1:6650",
        repr=False,
        description="the Pulsar cluster (pulsar+ssl:// for TLS); empty switches the relay off",
    )
    pulsar_token: SecretStr = Field(SecretStr(""), description="token that Pulsar asks for")
    pulsar_tls_trust_certs: Path | None = Field(
        None, description="file with the certificates that Pulsar's are checked against"
    )
    pulsar_tenant_namespace: Annotated[str, Field(pattern=r"^[\w.=:-]+/[\w.=:-]+$")] = Field(
        "public/default", description="tenant and namespace of the topics"
    )
    checkpoint_ttl_seconds: Annotated[int, Ge(1)] = Field(
        604800, description="how long a finished pipeline's intermediate results are kept (7 days)"
    )
    artifact_url: str = Field(
        "./artifacts",
        repr=False,
        description="artifacts: a shared folder or s3://BUCKET/PREFIX (then set AWS_... as well)",
    )
    artifact_cache_dir: Path | None = Field(
        None, description="folder for local copies of artifacts in S3; empty: below ~/.cache"
    )
    artifact_cache_mb: Annotated[int, Ge(1)] = Field(
        20480, description="how large that folder may grow"
    )
    model_cache_dir: Path | None = Field(
        None, description="folder for compiled models; empty: ~/.cache/footanalytics"
    )
    yolo_model_path: Path | None = Field(
        None, description="detector to use; empty: the one that is shipped"
    )
    gpu_memory_fraction: Annotated[float, Gt(0), Le(1)] = Field(
        0.9, description="share of the GPU's memory that a worker may take"
    )
    lease_seconds: Annotated[float, Gt(0), Le(3600)] = Field(
        30, description="how long a silent worker keeps its cell"
    )
    cell_time_limit_seconds: Annotated[int, Ge(1)] = Field(
        1800, description="a cell that runs longer is stopped and tried again"
    )
    match_time_limit_seconds: Annotated[int, Ge(1)] = Field(
        86400, description="a match that runs longer fails"
    )
    worker_memory_limit_mb: Annotated[int, Ge(0)] = Field(
        4096, description="a worker process that grew above it is replaced; 0 switches it off"
    )
    log_spill_entries: Annotated[int, Ge(1)] = Field(
        1000000, description="log entries that are kept in Redis before they spill to storage"
    )

    @classmethod
    def load(cls, env: Mapping[str, str] | None = None) -> Self:
        """The settings of the process's environment and .env, or of `env` alone.

        Raises:
            ConfigurationError: a value is not legal; the one line names every wrong variable.
        """
        try:
            return cls() if env is None else cls(_env_file=None, **cls._given(env))
        except ValidationError as error:
            wrong = [cls._explained(each) for each in error.errors()]
            raise ConfigurationError("; ".join(wrong)) from None

    @property
    def shares_database(self) -> bool:
        """Whether state and queues are one database, so that purging a queue would hit both."""
        queues = {_database(url) for url in self.celery_broker_url.split(";")} - {None}
        return _database(self.redis_url) in queues

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value for name, value in given.items() if value != "" or name == _MAY_BE_EMPTY
        }

    @field_validator("match_time_limit_seconds")
    @classmethod
    def _longer_than_a_cell(cls, seconds: int, info: ValidationInfo) -> int:
        if seconds < info.data.get("cell_time_limit_seconds", 0):
            raise ValueError("at least CELL_TIME_LIMIT_SECONDS")
        return seconds

    @classmethod
    def _given(cls, env: Mapping[str, str]) -> dict[str, Any]:
        """A value for every field, so that nothing is taken from the process's environment."""
        lower = {name.lower(): value for name, value in env.items()}
        return {name: lower.get(name, field.default) for name, field in cls.model_fields.items()}

    @classmethod
    def _explained(cls, error: Any) -> str:
        name = str(error["loc"][0])
        secret = cls.model_fields[name].annotation is SecretStr
        value = "***" if secret else masked(str(error["input"]))
        return f"{name.upper()}={_printable(value)}: must be {cls._legal(name, error)}"

    @classmethod
    def _legal(cls, name: str, error: Any) -> str:
        if error["type"] == "value_error":
            return str(error["ctx"]["error"])
        if error["type"] == "literal_error":
            return str(error["ctx"]["expected"]).replace("'", "")
        if error["type"] == "string_pattern_mismatch":
            return "TENANT/NAMESPACE"
        field = cls.model_fields[name]
        kind = "a whole number" if field.annotation is int else "a number"
        return " ".join([kind, *filter(None, map(_bound, field.metadata))])


_MAY_BE_EMPTY = "pulsar_service_url"


def adopt_env_file(path: Path = Path(".env")) -> None:
    """Make what the file says a part of the process's environment; what is set there wins.

    Libraries (AWS_..., OTEL_...), networks (MODEL_CACHE_DIR, GPU_MEMORY_FRACTION) and children look
    there. An entry point calls it before anything else.
    """
    for name, value in dotenv_values(path, encoding="utf-8").items():
        if value:
            os.environ.setdefault(name, value)


def masked(url: str) -> str:
    """The address without what may be secret in it: credentials, and values of such parameters."""
    without_password = re.sub(r"://([^:@/;\s]*):[^;\s]*@", r"://\1:***@", url)
    without_user = re.sub(r"://[^:@/;\s]+@", "://***@", without_password)
    parameter = r"([?&][^=&;\s]*(?:pass|secret|token|key|auth|sig)[^=&;\s]*=)[^&;\s]*"
    return re.sub(parameter, r"\1***", without_user, flags=re.IGNORECASE)


def allowed_path(path: str, roots: Sequence[Path]) -> Path:
    """The real path of a file or folder in one of `roots`, which a relative path starts from.

    Raises:
        InputError: it is not there, or lies elsewhere; then nothing tells whether it is there.
    """
    shown = _printable(masked(path)) or "(an empty path)"
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path):
        raise InputError(
            f"{shown}: addresses are not opened: put the file into an allowed folder, or upload it"
        )
    if not roots:
        raise InputError(
            f"{shown}: no path is allowed because ML_PIPELINE_VIDEO_ROOTS is empty: "
            "set it to the folders that hold the videos"
        )
    # realpath follows every link and, unlike Path.resolve, takes a circle of links.
    found = [Path(os.path.realpath(root / path)) for root in roots if path and "\0" not in path]
    inside = [each for each in found if any(each.is_relative_to(_real(root)) for root in roots)]
    if not inside:
        raise InputError(
            f"{shown}: not in an allowed folder: move it there, or add its folder to "
            "ML_PIPELINE_VIDEO_ROOTS"
        )
    with contextlib.suppress(OSError):  # a name of 300 letters is an error of its own
        for each in inside:
            if each.is_file() or each.is_dir():
                return each
    raise InputError(f"{shown}: no such file or folder: check the path")


def _real(root: Path) -> Path:
    return Path(os.path.realpath(root))


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _bound(bound: Any) -> str:
    match bound:
        case Ge(ge=lowest):
            return f"from {lowest}"
        case Gt(gt=limit):
            return f"above {limit}"
        case Le(le=highest):
            return f"up to {highest}"
    return ""


def _database(url: str) -> tuple[str, int, str] | None:
    """Server, port and number of a Redis database; None where the address is no Redis."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    number = query.get("db", query.get("virtual_host", [""]))[0].strip("/")
    if parts.scheme in {"unix", "redis+socket"}:
        return unquote(parts.path), 0, number or "0"
    if parts.scheme not in {"redis", "rediss"}:
        return None
    host = parts.hostname or ""
    return _LOCAL.get(host, host), parts.port or 6379, number or parts.path.strip("/") or "0"
