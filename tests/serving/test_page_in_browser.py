"""The page in a real browser (Debian's chromium): every function, by mouse and by keyboard."""

import contextlib
import json
import shutil
import threading
import time

import pytest
from bundle_helpers import bundle
from conftest import find_port, random_sequences, write_dataset

pytestmark = pytest.mark.browser
webdriver = pytest.importorskip("selenium.webdriver")
uvicorn = pytest.importorskip("uvicorn")

from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

import recbole_sam  # noqa: E402
from recbole_sam.serving import bundle_files  # noqa: E402
from recbole_sam.serving.web.app import create_app  # noqa: E402

EVIL = "<img src=x onerror=document.body.remove()>"


@contextlib.contextmanager
def serving(folders, **options):
    """The address of a server in a thread of this process."""
    port = find_port()
    config = uvicorn.Config(create_app(folders, **options), port=port, log_level="warning", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join(60)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    sequences = random_sequences() | {EVIL: ["i1", "i2", "i3"]}
    write_dataset(root / "dataset" / "shop", sequences)
    found = [bundle(root, model, name=model)[0] for model in ("SAM", "SASRecText")]
    for folder in found:
        put_evil_titles(folder)
    return found


def put_evil_titles(folder):
    """Gives some items of a bundle a title that no dataset's cleaning would have let in."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    table = parquet.read_table(folder / bundle_files.ITEMS)
    titles = [title.replace("Lip Balm Honey", EVIL) for title in table["title"].to_pylist()]
    parquet.write_table(pa.table({"item": table["item"], "title": titles}), folder / bundle_files.ITEMS)
    facts = json.loads((folder / bundle_files.MANIFEST).read_text())
    for name in ("format", "version", "files", "checksum"):
        del facts[name]
    bundle_files.write_manifest(folder, facts)


@pytest.fixture(scope="module")
def address(folders):
    with serving(folders) as found:
        yield found


@pytest.fixture(scope="module")
def chromium():
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("chromium or chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()


class Page:
    """What a person sees and does."""

    def __init__(self, browser, address):
        self.browser = browser
        browser.get("about:blank")
        browser.get(address)

    def all(self, selector):
        return self.browser.find_elements("css selector", selector)

    def one(self, selector):
        return self.until(lambda: (self.all(selector) or [None])[0])

    def press(self, selector, key=None):
        """Clicks on something or sends it a key, again if it was just drawn anew."""

        def done():
            with contextlib.suppress(StaleElementReferenceException):
                one = self.one(selector)
                one.send_keys(key) if key else one.click()
                return True

        self.until(done)

    def texts(self, selector):
        script = "return [...document.querySelectorAll(arguments[0])].map(each => each.textContent)"
        return self.browser.execute_script(script, selector)

    def scores(self):
        """What stands on the recommendations as their scores."""
        script = "return [...document.querySelectorAll('#lists .pick')].map(each => each.title)"
        return self.browser.execute_script(script)

    def until(self, condition):
        return WebDriverWait(self.browser, 30, 0.05).until(lambda _: condition())

    def listed(self):
        """The titles of the recommendations."""
        return self.texts("#lists .pick .title")

    def changed(self, before):
        """The recommendations once they are others."""
        self.until(lambda: self.listed() not in ([], before))
        return self.listed()

    def find(self, typed, kind):
        self.one("#find").send_keys(typed)
        self.until(lambda: kind in self.texts("#found .kind"))

    def open(self, user):
        self.find(user, "user")
        self.one("#find").send_keys(Keys.ENTER)
        self.until(lambda: self.texts("#who") == [f"User {user}"] and self.listed())


@pytest.fixture
def page(chromium, address):
    one = Page(chromium, address)
    one.one("#try button")
    yield one
    errors = [entry for entry in chromium.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not errors
    assert one.texts("#status") == [""]


def test_a_user_is_found_by_typing(page):
    page.open("u12")
    assert len(page.listed()) == 10 and len(page.all("#session li")) >= 3
    page.until(lambda: page.all("#interests .chip[aria-pressed=true]"))
    assert all(page.texts("#interests .chip")) and page.texts("#interests small")


def test_a_session_is_built_reordered_and_emptied(page):
    for typed in ("mint", "tweezers"):
        page.find(typed, "item")
        page.one("#find").send_keys(Keys.ARROW_DOWN, Keys.ARROW_UP, Keys.ENTER)
        page.until(lambda: page.all("#found li") == [])
    page.until(lambda: len(page.all("#session li")) == 2)
    first = page.texts("#session .title")
    before = page.changed([])
    page.press("#session li:last-child .up", Keys.ENTER)
    page.until(lambda: page.texts("#session .title") == first[::-1])
    page.changed(before)
    assert page.browser.switch_to.active_element.get_attribute("class") in ("down", "away")
    before = page.listed()
    page.press("#session li:first-child .away")
    page.until(lambda: page.texts("#session .title") == first[:1])
    page.changed(before)
    page.press("#clear")
    page.until(lambda: not page.listed() and not page.all("#session li"))


def test_a_changed_history_is_a_session(page):
    page.open("u3")
    count = len(page.all("#session li"))
    page.press("#session .away")
    page.until(lambda: page.texts("#who") == ["This session"])
    assert len(page.all("#session li")) == count - 1


def test_an_interest_is_switched_off_and_on(page, folders):
    user, number = whose_list_hangs_on_an_interest(folders[0])
    page.open(user)
    before = page.listed()
    plain = page.scores()
    page.press(f"#interests li:nth-child({number}) .chip")
    page.one("#interests .chip[aria-pressed=false]")
    page.until(lambda: page.scores() not in ([], plain))
    page.press("#interests .chip[aria-pressed=false]", Keys.SPACE)
    page.until(lambda: not page.all("#interests .chip[aria-pressed=false]"))
    page.until(lambda: page.listed() == before and not page.all(".rose, .fell"))


def whose_list_hangs_on_an_interest(folder):
    """A user and the number of an interest without which the ten best items score otherwise.

    An item's score is its best match with any view, so an interest may carry none of them.
    """
    shop = recbole_sam.load(folder)
    for user in (f"u{number}" for number in range(1, 40)):
        plain = shop.recommend(users=[user], k=10)["score"]
        for number in range(1, len(shop.interests(user)) + 1):
            without = shop.recommend(users=[user], k=10, without_interests=[number])["score"]
            if abs(plain - without).max() > 0.01:
                return user, number
    raise AssertionError("nobody's list hangs on an interest")


def test_it_is_said_when_nothing_moves(page):
    page.open("u12")
    before = page.listed()
    page.one("#phrase").send_keys("beard comb", Keys.ENTER)
    page.changed(before)
    page.one("#strength").send_keys(Keys.HOME)  # 0
    page.until(lambda: page.texts(".gone") == ["Nothing here moved."])


def test_a_typed_wish_lifts_what_fits(page, folders):
    wished = recbole_sam.load(folders[0]).recommend(users=["u12"], k=10, steer=["beard comb"])
    page.open("u12")
    before = page.listed()
    page.one("#phrase").send_keys("beard comb", Keys.ENTER)
    after = page.changed(before)
    assert after == wished["title"].tolist()
    assert any("Beard Comb" in text and "▲" in text for text in page.texts("#lists .pick"))
    gone = [title for title in before if title not in after]
    assert page.texts(".gone") == (["▼ No longer here: " + " · ".join(gone)] if gone else [])
    page.one("#strength").send_keys(Keys.HOME)  # 0: nothing moves
    page.until(lambda: page.listed() == before)
    page.press(".chip.typed")
    page.until(lambda: not page.all(".chip.typed") and not page.all(".moved"))


def test_a_recommendation_says_why(page):
    page.open("u12")
    page.press(".pick")
    page.until(lambda: len(page.all(".why h3")) == 3)
    headings, bars = page.texts(".why h3"), page.texts(".why .bar")
    assert "sum" in headings[0] and len(bars) >= 4
    total = float(headings[0].split()[1])
    parts = page.browser.execute_script(
        "return [...document.querySelectorAll('.why h3:first-child ~ *')].map(one => [one.tagName, "
        "one.querySelector('.number')?.textContent])"
    )
    names = [tag for tag, _ in parts]
    values = [float(text.replace("−", "-")) for _, text in parts[: names.index("H3")]]
    assert sum(values) == pytest.approx(total, abs=0.03)
    assert any(float(each.value_of_css_property("width")[:-2]) > 20 for each in page.all(".fill"))
    page.press(".pick", Keys.ENTER)
    page.until(lambda: not page.all(".why"))


def test_two_bundles_side_by_side(page):
    page.open("u12")
    Select(page.one("#other")).select_by_value("SASRecText")
    page.until(lambda: len(page.all("#lists .list")) == 2)
    assert page.texts("#lists h2") == ["SAM (SAM)", "SASRecText (SASRecText)"]
    Select(page.one("#bundle")).select_by_value("SASRecText")
    page.until(lambda: len(page.all("#lists .list")) == 1 and not page.all("#interests li"))


def test_titles_and_names_stay_text(page):
    page.open(EVIL)
    before = page.scores()
    page.find("onerror", "item")
    page.one("#find").send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    page.until(lambda: EVIL in "".join(page.texts("#session .title")))
    page.until(lambda: page.scores() not in ([], before))
    page.press(".pick")
    page.until(lambda: page.all(".why .bar"))
    assert not page.all("img") and page.all("#find")


def test_on_a_phone_nothing_is_cut_off(page):
    size = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.open("u12")
        page.press(".pick")
        page.until(lambda: page.all(".why .bar"))
        assert page.browser.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_dark_where_the_system_is_dark(page):
    colours = set()
    for scheme in ("light", "dark"):
        features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
        colours.add(page.one("body").value_of_css_property("background-color"))
    assert len(colours) == 2


def test_nobody_found_is_said(page):
    page.one("#find").send_keys("qqqq")
    page.until(lambda: page.texts("#status") == ["Nothing is called so."])
    page.one("#find").clear()
    page.one("#find").send_keys("m")
    page.until(lambda: page.texts("#status") == [""])


def test_a_token_is_asked_for_once(chromium, folders):
    with serving(folders[1:], token="secret") as address:
        page = Page(chromium, address)
        page.until(lambda: page.one("#token").is_displayed())
        page.one("#token").send_keys("secret", Keys.ENTER)
        page.press("#try button")
        page.until(page.listed)
        chromium.get_log("browser")  # the refusals stand there
