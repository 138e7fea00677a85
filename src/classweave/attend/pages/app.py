"""The attendance app: one page that works without a network, its worker, and its manifest.

The app itself is in ``frontend/src/attend``. The worker is served from here and not from
``/static`` because its address decides what it is in charge of: ``/attend/``.
"""

from __future__ import annotations

import hashlib
import json

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from classweave.core.permissions import Permission
from classweave.core.problems import NotFound
from classweave.web.pages import page
from classweave.web.requests import CurrentActor, allow, opened
from classweave.web.templating import STATIC, STATIC_URL, Assets

router = APIRouter(prefix="/attend", include_in_schema=False)

PAGE = "/attend/app"
_DIST = STATIC / "dist"
_ASSETS = Assets(STATIC)
_OWN = ("classweave.css", "favicon.svg")


@router.get("/app", dependencies=[allow(Permission.ATTEND_TAKE)])
async def app_page(request: Request, actor: CurrentActor) -> Response:
    """The page of the app, with who is signed in."""
    return page(
        request, "attend/app.html",
        user=actor.id, organization=actor.home, version=_version(_files(), _worker()),
    )  # fmt: skip


@router.get("/sw.js", dependencies=[opened()])
async def worker() -> Response:
    """The service worker, with the list of files that it keeps."""
    files, code = _files(), _worker()
    kept = {"version": _version(files, code), "page": PAGE, "files": files}
    return Response(
        f"self.attend = {json.dumps(kept)};\n{code}",
        media_type="text/javascript",
        headers={"Cache-Control": "no-cache"},
    )


@router.get("/manifest.webmanifest", dependencies=[opened()])
async def manifest() -> Response:
    """What a phone needs to know to put the app on its home screen."""
    return JSONResponse(
        {
            "id": PAGE,
            "name": "Classweave Attend",
            "short_name": "Attend",
            "start_url": PAGE,
            "scope": "/attend/",
            "display": "standalone",
            "background_color": "#f3f5f2",
            "theme_color": "#17333b",
            "icons": [
                _icon("icon-192.png", "192x192", "any"),
                _icon("icon-512.png", "512x512", "any"),
                _icon("icon-maskable-512.png", "512x512", "maskable"),
            ],
        },
        media_type="application/manifest+json",
        headers={"Cache-Control": "no-cache"},
    )


def _icon(name: str, sizes: str, purpose: str) -> dict[str, str]:
    return {"src": _ASSETS.url(name), "sizes": sizes, "type": "image/png", "purpose": purpose}


def _files() -> list[str]:
    """The addresses of everything that the page loads."""
    try:
        built: list[str] = json.loads((_DIST / "offline.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        built = []
    own = [_ASSETS.url(name) for name in _OWN]
    return [*own, *(f"{STATIC_URL}/dist/{name}" for name in built)]


def _worker() -> str:
    """The worker as the front end built it. Raises ``NotFound`` before that."""
    name = _ASSETS.url("worker.js").rpartition("/")[2]
    try:
        return (_DIST / name).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound("The front end is not built: run make setup.") from error


def _version(files: list[str], code: str) -> str:
    """Another one for every change of what is kept; a page says of which it is."""
    text = "\n".join([*files, code])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
