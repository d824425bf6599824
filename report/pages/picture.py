"""``figures/listening_page.png``: how a page looks in a browser, for README.

    python -m report picture      # Playwright (the extra page-test) and Debian's chromium, or CHROMIUM

The light theme, as wide as README is read: verdict, scale and map; a file that is pointed at, and is played.
What explains them on the page is left out. Browsers draw differently, so no test compares the pixels: one
holds the verdict, which the file has in words too, against that of the page.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from typing import Any

from audio_distance.storage import replacing
from report.pages import FOLDER

PAGE = FOLDER / "rain_against_sea_waves.html"
PICTURE = FOLDER.with_name("listening_page.png")
WIDTH = 832  # CSS pixels; the picture has twice as many
COLOURS = 160  # of the picture, so that it is small
WAIT = 60_000  # ms

_LEFT_OUT = """
    h3:has(+ [id$="-null"]), [id$="-null"], .small, [id$="-alone"] { display: none; }
    section { padding-bottom: .2rem; margin: .8rem 0; }
"""
# Where a point is in the window whose hint, 240 by 190 pixels below and beside it, hides the fewest others.
_POINT = """() => {
    const view = Object.values(Bokeh.index.roots ?? Bokeh.index).find((one) => one.model.name === 'map');
    const points = view.model.renderers.find((one) => one.name === 'points').data_source;
    const frame = view.frame, box = view.el.getBoundingClientRect();
    const y = Array.from(points.get_column('y'), (value) => frame.y_scale.compute(value));
    const places = Array.from(points.get_column('x'), (value, i) => [frame.x_scale.compute(value), y[i]]);
    const hides = ([x, y]) => places.filter(([u, v]) => u > x && u < x + 240 && v > y && v < y + 190).length;
    const inside = places.filter(([x, y]) => x + 240 < box.width && y + 190 < box.height);
    const [x, top] = inside.sort((one, other) => hides(one) - hides(other))[0];
    return [box.x + x, box.y + top];
}"""


def run() -> int:
    """Take the picture; return the exit code, 1 after a line on stderr where something is missing."""
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        browser = None
    if browser is None or not PAGE.exists():
        print(
            f"error: the picture needs {PAGE.name} (python -m report pages), Playwright (the extra "
            "page-test) and chromium (apt-get install chromium)",
            file=sys.stderr,
        )
        return 1
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])  # which root needs
        shot, verdict = _shot(opened)
        opened.close()
    with replacing(PICTURE) as part:
        part.write_bytes(_small(shot, verdict))
    print(f"{PICTURE.name}: {PICTURE.stat().st_size:,} bytes")
    return 0


def _shot(browser: Any) -> tuple[bytes, str]:
    """A PNG of the top of the page, with its player below, and the verdict that it shows."""
    page = browser.new_page(
        viewport={"width": WIDTH, "height": 1400}, device_scale_factor=2, color_scheme="light"
    )
    page.set_default_timeout(WAIT)
    page.goto(PAGE.as_uri())
    page.wait_for_selector(".panel[data-drawn]")
    page.add_style_tag(content=_LEFT_OUT)
    page.locator("[id$='-files'] td.sound button").first.click()
    page.wait_for_selector("#dock:not([hidden]) canvas")
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(500)  # until the drawings have taken their new places
    last, player = (page.locator(part).bounding_box() for part in ("section:has([id$='-map'])", "#dock"))
    height = last["y"] + last["height"] + player["height"] + 12
    page.set_viewport_size({"width": WIDTH, "height": round(height)})
    page.wait_for_timeout(500)
    page.mouse.move(*page.evaluate(_POINT))
    page.wait_for_selector("#tip:not([hidden])")
    return page.screenshot(), page.locator(".verdict").inner_text()


def _small(shot: bytes, verdict: str) -> bytes:
    """The PNG with a palette, and the verdict as a text of it."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    file, words = io.BytesIO(), PngInfo()
    words.add_text("Verdict", verdict)
    picture = Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(file, "PNG", optimize=True, pnginfo=words)
    return file.getvalue()
