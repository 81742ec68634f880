"""What a page says where a reader points, in a browser."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

import recurra
from browser import Browser, Page
from recurra.inspection import Inspection, Words, inspect, write_inspection

PICTURES = ["unrolled", "gradient_by_lag", "jacobian_norms", "lyapunov", "recurrent_weights", "gates", "states"]
PICTURES += ["attribution", "forgetting"]


def _last(output: tuple[Tensor, object]) -> Tensor:
    return output[0][:, -1].sum(1)


@pytest.fixture(scope="module")
def found() -> Inspection:
    torch.manual_seed(3)
    words = Words(first_step=1, unit="degrees", labels=[*"abcdefghijk", "</script>"])
    return inspect(recurra.LSTM(2, 4, batch_first=True), torch.randn(3, 12, 2), output=_last, words=words)


@pytest.fixture(scope="module")
def page(chromium: Browser, found: Inspection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("pointing")
    with chromium.page(1040) as shown:
        shown.open(write_inspection(found, folder / "page").as_uri())
        yield shown


def _box(page: Page, picture: str) -> tuple[float, float, float, float]:
    """Left, top, width and height of a picture in the window, once it has been scrolled there."""
    number = PICTURES.index(picture)
    found = page.evaluate(
        f"(() => {{ const picture = document.querySelectorAll('.picture')[{number}]; picture.scrollIntoView();"
        "const box = picture.getBoundingClientRect(); return [box.left, box.top, box.width, box.height]; })()"
    )
    return tuple(found)


def _panel(page: Page, picture: str, panel: int = 0) -> dict[str, list[float]]:
    number = PICTURES.index(picture)
    return page.evaluate(f"JSON.parse(document.querySelectorAll('.picture script')[{number}].textContent)[{panel}]")


def _said(page: Page) -> list[str]:
    """The lines of the values shown: the place, then a name and a number a curve; empty if nothing is shown."""
    return page.evaluate(
        "[...document.querySelectorAll('.values .place, .values .value')].map("
        "(line) => [...(line.children.length ? line.children : [line])].map((part) => part.textContent)"
        ".filter(Boolean).join('|'))"
    )


def _point(page: Page, picture: str, x: float, y: float) -> list[str]:
    left, top, width, height = _box(page, picture)
    page.move(left + x * width, top + y * height)
    return _said(page)


def _number(line: str) -> float:
    return float(line.rpartition("|")[2].replace("−", "-"))


def test_a_curve_says_its_values_at_the_nearest_lag(page: Page, found: Inspection) -> None:
    panel = _panel(page, "gradient_by_lag")
    step = panel["x"][4] - panel["x"][3]
    said = _point(page, "gradient_by_lag", panel["x"][3] + 0.3 * step, 0.3)
    assert said[0] == "layer 1: lag 3"
    assert [line.partition("|")[0] for line in said[1:3]] == ["whole state", "part h"]
    norms = found.gradients.whole()[0].norms
    assert _number(said[1]) == pytest.approx(norms[3], rel=1e-3)
    # The dot lies on the curve, and the pixels of the picture there are not the background's.
    assert page.evaluate("document.querySelectorAll('.dot').length") >= 3


def test_a_bar_says_the_step_and_what_it_adds(page: Page, found: Inspection) -> None:
    assert found.attribution is not None
    panel = _panel(page, "attribution")
    said = _point(page, "attribution", panel["x"][11], 0.5)
    assert said[0] == "step 12 (</script>)"
    assert said[1].startswith("integrated gradients (degrees)|")
    assert _number(said[1]) == pytest.approx(found.attribution.by_step[0, 11], rel=1e-3)


def test_the_arrow_nearest_to_the_mouse_says_its_gradient(page: Page, found: Inspection) -> None:
    panel = _panel(page, "unrolled")
    arrow = panel["points"].index("layer 1: from step 5 (e) to step 4 (d)")  # type: ignore[arg-type]
    said = _point(page, "unrolled", panel["x"][arrow], panel["y"][arrow])
    assert said[0] == "layer 1: from step 5 (e) to step 4 (d)"
    assert _number(said[1]) == pytest.approx(found.unrolled.rows[0].through_time[3], rel=1e-3)


def test_a_unit_goes_by_its_index_and_not_by_its_rank(page: Page, found: Inspection) -> None:
    panel = _panel(page, "gates", 1)
    said = _point(page, "gates", panel["x"][0], (panel["box"][1] + panel["box"][3]) / 2)
    unit = int(found.gates[1].mean.argmin())
    assert said[0] == f"layer 1: gate f of unit {unit}"
    assert _number(said[1]) == pytest.approx(found.gates[1].mean[unit], rel=1e-3)


def test_nothing_is_said_beside_the_panels(page: Page) -> None:
    assert _point(page, "lyapunov", 0.5, 0.4)
    assert _point(page, "lyapunov", 0.01, 0.99) == []


def test_keys_lead_from_value_to_value_and_say_them(page: Page, found: Inspection) -> None:
    number = PICTURES.index("states")
    slider = f"document.querySelectorAll('.slider')[{number}]"
    _box(page, "states")
    page.move(1, 1)
    page.evaluate(f"{slider}.focus()")
    page.press("End")
    page.press("Home")
    page.press("ArrowRight")
    second = int(np.argsort(found.states[0].mean)[1])
    assert _said(page)[0] == f"layer 1: h of unit {second}"
    text = page.evaluate(f"{slider}.getAttribute('aria-valuetext')")
    assert text.startswith(f"layer 1: h of unit {second}: mean ")
    page.press("PageDown")
    assert _said(page)[0] == f"layer 1: c of unit {int(found.states[1].mean.argmin())}"
    page.press("ArrowLeft")
    assert _said(page)[0] == f"layer 1: h of unit {int(found.states[0].mean.argmax())}"
    page.press("Escape")
    assert _said(page) == []


def test_what_a_finger_touched_stays_until_it_touches_elsewhere(page: Page) -> None:
    left, top, width, height = _box(page, "forgetting")
    page.move(1, 1)
    page.call("Emulation.setTouchEmulationEnabled", enabled=True)
    try:
        page.tap(left + 0.5 * width, top + 0.5 * height)
        assert re.match(r"all but \d+ steps replaced", _said(page)[0])
        page.tap(2, 2)
        assert _said(page) == []
    finally:
        page.call("Emulation.setTouchEmulationEnabled", enabled=False)


def test_no_other_address_is_asked_for(page: Page) -> None:
    assert [url for url in page.addresses if not url.startswith(("file:", "data:"))] == []
    assert sum(url.startswith("file:") for url in page.addresses) == 1


def test_values_stay_within_a_narrow_window(page: Page) -> None:
    address = page.evaluate("location.href")
    page.resize(420, 800)
    page.open(address)
    for x in (0.25, 0.5, 0.9):
        assert _point(page, "forgetting", x, 0.4)
        values = "document.querySelector('.values').getBoundingClientRect()"
        left, right = page.evaluate(f"{values}.left"), page.evaluate(f"{values}.right")
        assert 0 <= left <= right <= 420
    page.resize(1040, 900)
    page.open(address)
