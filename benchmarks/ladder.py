"""One JSON endpoint, `GET /api/tickets/7`, on every rung: a bare server, a bare framework, a framework as it is used.

Each function makes an application. A framework that is not installed is not measured, and that is said.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

PATH = "/api/tickets/7"
STARTPROJECT = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]


@dataclass(frozen=True)
class Rung:
    """How an application is served: by uvicorn (ASGI) or by gunicorn with threads (WSGI), one worker each."""

    name: str
    make: str
    is_asgi: bool
    needs: str = ""

    @property
    def is_here(self) -> bool:
        return not self.needs or importlib.util.find_spec(self.needs) is not None

    def command(self, port: int) -> list[str]:
        if self.is_asgi:
            served = ["uvicorn", f"benchmarks.ladder:{self.make}", "--factory", "--no-access-log", "--port", str(port)]
        else:
            served = ["gunicorn", f"benchmarks.ladder:{self.make}()", "--worker-class", "gthread", "--threads", "4"]
            served += ["--keep-alive", "60", "--no-control-socket", "--bind", f"127.0.0.1:{port}"]
        return [sys.executable, "-m", *served, "--log-level", "warning"]


RUNGS = (
    Rung("nothing, uvicorn", "nothing_asgi", True),
    Rung("Starlette, uvicorn", "starlette", True),
    Rung("FastAPI, uvicorn", "fastapi", True),
    Rung("Django, uvicorn", "django_asgi", True),
    Rung("nothing, gunicorn", "nothing_wsgi", False),
    Rung("Flask, gunicorn", "flask", False, "flask"),
    Rung("Django, gunicorn", "django_bare", False),
    Rung("Django, middleware", "django", False),
    Rung("Django Ninja, middleware", "ninja", False, "ninja"),
    Rung("Django REST, middleware", "rest_framework", False, "rest_framework"),
)


def ticket(number: int) -> dict[str, Any]:
    people = [{"id": each, "name": f"Agent {each}", "is_active": True} for each in range(3)]
    return {"id": number, "subject": "a lamp that does not light", "open": True, "watchers": people}


def nothing_asgi() -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = json.dumps(ticket(int(scope["path"].rpartition("/")[2]))).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def starlette() -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def show(request: Request) -> JSONResponse:
        return JSONResponse(ticket(request.path_params["number"]))

    return Starlette(routes=[Route("/api/tickets/{number:int}", show)])


def fastapi() -> Any:
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Watcher(BaseModel):
        id: int
        name: str
        is_active: bool

    class Ticket(BaseModel):
        id: int
        subject: str
        open: bool
        watchers: list[Watcher]

    app = FastAPI()

    async def show(number):  # type: ignore[no-untyped-def]
        return ticket(number)

    show.__annotations__ = {"number": int}  # in the source they would be text that names a class nobody can find
    app.get("/api/tickets/{number}", response_model=Ticket)(show)
    return app


def nothing_wsgi() -> Any:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = json.dumps(ticket(int(environ["PATH_INFO"].rpartition("/")[2]))).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return app


def flask() -> Any:
    library = importlib.import_module("flask")
    app = library.Flask("ladder")
    app.get("/api/tickets/<int:number>")(lambda number: library.jsonify(ticket(number)))
    return app


def django_bare() -> Any:
    return _django([], wsgi=True)


def django() -> Any:
    return _django(STARTPROJECT, wsgi=True)


def django_asgi() -> Any:
    return _django([], wsgi=False)


def ninja() -> Any:
    def urls() -> Any:
        library = importlib.import_module("ninja")
        watcher = type("Watcher", (library.Schema,), {"__annotations__": {"id": int, "name": str, "is_active": bool}})
        fields = {"id": int, "subject": str, "open": bool, "watchers": list[watcher]}  # type: ignore[valid-type]
        schema = type("Ticket", (library.Schema,), {"__annotations__": fields})
        api = library.NinjaAPI()

        def show(request, number):  # type: ignore[no-untyped-def]
            return ticket(number)

        show.__annotations__ = {"number": int}
        api.get("/tickets/{number}", response=schema)(show)
        return api.urls

    return _django(STARTPROJECT, wsgi=True, urls=urls)


def rest_framework() -> Any:
    def urls() -> Any:
        from django.urls import path

        serializers = importlib.import_module("rest_framework.serializers")
        decorators = importlib.import_module("rest_framework.decorators")
        response = importlib.import_module("rest_framework.response").Response
        fields = {"id": serializers.IntegerField(), "name": serializers.CharField()}
        watcher = type("Watcher", (serializers.Serializer,), {**fields, "is_active": serializers.BooleanField()})
        fields = {"id": serializers.IntegerField(), "subject": serializers.CharField()}
        more = {"open": serializers.BooleanField(), "watchers": watcher(many=True)}
        serializer = type("Ticket", (serializers.Serializer,), {**fields, **more})
        show = decorators.api_view(["GET"])(lambda request, number: response(serializer(ticket(number)).data))
        return [path("tickets/<int:number>", show)], None, None

    return _django(STARTPROJECT, wsgi=True, urls=urls)


def _django(middleware: list[str], *, wsgi: bool, urls: Callable[[], Any] | None = None) -> Any:
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpRequest, JsonResponse
    from django.urls import path

    apps = ["auth", "contenttypes", "sessions", "messages"] if middleware else []
    patterns: list[Any] = []
    settings.configure(
        SECRET_KEY="x" * 50,
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=middleware,
        INSTALLED_APPS=[f"django.contrib.{app}" for app in apps],
        ROOT_URLCONF="benchmarks.ladder_urls",
        REST_FRAMEWORK={"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]},
    )
    sys.modules["benchmarks.ladder_urls"] = module = type(sys)("benchmarks.ladder_urls")
    module.urlpatterns = patterns  # type: ignore[attr-defined]
    application = get_wsgi_application() if wsgi else get_asgi_application()

    def show(_request: HttpRequest, number: int) -> JsonResponse:
        return JsonResponse(ticket(number))

    patterns.append(path("api/", urls()) if urls else path("api/tickets/<int:number>", show))
    return application
