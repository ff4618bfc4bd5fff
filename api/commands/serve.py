"""`footanalytics serve`: the service on one machine, without servers."""

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import InputError, ResourceError

if TYPE_CHECKING:
    import uvicorn

    from api.routes.parts import Parts
    from application.watchers import Watchers
    from infrastructure.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path("footanalytics-data"),
        metavar="DIR",
        help="state, artifacts and uploads (default: ./footanalytics-data)",
    )
    parser.add_argument(
        "--videos",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a folder that videos may be in; may be repeated (default: ML_PIPELINE_VIDEO_ROOTS)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, help="default: ML_PIPELINE_PORT, or 8000")
    parser.add_argument(
        "--progress-port",
        type=int,
        default=8765,
        metavar="PORT",
        help="progress of all matches (default: 8765; 0: not at all)",
    )
    parser.add_argument(
        "--processes", type=int, metavar="N", help="processes for the frames (default: one a core)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    import uvicorn

    from api.main import create_app
    from application.watchers import Watchers
    from infrastructure.settings import Settings, adopt_env_file
    from infrastructure.telemetry.logs import configure as configure_log
    from infrastructure.telemetry.progress_metrics import ProgressMetrics

    if options.processes is not None and options.processes < 1:
        raise InputError(f"--processes {options.processes}: legal are 1 and more")
    for folder in options.videos:
        if not folder.is_dir():
            raise InputError(f"--videos {folder}: not a folder")
    adopt_env_file()
    settings = Settings.load()
    configure_log(settings.ml_pipeline_log_level, "serve")
    processes = options.processes or len(os.sched_getaffinity(0))
    port = options.port or settings.ml_pipeline_port
    _refuse_taken(options.host, port)
    with parts(options.dir, options.videos, settings, processes) as made:
        if not made.video_roots:
            print("footanalytics: no --videos: only uploads can be analysed", file=sys.stderr)
        print(f"footanalytics: http://{options.host}:{port}/docs", file=sys.stderr)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)  # uvicorn stops by them and sends them once more
        app = create_app(made)
        told_after = ProgressMetrics.here().told_after
        app.state.watchers = Watchers(made.state, made.artifacts, told_after=told_after)
        config = uvicorn.Config(app, host=options.host, port=port, log_config=None)
        server = uvicorn.Server(config)
        asyncio.run(_serve(server, made, app.state.watchers, options))
    return 0


def _refuse_taken(host: str, port: int) -> None:
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise ResourceError(
            f"{host}:{port} cannot be listened on ({error.strerror}): choose another --port"
        ) from error


async def _serve(
    server: "uvicorn.Server", made: "Parts", watchers: "Watchers", options: argparse.Namespace
) -> None:
    """API and progress port, until a signal ends them."""
    from infrastructure.progress import Doorkeeper, serving

    async with AsyncExitStack() as stack:
        if options.progress_port:
            door = Doorkeeper.of(made.state, made.artifacts)
            port = serving(watchers, door, options.host, options.progress_port)
            await stack.enter_async_context(port)
        await server.serve()


@contextmanager
def parts(
    folder: Path, videos: list[Path], settings: "Settings", processes: int
) -> Iterator["Parts"]:
    """The parts of a service that works in `folder`."""
    from api.main import storage, workers
    from api.routes.parts import Dependency, Parts
    from api.security.guard import Rules
    from infrastructure.bootstrap.serving import local_service

    with local_service(folder, settings, processes) as local:
        yield Parts(
            local.state,
            local.artifacts,
            local.ledger,
            local.service,
            (
                Dependency("storage", lambda: storage(local.artifacts)),
                *workers(local.state),
            ),
            recover=lambda: None,
            video_roots=tuple(path.absolute() for path in videos)
            or settings.ml_pipeline_video_roots,
            uploads=folder.absolute() / "uploads",
            rules=Rules.of(settings),
        )
