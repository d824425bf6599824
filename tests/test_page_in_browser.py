"""The page in a browser: it draws, plays, lists and sorts; nothing is fetched and no name is executed.

Skipped without Playwright or Chromium (Debian's package; another one by ``CHROMIUM``). ``PAGE_SHOTS``, a
folder, keeps what it looked like.
"""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_distance.command import main

pytest.importorskip("bokeh", reason="the extra page")
playwright = pytest.importorskip("playwright.sync_api", reason="the browser test's own package")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
PATIENCE = 120_000  # ms: on a machine with other work nothing is shown by being slow
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")

NAMES = [
    "<img src=x onerror=window.executed=1>",
    "</script><script>window.executed=1</script>".replace("/", "∕"),
    "\"'><svg onload=window.executed=1>",
    "@name{safe} $index {{x}}",
    "\u202egnp",
    "line\nbreak",
    "a" * 240,
]


@pytest.fixture(scope="module")
def written(tmp_path_factory, noise):
    """Ten white noises; ten others of the same and ten dark ones, some with hostile names."""
    folder = tmp_path_factory.mktemp("sets")
    for name, first, smooth in (("real", 0, 1), ("good", 20, 1), ("dark", 40, 3)):
        (folder / name).mkdir()
        for i in range(10):
            samples = np.convolve(noise(first + i, 2.0), np.ones(smooth) / smooth, "same")
            own = NAMES[i] if name == "dark" and i < len(NAMES) else f"{name}_{i}"
            with (folder / name / f"{own}.wav").open("wb") as file:
                soundfile.write(file, samples, 16000, format="WAV")
    out = folder / "page.html"
    sets = [str(folder / name) for name in ("real", "good", "dark")]
    assert main([*sets, "--page", str(out), "--workers", "1", "--permutations", "199"]) == 0
    return out


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield opened
        opened.close()


@pytest.fixture(params=[("light", 1280), ("dark", 360)], ids=["light-1280", "dark-360"])
def page(browser, written, request):
    """Open and drawn; at the end, nothing has been complained of, fetched or executed."""
    scheme, width = request.param
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    complaints, requests = [], []
    page.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: requests.append(asked.url))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    start = time.perf_counter()
    page.goto(written.as_uri())
    page.wait_for_selector(".panel[data-drawn]")
    print(f"{scheme} {width}: drawn in {time.perf_counter() - start:.2f} s, {written.stat().st_size:,} bytes")
    yield page
    if shots := os.environ.get("PAGE_SHOTS"):
        page.screenshot(path=Path(shots, f"{request.node.name}.png"), full_page=True)
    assert complaints == []
    assert [url for url in requests if not url.startswith(("blob:", "data:"))] == [written.as_uri()]
    assert page.evaluate("window.executed") is None
    context.close()


def visible(page, selector):
    """The first such element of the tab that is shown."""
    return page.locator(f".panel:not([hidden]) {selector}").first


def until(page, script, seconds=PATIENCE / 1000):
    """Playwright's own waiting evaluates text in the page, which the policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(script):
        assert time.monotonic() < end, f"never came true: {script}"
        page.wait_for_timeout(50)


def wait_until_it_plays(page):
    until(page, "document.querySelector('audio').currentTime > 0.2")


def spots(page):
    """Where the points of the shown map lie in the window."""
    return page.evaluate("""() => {
        const tab = document.querySelector('.panel:not([hidden])').id;
        const view = Object.values(Bokeh.index.roots ?? Bokeh.index).find(
            (v) => v.model.name === 'map' && document.getElementById(`${tab}-map`).contains(v.el));
        const points = view.model.renderers.find((r) => r.name === 'points').data_source;
        const box = view.el.getBoundingClientRect(), frame = view.frame;
        const at = (scale, values) => Array.from(values, (v) => scale.compute(v));
        return at(frame.x_scale, points.get_column('x')).map((x, i) =>
            [box.x + x, box.y + frame.y_scale.compute(points.get_column('y')[i])]);
    }""")


def test_it_fits_and_draws(page):
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for name in ("scale", "null", "map", "curve", "parts"):
        box = visible(page, f"[id$='-{name}'] .bk-Figure").bounding_box()
        assert box["width"] > 200 and box["height"] > 100, name


def test_a_file_plays(page):
    visible(page, "td.sound button").click()
    wait_until_it_plays(page)
    assert page.locator("#dock").is_visible()
    until(
        page,
        """() => {
        const canvas = document.querySelector('#dock canvas');
        const drawn = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return drawn.data.some((v) => v > 0);
    }""",
    )
    page.get_by_role("button", name="Play the nearest").click()
    wait_until_it_plays(page)


def test_the_band_alone(page):
    """While the button is pressed, there is sound behind the filters and none beside them; and back."""
    page.evaluate("""() => {
        window.heard = [];  // of the direct way, then of the filtered one
        const connect = AudioNode.prototype.connect;
        AudioNode.prototype.connect = function (to, ...others) {
            if (to === this.context.destination) {
                const analyser = new AnalyserNode(this.context);
                connect.call(this, analyser);
                window.heard.push(analyser);
            }
            return connect.call(this, to, ...others);
        };
        window.sounding = () => window.heard.map((analyser) => {
            const samples = new Float32Array(2048);
            analyser.getFloatTimeDomainData(samples);
            return samples.some((v) => Math.abs(v) > 1e-3);
        }).join();
    }""")
    visible(page, "td.sound button").click()
    page.evaluate("document.querySelector('audio').loop = true")
    solo = page.locator("#dock button[aria-pressed]")
    assert solo.inner_text().startswith("Only ") and solo.inner_text().endswith(" Hz")
    solo.click()
    assert solo.get_attribute("aria-pressed") == "true"
    until(page, "window.sounding() === 'false,true'")
    solo.click()
    until(page, "window.sounding() === 'true,false'")


def test_a_point_is_clicked_and_a_box_is_drawn(page):
    visible(page, "[id$='-map']").scroll_into_view_if_needed()
    places = np.array(spots(page))
    crowd = np.linalg.norm(places[:, None] - places[None], axis=2) + 1e9 * np.eye(len(places))
    x, y = places[crowd.min(axis=1).argmax()]  # the one that is farthest from all others
    page.mouse.move(x, y)
    page.wait_for_selector("#tip:not([hidden])")
    page.mouse.click(x, y)
    page.wait_for_selector("#dock:not([hidden])")
    wait_until_it_plays(page)
    page.get_by_role("button", name="Close").click()
    low, high = places.min(axis=0) - 4, places.max(axis=0) + 4
    page.mouse.move(*low)
    page.mouse.down()
    page.mouse.move(*(low + high) / 2)
    page.mouse.move(*high)
    page.mouse.up()
    visible(page, ".region summary").wait_for()
    assert visible(page, ".region summary").inner_text() == "20 selected"
    visible(page, ".region").get_by_role("button", name="Play them in turn").click()
    wait_until_it_plays(page)


def test_the_table_sorts(page):
    rows = page.locator(".panel:not([hidden]) [id$='-files'] tbody tr")
    assert rows.count() == 10
    values = [float(rows.nth(i).locator("td.number").first.inner_text()) for i in range(10)]
    assert values == sorted(values, reverse=True)
    visible(page, "[id$='-files'] > button").click()
    assert rows.count() == 20
    visible(page, "button.sort:has-text('file')").press("Enter")
    names = [rows.nth(i).locator("th").inner_text() for i in range(20)]
    assert names == page.evaluate("(n) => [...n].sort((a, b) => a.localeCompare(b))", names)
    assert visible(page, "th[aria-sort=ascending]").inner_text().startswith("file")


def test_tabs_by_keyboard_and_hostile_names(page):
    first, second = page.get_by_role("tab").all()
    assert first.get_attribute("aria-selected") == "true"
    first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".panel:not([hidden])[data-drawn] [id$='-map'] .bk-Figure")
    assert second.get_attribute("aria-selected") == "true"
    visible(page, "[id$='-files'] > button").click()
    shown = page.locator(".panel:not([hidden]) [id$='-files'] tbody th").all_inner_texts()
    assert {f"{name}.wav" for name in NAMES[:4]} | {"\\u202egnp.wav", "line\\nbreak.wav"} < {*shown}
    for button in page.locator(".panel:not([hidden]) [id$='-files'] td.sound button").all()[:3]:
        button.click()
        wait_until_it_plays(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_blind_test(page):
    blind = visible(page, "[id$='-blind']")
    blind.get_by_role("button", name="Begin").click()
    page.keyboard.press("1")
    wait_until_it_plays(page)
    assert page.locator("#dock .playing").inner_text() == "Sound 1"
    for count in (1, 2, 3):
        blind.get_by_role("button", name="2 is the candidate's").click()
        words = blind.get_by_role("status").inner_text()
        assert f"of {count}; by chance" in words and words.startswith(("Right", "Wrong"))
    blind.get_by_role("button", name="End").click()
    assert blind.get_by_role("button", name="Play 1").is_disabled()


def test_axe_finds_nothing(browser, written):
    """In either theme, with a file playing and a list open. Skipped without axe-core's own package."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core")
    for scheme in ("light", "dark"):
        page = browser.new_context(color_scheme=scheme, bypass_csp=True).new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(written.as_uri())
        page.wait_for_selector(".panel[data-drawn]")
        visible(page, "td.sound button").click()
        found = axe.Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]})
        assert found.violations_count == 0, found.generate_report()
