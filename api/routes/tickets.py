"""Tickets: a browser opens no WebSocket with a header of its own, so it shows one of these."""

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from api.routes.access import Reading
from api.schemas.documented import problems
from api.security.guard import Guard
from application.tickets import LIFE_S

router = APIRouter(prefix="/api/v1", tags=["progress"])


class GivenTicket(BaseModel):
    """For one connection: append `?ticket=...` to its address."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"ticket": "k6Vub25jZ.5mKQ0vR4", "seconds": 30.0}]  # shortened
        }
    )

    ticket: str = Field(description="for .../progress or .../events, once")
    seconds: float = Field(description="how long it may wait to be used")


@router.post(
    "/tickets", status_code=201, summary="Get a ticket to watch with", responses=problems(503)
)
async def ticket(request: Request, response: Response, caller: Reading) -> GivenTicket:
    """A ticket for one WebSocket or one event stream, which then sees what this caller sees."""
    guard: Guard = request.app.state.guard
    response.headers["Cache-Control"] = "no-store"
    given = await run_in_threadpool(guard.tickets.give, caller.key_id)
    return GivenTicket(ticket=given, seconds=LIFE_S)
