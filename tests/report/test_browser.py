"""The page in a browser: it sorts, filters, slides, and logs nothing."""

import base64

import numpy as np
import pytest

from ispbench.report.contents import contents
from ispbench.report.page import assemble
from ispbench.report.pictures import Pictures
from tests.report.browser import Watched, chromium
from tests.report.conftest import HOSTILE


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def address(results, tmp_path_factory):
    """A page whose images are plain colors: the target black, the rows white."""
    content = contents(results, "psnr", None)
    board = next(board for board in content["boards"] if "many-cameras" in board["title"])
    pictures = Pictures(None)
    sides = {"target": np.zeros((120, 160, 3), np.uint8)}
    sides |= {row["row"]: np.full((120, 160, 3), 255, np.uint8) for row in board["rows"]}
    pictures._boards.append({pick["image"]: sides for pick in board["picks"].values()})
    (board["files"],) = pictures.embedded()
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(assemble(content))
    return path.as_uri()


@pytest.fixture
def watched(browser, address):
    found = Watched(browser, address, viewport={"width": 1280, "height": 900})
    yield found
    assert not found.problems
    assert [url for url in found.requests if not url.startswith("data:")] == [address]
    found.page.close()


def models(page):
    return page.locator("#ranking tbody th a").all_inner_texts()


def test_the_columns_sort(watched):
    page = watched.page
    assert models(page) == [HOSTILE, "unet", "lan"]
    assert page.locator("#ranking th[aria-sort]").get_attribute("aria-sort") == "ascending"
    heading = page.locator("#ranking th", has=page.get_by_role("button", name="Params"))
    heading.get_by_role("button").click()
    assert models(page) == ["lan", "unet", HOSTILE]
    page.keyboard.press("Enter")  # the button keeps the focus
    assert models(page) == [HOSTILE, "unet", "lan"]
    assert heading.get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="PSNR").click()
    assert models(page) == [HOSTILE, "unet", "lan"]
    page.get_by_role("button", name="LPIPS").click()
    assert models(page) == [HOSTILE, "unet", "lan"]  # lower is better, so ascending at first
    assert page.locator("#ranking th[aria-sort]").get_attribute("aria-sort") == "ascending"


def test_the_filters_hold_for_table_plots_and_rates(watched):
    page = watched.page
    assert page.locator("#cost figure").count() == 3
    assert page.locator('#cost [data-cost="gmacs"] a.point').count() == 3
    page.get_by_role("searchbox", name="Model").fill("un")
    assert models(page) == ["unet"]
    assert page.get_by_role("status").inner_text() == "1 of 3 rows"
    assert page.locator("#cost .label").all_text_contents() == ["unet"] * 3
    assert "Fewer than two" in page.locator("#wins").inner_text()
    page.get_by_role("searchbox", name="Model").fill("")
    page.get_by_role("combobox", name="Size").select_option("100000")
    assert models(page) == ["unet", "lan"]
    assert page.locator("#wins td.wins").count() == page.locator("#wins td.loses").count() == 1
    page.get_by_role("combobox", name="Score").select_option("lpips")
    assert "LPIPS" in page.locator("#cost svg").first.get_attribute("aria-label")
    assert page.locator("#images .scores").get_attribute("aria-label") == "PSNR of this image"  # it was picked by PSNR
    page.get_by_role("combobox", name="Table").select_option("1")
    assert "one-camera" in page.get_by_role("combobox", name="Table").locator("option:checked").inner_text()
    assert models(page) == ["unet"]


def test_the_breakdown_and_the_ablation_are_drawn(watched):
    page = watched.page
    assert page.locator("#breakdown .plot .mark").count() == 3 * 2 + 3  # and the legend
    page.get_by_role("button", name="ISO").click()
    assert page.locator("#breakdown thead th").all_inner_texts()[2:] == [
        f"{iso}\n16 images" for iso in (100, 800, 1600)
    ]
    assert page.locator("#ablations .whisker").count() == 3


def test_the_divider_slides_and_the_images_zoom(watched):
    page = watched.page
    stage = page.locator(".stage")
    stage.scroll_into_view_if_needed()

    def bright(x):
        """Whether the point at so much of the width shows the right image."""
        shot = stage.screenshot()
        return page.evaluate(
            """async ([coded, x]) => {
                const bytes = Uint8Array.from(atob(coded), (letter) => letter.charCodeAt(0));
                const bitmap = await createImageBitmap(new Blob([bytes]));
                const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
                canvas.getContext("2d").drawImage(bitmap, 0, 0);
                return canvas.getContext("2d").getImageData(x * bitmap.width, bitmap.height / 4, 1, 1).data[1] > 127;
            }""",
            [base64.b64encode(shot).decode(), x],
        )

    assert not bright(0.3)
    assert bright(0.7)
    slider = page.get_by_role("slider", name="Divider")
    slider.focus()
    page.keyboard.press("Home")
    assert bright(0.3)
    page.keyboard.press("End")
    assert not bright(0.7)
    box = stage.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 20)
    page.mouse.up()
    assert slider.input_value() == "20"
    page.get_by_role("slider", name="Zoom").focus()
    page.keyboard.press("End")
    transform = stage.locator("img").first.evaluate("image => image.style.transform")
    assert transform == "scale(8) translate(0%, 0%)"
    stage.focus()
    page.keyboard.press("ArrowRight")
    assert stage.locator("img").last.evaluate("image => image.style.transform") == "scale(8) translate(-5%, 0%)"
    page.get_by_role("button", name="Best").click()
    assert page.get_by_role("button", name="Best").get_attribute("aria-pressed") == "true"
    assert "has the best mean" in page.locator("#images").inner_text()


def test_a_row_leads_to_its_provenance(watched):
    page = watched.page
    page.get_by_role("link", name="unet", exact=True).first.click()
    opened = page.locator("details[open]")
    opened.wait_for()
    assert "ispbench reproduce" in opened.inner_text()
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_names_stay_text(watched):
    assert watched.page.title() == "ispbench: leaderboard"
    assert watched.page.locator("main b").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_and_a_phone_needs_no_sideways_scrolling(browser, address, theme):
    found = Watched(browser, address, viewport={"width": 360, "height": 740}, color_scheme=theme)
    assert found.page.evaluate("document.documentElement.scrollWidth") == 360
    lightness = """selector => {
        const [r, g, b] = getComputedStyle(document.querySelector(selector)).color.match(/[0-9.]+/g)
            .slice(0, 3).map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    }"""
    ground = 1.0 if theme == "light" else 0.008  # of #fff and #12161b
    for selector in ("body", ".note", "#ranking tbody th a"):
        levels = sorted((found.page.evaluate(lightness, selector), ground))
        assert (levels[1] + 0.05) / (levels[0] + 0.05) > 4.5  # WCAG 2, AA
    assert not found.problems
    found.page.close()
