"""The page in a browser: it draws, plays, lists and sorts; nothing is fetched and no name is executed.

Skipped without Playwright or Chromium (Debian's package; another one by ``CHROMIUM``). ``PAGE_SHOTS``, a
folder, keeps what it looked like.
"""

import contextlib
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
PATIENCE = 60_000  # ms: on a machine with other work nothing is shown by being slow
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


def write_set(folder, names, first, *, smooth=1, noise):
    """White noises, or dark ones, as WAV under these names."""
    folder.mkdir()
    for i, name in enumerate(names):
        samples = np.convolve(noise(first + i, 2.0), np.ones(smooth) / smooth, "same")
        with (folder / f"{name}.wav").open("wb") as file:
            soundfile.write(file, samples, 16000, format="WAV")


def write_page(folder, *names):
    out = folder / "page.html"
    sets = [str(folder / name) for name in names]
    assert main([*sets, "--page", str(out), "--workers", "1", "--permutations", "199"]) == 0
    return out


@pytest.fixture(scope="module")
def written(tmp_path_factory, noise):
    """Ten white noises; ten others of the same and ten dark ones, some with hostile names."""
    folder = tmp_path_factory.mktemp("sets")
    write_set(folder / "real", [f"real_{i}" for i in range(10)], 0, noise=noise)
    write_set(folder / "good", [f"good_{i}" for i in range(10)], 20, noise=noise)
    names = [*NAMES, *(f"dark_{i}" for i in range(len(NAMES), 10))]
    write_set(folder / "dark", names, 40, smooth=3, noise=noise)
    return write_page(folder, "real", "good", "dark")


@pytest.fixture(scope="module")
def written_in_pairs(tmp_path_factory, noise):
    """Eight white noises, and the same names with dark ones."""
    folder = tmp_path_factory.mktemp("pairs")
    names = [NAMES[0], *(f"both_{i}" for i in range(7))]
    write_set(folder / "real", names, 0, noise=noise)
    write_set(folder / "dark", names, 20, smooth=3, noise=noise)
    return write_page(folder, "real", "dark")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield opened
        opened.close()


@contextlib.contextmanager
def opened(browser, written, scheme, width, *, name, before=""):
    """A page, drawn; at the end, nothing has been complained of, fetched or executed.

    ``before`` runs in it before all else.
    """
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.add_init_script(before)
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
        page.screenshot(path=Path(shots, f"{name}.png"), full_page=True)
    assert complaints == []
    assert [url for url in requests if not url.startswith(("blob:", "data:"))] == [written.as_uri()]
    assert page.evaluate("window.executed") is None
    context.close()


@pytest.fixture(params=[("light", 1280), ("dark", 360)], ids=["light-1280", "dark-360"])
def page(browser, written, request):
    with opened(browser, written, *request.param, name=request.node.name) as page:
        yield page


@pytest.fixture
def wide(browser, written, request):
    with opened(browser, written, "light", 832, name=request.node.name) as page:
        yield page


@pytest.fixture
def pairs(browser, written_in_pairs, request):
    with opened(browser, written_in_pairs, "dark", 360, name=request.node.name) as page:
        yield page


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


def test_the_band_alone(wide):
    """While the button is pressed, there is sound behind the filters and none beside them; and back."""
    wide.evaluate("""() => {
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
    visible(wide, "td.sound button").click()
    wide.evaluate("document.querySelector('audio').loop = true")
    solo = wide.locator("#dock button[aria-pressed]")
    assert solo.inner_text().startswith("Only ") and solo.inner_text().endswith(" Hz")
    solo.click()
    assert solo.get_attribute("aria-pressed") == "true"
    until(wide, "window.sounding() === 'false,true'")
    solo.click()
    until(wide, "window.sounding() === 'true,false'")


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
    rows = page.locator(".panel:not([hidden]) .all tbody tr")
    assert rows.count() == 10
    values = [float(rows.nth(i).locator("td.number").first.inner_text()) for i in range(10)]
    assert values == sorted(values, reverse=True)
    visible(page, ".all > button").click()
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
    visible(page, ".all > button").click()
    shown = page.locator(".panel:not([hidden]) .all tbody th").all_inner_texts()
    assert {f"{name}.wav" for name in NAMES[:4]} | {"\\u202egnp.wav", "line\\nbreak.wav"} < {*shown}
    for button in page.locator(".panel:not([hidden]) .all td.sound button").all()[:3]:
        button.click()
        wait_until_it_plays(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_blind_test(wide):
    blind = visible(wide, "[id$='-blind']")
    blind.get_by_role("button", name="Begin").click()
    wide.keyboard.press("1")
    wait_until_it_plays(wide)
    assert wide.locator("#dock .playing").inner_text() == "Sound 1"
    for count in (1, 2, 3):
        blind.get_by_role("button", name="2 is the candidate's").click()
        words = blind.get_by_role("status").inner_text()
        assert f"of {count}; by chance" in words and words.startswith(("Right", "Wrong"))
    blind.get_by_role("button", name="End").click()
    assert blind.get_by_role("button", name="Play 1").is_disabled()


def test_a_box_by_keyboard(wide):
    """Arrows, plus and minus, Enter, Escape; then what lies around the file that plays."""
    told = visible(wide, "[id$='-told']")
    visible(wide, "[id$='-map']").focus()

    def selected(*keys):
        for key in keys:
            wide.keyboard.press(key)
        return int(told.inner_text().split(" ")[0])

    counts = [selected("ArrowLeft"), selected("ArrowLeft"), selected("ArrowUp")]
    grown = selected(*["+"] * 12)
    assert all(count < 20 for count in counts) and grown == 20
    assert visible(wide, ".region summary").inner_text() == "20 selected"
    assert selected("-") <= 20
    assert not wide.locator("#dock").is_visible()  # a box of one file is no click on it
    wide.keyboard.press("Enter")
    assert wide.evaluate("document.activeElement.matches('.region summary')")
    visible(wide, "[id$='-map']").focus()
    assert selected("Escape") == 0 and visible(wide, ".region summary").count() == 0
    button = visible(wide, "td.sound button")
    button.focus()
    wide.keyboard.press("Enter")
    wait_until_it_plays(wide)
    wide.get_by_role("button", name="Files near it on the map").press("Enter")
    assert visible(wide, ".region summary").inner_text() == "12 selected"
    name = wide.locator("#dock .playing bdi").inner_text()
    assert visible(wide, ".region li bdi").inner_text() == name  # itself the first
    wide.get_by_role("button", name="Close").press("Enter")
    assert button.evaluate("(own) => own === document.activeElement")


def test_every_stop_of_the_tab_key_has_a_name(wide):
    """Bokeh's tools too, which lie within shadow roots; after the window has changed as well."""
    script = """() => {
        const found = [];
        const walk = (root) => {
            for (const node of root.querySelectorAll("*")) {
                if (node.shadowRoot) walk(node.shadowRoot);
                if (node.tabIndex < 0 || node.tagName === "AUDIO" || !node.checkVisibility()) continue;
                const named = node.getAttribute("aria-label") || node.textContent.trim();
                const mute = node.tagName === "DIV" && !node.hasAttribute("role");
                if (!named || mute) found.push(node.className);
            }
        };
        walk(document);
        return found.join();
    }"""
    assert wide.evaluate(script) == ""
    wide.set_viewport_size({"width": 400, "height": 800})
    until(wide, "document.querySelector('.bk-Figure').offsetWidth < 400")
    assert wide.evaluate(script) == ""


def test_axes_follow_the_theme(wide):
    ink = """() => {
        const figure = document.querySelector(".bk-Figure").shadowRoot.querySelector(".bk-Canvas");
        return getComputedStyle(figure).getPropertyValue('--bk-axis-label-text-color');
    }"""
    light = wide.evaluate(ink)
    wide.emulate_media(color_scheme="dark")
    until(wide, f"({ink})() !== '{light}'")


def test_pairs_side_by_side(pairs):
    rows = pairs.locator(".pairs tbody tr")
    assert rows.count() == 8
    assert {*rows.locator("th").all_inner_texts()} >= {f"{NAMES[0]}.wav", "both_0.wav"}
    first = rows.first
    name = first.locator("th").inner_text()
    for side in ("reference", "candidate"):
        first.get_by_role("button", name=f"Play {name} ({side})", exact=True).click()
        wait_until_it_plays(pairs)
        assert pairs.locator("#dock .playing").inner_text() == f"{name} ({side})"
    pairs.get_by_role("button", name="Play its pair").click()
    assert pairs.locator("#dock .playing").inner_text() == f"{name} (reference)"
    first.get_by_role("button", name="Both of").click()
    until(pairs, "document.querySelector('#dock .playing').textContent.endsWith('(candidate)')")
    values = [float(rows.nth(i).locator("td.number").nth(1).inner_text()) for i in range(8)]
    assert values == sorted(values, reverse=True)
    pairs.get_by_role("button", name="Close").click()
    visible(pairs, "[id$='-map']").focus()
    for key in ["ArrowLeft", *["+"] * 12]:
        pairs.keyboard.press(key)
    visible(pairs, ".region li").wait_for()
    assert pairs.locator(".region li").count() == 8  # a line a pair
    assert pairs.evaluate("document.documentElement.scrollWidth <= innerWidth")


WITHOUT = "const has = HTMLMediaElement.prototype.canPlayType; HTMLMediaElement.prototype.canPlayType ="


def test_a_browser_without_ogg_plays_the_copies_in_mp3(browser, written, request):
    before = WITHOUT + "function (type) { return type.includes('ogg') ? '' : has.call(this, type); };"
    with opened(browser, written, "light", 832, name=request.node.name, before=before) as page:
        assert (
            page.locator("#mute")
            .inner_text()
            .startswith("This browser does not play Ogg Opus: 10 files of 30")
        )
        visible(page, "td.sound button:not([disabled])").click()
        wait_until_it_plays(page)
        page.get_by_role("button", name="Play the nearest").click()
        wait_until_it_plays(page)
        assert page.evaluate("document.querySelector('audio').src.startsWith('blob:')")


def test_a_browser_that_plays_nothing_says_so(browser, written, request):
    before = WITHOUT + "() => '';"
    with opened(browser, written, "dark", 320, name=request.node.name, before=before) as page:
        assert "no sound can be heard here" in page.locator("#mute").inner_text()
        assert visible(page, "td.sound button").is_disabled()
        assert "No pair of files can be played" in visible(page, "[id$='-blind']").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_axe_finds_nothing(browser, written, written_in_pairs):
    """In either theme, with a file playing and a list open. Skipped without axe-core's own package."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core")
    for scheme, file in (("light", written), ("dark", written), ("dark", written_in_pairs)):
        context = browser.new_context(color_scheme=scheme, bypass_csp=True)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(file.as_uri())
        page.wait_for_selector(".panel[data-drawn]")
        visible(page, "td.sound button").click()
        page.get_by_role("button", name="Files near it on the map").click()
        visible(page, ".region li").wait_for()
        found = axe.Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]})
        print(f"{scheme}: {found.violations_count} violations")
        assert found.violations_count == 0, found.generate_report()
        context.close()
