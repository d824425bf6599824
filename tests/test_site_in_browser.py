"""The site in a browser: axe-core finds nothing in either theme, nothing overflows, nothing is fetched.

Skipped without Playwright, axe-core or Chromium (Debian's package; another one by ``CHROMIUM``).
``PAGE_SHOTS``, a folder, keeps what the pages looked like.
"""

import os
import shutil
from pathlib import Path

import pytest

for package in ("bs4", "linkify_it", "markdown_it", "nbconvert", "PIL", "pdoc", "pygments"):
    pytest.importorskip(package, reason="the extra site")
playwright = pytest.importorskip("playwright.sync_api", reason="the browser test's own package")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core")

from report import site

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
PATIENCE = 120_000  # ms: on a machine with other work nothing is shown by being slow
WIDTHS = {1280: "light", 832: "dark", 360: "light"}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"], "resultTypes": ["violations"]}
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return site.build(tmp_path_factory.mktemp("built") / "site")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """A page, as wide as a laptop; axe-core may run in those that allow no other script."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, bypass_csp=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    yield page
    context.close()


def outside(requests, folder):
    return [url for url in requests if not url.startswith(("data:", "blob:", folder.as_uri()))]


def test_every_page(page, built):
    """Loaded once; then both themes for axe-core, and three widths. That a page complains is asked before axe
    reads its style by a request of its own, which no page on a disk may make."""
    folder, requests, complaints = built.index.parent, [], []
    page.on("request", lambda asked: requests.append(asked.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
    for path in built.pages:
        name = path.relative_to(folder).as_posix()
        page.goto(path.as_uri())
        if page.locator(".panel").count():  # a page that draws
            page.wait_for_selector(".panel[data-drawn]")
        for width, scheme in WIDTHS.items():
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} at {width}"
            if shots := os.environ.get("PAGE_SHOTS"):
                page.screenshot(path=Path(shots, f"{name.replace('/', '_')}_{width}.png"))
        assert complaints == [], name
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = axe.Axe().run(page, options=RULES)
            assert found.violations_count == 0, f"{name}, {scheme}: {found.generate_report()}"
        complaints.clear()
        print(f"{name}: 0 violations", flush=True)
    assert outside(requests, folder) == []
    print(f"{len(built.pages)} pages")


def test_lists_open_on_a_phone_and_close_when_a_line_is_chosen(page, built):
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto((built.index.parent / "report.html").as_uri())
    contents = page.locator("#site-contents")
    assert not contents.is_visible() and not page.locator("#site-pages").is_visible()
    page.get_by_role("button", name="On this page").click()
    found = axe.Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    contents.get_by_role("link", name="The chapters").click()
    assert not contents.is_visible() and page.url.endswith("#the-chapters")
    header = page.locator("header").bounding_box()
    assert page.locator("#the-chapters").bounding_box()["y"] >= header["height"]
    page.get_by_role("button", name="All pages").click()
    page.keyboard.press("Escape")
    assert not page.locator("#site-pages").is_visible()
    page.get_by_role("button", name="All pages").click()
    page.locator("#site-pages").get_by_role("link", name="05 The choice").click()
    assert page.url.endswith("notebooks/05_choice.html")


def test_on_a_wide_screen_the_lists_are_there(page, built):
    page.goto(built.index.as_uri())
    assert page.locator("#site-pages").is_visible() and page.locator("#site-contents").is_visible()
    assert not page.get_by_role("button", name="All pages").is_visible()


def test_only_what_scrolls_is_a_stop_of_the_tab_key(page, built):
    page.goto(built.index.as_uri())
    script = """() => [...document.querySelectorAll("pre, .scroll")].filter((box) =>
        (box.scrollWidth > box.clientWidth) !== (box.tabIndex === 0)).length"""
    assert page.evaluate(script) == 0
    page.set_viewport_size({"width": 360, "height": 800})
    page.wait_for_function("document.querySelector('pre[tabindex]')")
    assert page.evaluate(script) == 0
