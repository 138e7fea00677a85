"""What must hold of every page: axe finds nothing, nothing sticks out, and it says what it is."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import BrowserContext, ConsoleMessage, Page, expect

AXE = Path(__file__).parents[2] / "frontend/node_modules/axe-core/axe.min.js"
PHONE, DESK = 390, 1280

# WCAG 2.2 AA, and what axe calls best practice.
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = """async ([tags, rules]) => {
  const only = rules.length ? {type: "rule", values: rules} : {type: "tag", values: tags};
  const found = await axe.run(document, {runOnly: only, resultTypes: ["violations"]});
  return found.violations.flatMap(rule => rule.nodes.map(node =>
    `${rule.id}: ${node.target.join(" ")} ${node.any.map(a => a.message).join("; ")}`));
}"""
# What reaches beyond the right edge, so that a failure names it.
_OVERFLOW = """() => {
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= wide) return [];
  const out = [...document.querySelectorAll("body *")].filter(e =>
    e.getBoundingClientRect().right > wide + 1 && !e.closest(".visually-hidden, .scroller"));
  return out.slice(0, 3).map(e => `${e.tagName.toLowerCase()}.${e.className} sticks out`)
    .concat(`the page is ${document.documentElement.scrollWidth} px wide, not ${wide}`);
}"""

# A change of size or colours shows one frame later on a busy machine.
_DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@cache
def _axe() -> str:
    return AXE.read_text("utf-8")


async def faults(page: Page) -> list[str]:
    """Everything wrong with the page at two widths, light and dark; empty when all is well.

    Leaves the page at the width and in the colours it had.
    """
    before = page.viewport_size
    found: list[str] = []
    titled = await page.evaluate(
        "() => [document.title, document.documentElement.lang,"
        " document.querySelectorAll('h1').length]"
    )
    if not titled[0].removesuffix(" · Classweave"):
        found.append("no title")
    if not titled[1]:
        found.append("no language")
    if titled[2] != 1:
        found.append(f"{titled[2]} h1")
    await page.evaluate(_axe())
    for width in (PHONE, DESK):
        await page.set_viewport_size({"width": width, "height": 844})
        await page.wait_for_function("wide => window.innerWidth === wide", arg=width)
        await page.evaluate(_DRAWN)
        found += [f"{width} px: {fault}" for fault in await sticks_out(page)]
        # Only the colours depend on the scheme; all other rules are asked once.
        for scheme, rules in (("light", []), ("dark", ["color-contrast"])):
            found += await _in_colours(page, width, scheme, rules)
    await page.emulate_media(color_scheme="null", reduced_motion="null")
    if before is not None:
        await page.set_viewport_size(before)
    return found


async def sticks_out(page: Page) -> list[str]:
    """What reaches beyond the right edge, so that the page scrolls sideways."""
    return await page.evaluate(_OVERFLOW)


async def _in_colours(
    page: Page, width: int, scheme: Literal["light", "dark"], rules: list[str]
) -> list[str]:
    await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    await page.evaluate(_DRAWN)
    violations: list[Any] = await page.evaluate(_RUN, [_RULES, rules])
    return [f"{width} px, {scheme}: {violation}" for violation in violations]


class Inspector:
    """Collects what is wrong with the pages of a test, so that one run tells all of it."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.complaints: list[str] = []

    def listen(self, context: BrowserContext) -> None:
        """Note what any page of the context writes to its console as an error or a warning."""
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("console", self._note)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            where = message.page.url if message.page else ""
            self.complaints.append(f"{where}: {message.text}")

    async def look(self, page: Page, title: str) -> None:
        """Wait for the page with that heading, and note every fault it has."""
        await expect(page.get_by_role("heading", level=1)).to_have_text(title)
        await page.wait_for_load_state()
        self.found += [f"{page.url}: {fault}" for fault in await faults(page)]
