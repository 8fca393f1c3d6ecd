"""One endpoint of the club on FastAPI: a hut, read from the database that Django owns. `uvicorn service:app`."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse
from pydantic import BaseModel

DATABASE = f"file:{Path(__file__).parent / 'club.sqlite3'}?mode=ro"
MEMBER = "SELECT 1 FROM huts_member WHERE token = ?"
HUT = "SELECT slug, name, altitude, beds, price, checked_at || 'Z' FROM huts_hut WHERE slug = ?"

app = FastAPI()


class Hut(BaseModel):
    slug: str
    name: str
    altitude: int
    beds: int
    price: float
    checked_at: datetime


@app.get("/api/huts/{slug}/", response_model=Hut)
def hut(slug: str, authorization: Annotated[str, Header()] = "") -> Hut | JSONResponse:
    scheme, _, token = authorization.partition(" ")
    with closing(sqlite3.connect(DATABASE, uri=True)) as database:
        is_member = scheme == "Token" and database.execute(MEMBER, (token,)).fetchone()
        found = database.execute(HUT, (slug,)).fetchone()
    if not is_member:
        return JSONResponse({"error": "A member's token, please."}, 401, {"WWW-Authenticate": "Token"})
    if not found:
        return JSONResponse({"error": "There is no such hut."}, 404)
    return Hut(**dict(zip(Hut.model_fields, found, strict=True)))
