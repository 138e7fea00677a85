"""A browser without JavaScript: keeps cookies, reads the CSRF token from the page it is on."""

from __future__ import annotations

import re
from typing import Any

import httpx
from fastapi import FastAPI


class Browser:
    """Follows links and posts forms as a person would."""

    def __init__(self, app: FastAPI) -> None:
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://testserver",
            headers={"accept": "text/html", "user-agent": "Firefox/140 (Windows)"},
        )
        self.csrf = ""

    async def open(self, path: str, status: int = 200) -> str:
        answer = await self.http.get(path, follow_redirects=True)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        self._remember(answer)
        return answer.text

    async def submit(self, path: str, status: int = 303, **fields: Any) -> httpx.Response:
        answer = await self.http.post(path, data={"csrf_token": self.csrf, **fields})
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        self._remember(answer)
        return answer

    async def upload(self, path: str, content: bytes, status: int = 200) -> str:
        answer = await self.http.post(
            path, data={"csrf_token": self.csrf, "text": ""}, files={"roster": ("a.csv", content)}
        )
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        self._remember(answer)
        return answer.text

    async def enter(self, token: str) -> None:
        """Carry a session's token as the cookie."""
        self.http.cookies.set("cw_session", token, domain="testserver.local")
        await self.open("/account")

    def _remember(self, answer: httpx.Response) -> None:
        found = re.search(r'name="csrf-token" content="([^"]+)"', answer.text)
        if found:
            self.csrf = found[1]
