"""`footanalytics keys`: API keys, made where the service keeps its data; no service need run."""

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from application.api_keys import SCOPES, ApiKey, ApiKeys
from domain.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

_DAY_S = 86_400.0


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    create = _action(actions, "create", _create, "make a key; its text is shown this once")
    create.add_argument("--owner", required=True, help="the client: it sees its own matches alone")
    create.add_argument(
        "--scope",
        action="append",
        choices=SCOPES,
        help="what it may do; may be repeated (default: read and submit)",
    )
    create.add_argument("--days", type=_days, default=0.0, help="how long it works (default: ever)")
    _action(actions, "list", _list, "show the keys, without their texts")
    rotate = _action(actions, "rotate", _rotate, "make a key in place of an older one")
    rotate.add_argument("key_id", metavar="ID")
    rotate.add_argument(
        "--overlap-days", type=_days, default=7.0, help="how long both work (default: 7)"
    )
    revoke = _action(actions, "revoke", _revoke, "end a key, within ten seconds")
    revoke.add_argument("key_id", metavar="ID")


def _action(
    actions: Any, name: str, run: "Callable[[argparse.Namespace], int]", summary: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=summary, description=summary)
    parser.add_argument(
        "--dir", type=Path, metavar="DIR", help="that of `serve` (default: ARTIFACT_URL)"
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(run=run)
    return parser


def _days(text: str) -> float:
    days = float(text)
    if not 0 <= days <= 36_500:
        raise argparse.ArgumentTypeError("from 0 to 36500")
    return days


def _create(options: argparse.Namespace) -> int:
    scopes = options.scope or ["read", "submit"]
    key, text = _keys(options).create(options.owner, scopes, options.days * _DAY_S)
    return _show_text(options, "create", key, text)


def _rotate(options: argparse.Namespace) -> int:
    key, text = _keys(options).rotate(options.key_id, options.overlap_days * _DAY_S)
    return _show_text(options, "rotate", key, text)


def _revoke(options: argparse.Namespace) -> int:
    key = _keys(options).revoke(options.key_id)
    _note("revoke", key)
    print(json.dumps(_shown(key), indent=2) if options.json else f"{key.key_id} is revoked")
    return 0


def _list(options: argparse.Namespace) -> int:
    from api.commands.remote import as_table

    rows = [_shown(key) for key in sorted(_keys(options).all(), key=lambda key: key.created_at)]
    head = ("key_id", "owner", "scopes", "created", "expires", "state")
    cells = [[" ".join(row["scopes"]) if n == "scopes" else row[n] for n in head] for row in rows]
    table = as_table([name.upper() for name in head], cells)
    print(json.dumps(rows, indent=2) if options.json else table)
    return 0


def _keys(options: argparse.Namespace) -> ApiKeys:
    from infrastructure.settings import Settings, adopt_env_file, masked
    from infrastructure.storage.opening import open_store

    if options.dir:
        return ApiKeys(open_store(str((options.dir / "artifacts").absolute())), time.time)
    adopt_env_file()
    settings = Settings.load()
    if Path("footanalytics-data").is_dir():
        raise InputError(
            "there is a footanalytics-data here: give --dir footanalytics-data for the keys of "
            "that service, or run this elsewhere for those of ARTIFACT_URL"
        )
    print(f"footanalytics: keys in {masked(settings.artifact_url)}", file=sys.stderr)
    return ApiKeys(open_store(settings.artifact_url, settings.artifact_cache_dir), time.time)


def _show_text(options: argparse.Namespace, what: str, key: ApiKey, text: str) -> int:
    _note(what, key)
    print(json.dumps({**_shown(key), "key": text}, indent=2) if options.json else text)
    return 0


def _note(what: str, key: ApiKey) -> None:
    import os

    from api.security import audit

    audit.prepare()
    audit.note(f"who=uid:{os.getuid()} key={key.key_id} did=keys-{what} owner={key.owner}")


def _shown(key: ApiKey) -> dict[str, Any]:
    """What may be seen of a key."""
    works = "works" if key.works(time.time()) else "expired"
    return {
        "key_id": key.key_id,
        "owner": key.owner,
        "scopes": list(key.scopes),
        "created": _moment(key.created_at),
        "expires": _moment(key.expires_at),
        "state": "revoked" if key.revoked_at else works,
        "replaces": key.replaces,
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M") if seconds else "never"
