"""The page in a real browser: what it shows is what the API says, nothing hostile runs, everybody can use it, and every no has its words."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from urllib.parse import quote, urlsplit

import msgspec
import pytest
from selenium.webdriver.common.keys import Keys

from tests.core.test_consent import CONTACT
from tests.page.browser import PHONE, WIDE, Served
from tests.serve.worker import Worker

pytestmark = pytest.mark.xdist_group("page")  # one browser
BASKET = {"total": 30.0}
VIEWS = ("#/map", "#/customer/h-1", "#/definition")
READ = "r" * 32
HOSTILE = '<img src=x onerror="window.hacked=1">\'/&?#%'


def got(served, path, **headers):
    """Status, headers and body, from this process."""
    line = HTTPConnection(urlsplit(served.url).netloc, timeout=5)
    line.request("GET", path, headers=headers)
    said = line.getresponse()
    body = said.read()
    line.close()
    return said.status, said.headers, body


def answer(served, path):
    return json.loads(got(served, path)[2])


async def a_month(worker):
    """Households that come, stay away, come back; one that climbs and is noted."""
    await worker.hear(*((f"h-{n}", "Order Completed", 0, BASKET) for n in range(12)))
    await worker.hear(*(("h-1", "Order Completed", day, {"total": 120.0}) for day in range(1, 7)))
    await worker.hear(*(("h-2", "Order Completed", day, BASKET) for day in range(1, 40)))
    await worker.until(45)
    await worker.hear(("h-3", "Order Completed", 46, BASKET), ("h-4", "Coupon Redeemed", 46))


@pytest.fixture
def served(worker):
    with Served(worker) as made:
        made.do(a_month(worker))
        yield made


def drawn(browser):
    """Whether the view has what it shows."""
    return browser.js("return !!document.querySelector('.funnel tbody tr, .timeline li, .flows .ribbon')")


def test_the_map_shows_the_numbers_of_the_api(served, browser):
    """The funnel row by row; each move is a ribbon and a row, moves back and aside as well."""
    browser.go(f"{served.url}/#/map")
    browser.until(lambda: browser.all(".flows .ribbon"))
    funnel = answer(served, "/v1/journeys/grocery/funnel")
    rows = browser.js(
        "return [...document.querySelectorAll('.funnel tbody tr')].map(r => [...r.children].map(c => c.innerText))"
    )
    assert [row[0].split(" ")[0] for row in rows] == [each["stage"] for each in funnel["stages"]]
    assert [int(row[1]) for row in rows] == [each["now"] for each in funnel["stages"]]
    assert [row[2] for row in rows] == [
        "–" if each["reached"] is None else str(each["reached"]) for each in funnel["stages"]
    ]
    moves = answer(served, "/v1/journeys/grocery/moves")["moves"]
    assert {"aside", "return", "forward"} <= {each["direction"] for each in moves}
    titles = browser.js("return [...document.querySelectorAll('.ribbon title')].map(t => t.textContent)")
    assert sorted(titles) == sorted(
        f"{each['from']} → {each['to']}: {each['moves']} ({each['direction']})" for each in moves
    )
    browser.one(".wide summary").click()
    table = browser.js(
        "return [...document.querySelectorAll('.wide tbody tr')].map(r => [...r.children].map(c => c.textContent))"
    )
    assert table == [[each["from"], each["to"], each["direction"], str(each["moves"])] for each in moves]
    browser.says("12 customers", "2026-02-15")


def test_moves_back_are_drawn_under_the_order(tmp_path, browser):
    """A backward move is a loop, never lost and never an arrow forward."""
    worker = Worker(tmp_path, "topologies/saas")
    with Served(worker) as served:
        names = (
            "Asset Downloaded",
            "Trial Started",
            "Account Created",
            *["Report Exported"] * 3,
            "Subscription Renewed",
        )
        served.do(worker.hear(*(("u-1", name, at, {"asset": str(at)}) for at, name in enumerate(names))))
        served.do(worker.until(60))
        browser.go(f"{served.url}/#/map")
        browser.until(lambda: browser.all(".ribbon.backward"))
        moves = {
            (each["from"], each["to"])
            for each in answer(served, "/v1/journeys/saas/moves")["moves"]
            if each["direction"] == "backward"
        }
        assert moves == {("retention", "adoption")}
        box = browser.js(
            "const b = document.querySelector('.ribbon.backward').getBBox(), n = document.querySelector('.node').getBBox(); return [b.y + b.height, n.y + n.height]"
        )
        assert box[0] > box[1]
    worker.close()


def test_a_customer_is_shown_with_each_decision_and_its_why(served, browser):
    """The stage, the score, the timeline; what somebody has opened stays open while the page goes on."""
    browser.go(f"{served.url}/#/customer/h-1")
    browser.says("h-1", "lapsed now", "Timeline", "Why not?")
    timeline = answer(served, "/v1/customers/h-1/timeline")["entries"]
    assert len(browser.all(".timeline > li")) == len(timeline)
    assert len(browser.all(".timeline details")) == sum(len(each["decisions"]) for each in timeline)
    browser.js("document.querySelectorAll('.timeline details').forEach(each => each.open = true)")
    told = next(each for entry in timeline for each in entry["decisions"] if "action" in each["type"])
    browser.says(told["data"]["because"]["rule"], told["id"])
    served.do(served.worker.hear(("h-1", "Order Completed", 50, BASKET)))
    browser.until(lambda: len(browser.all(".timeline > li")) > len(timeline))
    assert len(browser.all(".timeline details[open]")) == sum(len(each["decisions"]) for each in timeline)


def test_why_not_is_answered_in_words(served, browser):
    browser.go(f"{served.url}/#/customer/h-1")
    browser.says("Why not?")
    browser.js(
        "const s = document.querySelector('#rule'); s.value = [...s.options].find(o => o.text === 'thank redeemer').value"
    )
    browser.one("form.row button").click()
    browser.says("What would have to differ", "Coupon Redeemed")


async def a_cart(worker):
    """Somebody in the middle of a flow, who was greeted by the channel that they named, and opened it."""
    who = [f"c-{n}" for n in range(40)]
    known = {"preferred_channel": "push"}
    await worker.hear(*((each, "", 0.4, {}, known) for each in who))
    await worker.hear(*((each, "Account Created", 0.5) for each in who))
    await worker.hear(*((each, "Product Added", 0.6, {"cart_id": "cart/7"}) for each in who))
    for each in who:
        told = worker.window.customer(each).profile.ledger.messages
        if told:
            return each, next(iter(told))
    raise AssertionError("nobody was greeted")


def test_a_customer_in_a_flow_is_shown_with_the_channel_that_they_prefer(tmp_path, browser):
    """Open flows, messages and what became of them, experiments; why the flow does not begin again; and what has no place of its own."""
    worker = Worker(tmp_path, "topologies/outreach", lambda topology: msgspec.structs.replace(topology, journal=9))
    with Served(worker) as served:
        who, action = served.do(a_cart(worker))
        full = next(each for each in decisions(served, who) if each["id"].startswith(action))["id"]
        served.do(worker.hear((who, "Email Opened", 0.7, {"action_id": full})))
        browser.go(f"{served.url}/#/customer/{who}")
        browser.says(
            "In a flow", "cart · cart/7", "Preferred channel", "named by the customer", "1 of 1 opened, 0 clicked"
        )
        browser.says("Messages", "by push, opened 2026-01-01 16:48", "not for offers", "Experiments")
        browser.js(
            "const s = document.querySelector('#rule'); s.value = [...s.options].find(o => o.text === 'cart').value"
        )
        browser.one("form.row button").click()
        browser.says("it does not begin", "event.properties.cart_id must be there")
        assert browser.js("return [...document.querySelectorAll('#rule optgroup')].map(o => o.label)") == [
            "Triggers",
            "Flows",
        ]
        browser.go(f"{served.url}/#/definition")
        browser.says("Flows", "cart", "after exit")
    worker.close()


def test_what_a_late_event_has_withdrawn_is_struck_out(tmp_path, browser):
    """With the reason and the instant of what has withdrawn it, also where it comes while one looks on."""
    worker = Worker(tmp_path, "topologies/outreach", lambda topology: msgspec.structs.replace(topology, journal=9))
    with Served(worker) as served:
        served.do(worker.hear(("u-1", "Product Added", 0.5, {"cart_id": "c1"})))
        served.do(worker.until(0.6))
        browser.go(f"{served.url}/#/customer/u-1")
        browser.says("cart.reminder")
        assert not browser.all(".timeline s.what")
        served.do(worker.hear(("u-1", "Order Completed", 0.52)))
        browser.until(lambda: browser.all(".timeline s.what"))
        browser.says("withdrawn: late event of 2026-01-01 12:28", "action.suppressed of 2026-01-01 13:00")
    worker.close()


def test_survey_answers_are_shown_with_class_stages_and_comment(tmp_path, browser):
    worker = Worker(tmp_path, "topologies/saas")
    with Served(worker) as served:
        said = {"survey": "relationship", "score": 3, "comment": "<b>slow</b>"}
        served.do(worker.hear(("u", "Asset Downloaded", 0), ("u", "Survey Answered", 1, said)))
        browser.go(f"{served.url}/#/customer/u")
        browser.says("Survey answers", "3, detractor, 2026-01-02", "after awareness → consideration", "<b>slow</b>")
    worker.close()


def test_a_customer_is_shown_with_the_account_that_they_belong_to(tmp_path, browser):
    """Its stage, score and contacts, as they change; of who belongs to none nothing is asked."""
    worker = Worker(tmp_path, "topologies/saas")
    with Served(worker) as served:
        champion = {"role": "champion"}
        served.do(worker.hear(("u", "Identified", 0, {}, champion, HOSTILE), ("v", "Identified", 1, {}, champion, HOSTILE), ("w", "Page Viewed", 1)))  # fmt: skip
        browser.go(f"{served.url}/#/customer/u")
        browser.says("u", "Timeline")
        browser.until(lambda: pairs(browser, "Account"))
        assert pairs(browser, "Account") == [
            [HOSTILE, "awareness since 2026-01-01 00:00"], ["v", "champion, awareness"], ["u", "champion, awareness"],
        ]  # fmt: skip
        served.do(worker.hear(("v", "Asset Downloaded", 2, {"asset": "a"})))
        browser.until(lambda: pairs(browser, "Account")[0][1].startswith("consideration"))
        assert browser.js("return [document.images.length, window.hacked ?? null]") == [0, None]
        browser.go(f"{served.url}/#/customer/w")
        browser.says("w", "Timeline")
        assert browser.js(
            "return [...document.querySelectorAll('h3')].find(e => e.textContent === 'Account').parentElement.hidden"
        )
    worker.close()


def test_where_a_customer_had_trouble_and_how_long_they_stayed_is_shown(tmp_path, browser):
    """The last frictions with place, instant and weight, the latest first; the time on each page; the sessions. Of a hostile producer it is text."""
    worker = Worker(tmp_path, "topologies/signals")
    with Served(worker) as served:
        form, second = {"form": HOSTILE}, 1 / 86_400
        heard = [
            ("u", "Page Viewed", at * second, {"path": path})
            for at, path in ((0, "/all_prices"), (90, "/docs"), (120, "/end"))
        ]
        heard += [("u", "Form Error Shown", (130 + at) * second, form) for at in range(2)]
        served.do(worker.hear(*heard, ("u", "Payment Failed", 140 * second)))
        found = answer(served, "/v1/customers/u")
        assert [each["kind"] for each in found["frictions"]] == ["payment_failure", "form_error"]
        browser.go(f"{served.url}/#/customer/u")
        browser.says("Friction", "Time on pages", "Sessions")
        assert pairs(browser, "Friction") == [
            ["payment failure", "2026-01-01 00:02:20, weight 8"],
            ["form error", f"{HOSTILE}, 2026-01-01 00:02:11, weight 3"],
        ]
        assert ["/all_prices", "90 s in 1 view, last 2026-01-01 00:00"] in pairs(browser, "Time on pages")
        assert len(pairs(browser, "Sessions")) == len(found["sessions"]) == 1
        assert browser.js("return [document.images.length, window.hacked ?? null]") == [0, None]
        assert browser.axe() == []
        served.do(worker.hear(("u", "Payment Failed", 150 * second, {"method": "card"})))
        browser.until(
            lambda: pairs(browser, "Friction")[0] == ["payment failure", "card, 2026-01-01 00:02:30, weight 8"]
        )
    worker.close()


def pairs(browser, title):
    """What a customer's list of this title says, row by row."""
    return browser.js(
        "const title = [...document.querySelectorAll('h3')].find(e => e.textContent === arguments[0]);"
        " return [...title.parentElement.querySelectorAll('dt')].map(t => [t.textContent, t.nextElementSibling.textContent])",
        title,
    )


def test_what_is_stored_of_a_journey_and_has_no_place_is_shown(tmp_path, browser):
    """A partial match of a sequence, as it is: nothing known of a customer is kept from who looks them up."""
    journey = tmp_path / "journey.yaml"
    journey.write_text(
        "journey: j\nversion: '1.0'\ntriggers:\n"
        "  - {id: s, sequence: {steps: [A, {followed_by: B}], within: 1d}, action: {kind: crm, task: x, purpose: service, expires_after: 1d}}\n"
    )
    (tmp_path / "topology.yaml").write_text(
        "topology: t\nsources: [{topic: e, key: customer}]\njourneys: [journey.yaml]\nstart: earliest\nclock: log\n"
    )
    worker = Worker(tmp_path / "state", tmp_path)
    with Served(worker) as served:
        served.do(worker.hear(("c", "A", 0)))
        assert answer(served, "/v1/customers/c")["journeys"]["j"]["more"]
        browser.go(f"{served.url}/#/customer/c")
        browser.says("More of this journey", "matches")
    worker.close()


def decisions(served, who):
    return answer(served, f"/v1/customers/{who}/decisions")["decisions"]


def test_what_a_customer_allowed_is_shown(tmp_path, browser):
    """Consents by purpose and channel, and the suppression list before all else."""
    worker = Worker(tmp_path, edit=lambda topology: msgspec.structs.replace(topology, contact=CONTACT))
    with Served(worker) as served:
        said = {"status": "granted", "purpose": "news", "channel": "email"}
        served.do(worker.hear(("h-1", "Consent", 0, said), ("h-1", "Bounced", 1)))
        browser.go(f"{served.url}/#/customer/h-1")
        browser.says(
            "Consents", "news by email", "granted 2026-01-01 00:00", "On the suppression list since 2026-01-02 00:00"
        )
    worker.close()


def test_actions_appear_as_they_are_committed_and_can_be_held_still(served, browser):
    """Without a reload; a reader who holds the log still is not disturbed."""
    browser.go(f"{served.url}/#/map")
    browser.until(lambda: browser.all(".log li"))
    served.do(served.worker.hear(("new-1", "Coupon Redeemed", 47)))
    browser.until(lambda: browser.one(".log li a").text == "new-1")
    browser.one(".actions button").click()
    served.do(served.worker.hear(("new-2", "Coupon Redeemed", 47)))
    served.do(served.worker.hear(("new-3", "Order Completed", 47, BASKET)))
    browser.says("15 customers")
    assert browser.one(".log li a").text == "new-1"
    browser.one(".actions button").click()
    browser.until(lambda: browser.one(".log li a").text == "new-2")
    browser.one(".log li a").click()
    browser.says("new-2", "Timeline")


def test_what_producers_and_customers_are_called_is_text(tmp_path, browser):
    """Ids, event names and properties of a hostile producer are shown as they are; none becomes an element or runs."""
    worker = Worker(tmp_path)
    with Served(worker) as served:
        served.do(
            worker.hear((HOSTILE, "Coupon Redeemed", 0, {"coupon": HOSTILE}), (HOSTILE, HOSTILE, 1, {HOSTILE: HOSTILE}))
        )
        browser.go(f"{served.url}/#/map")
        browser.until(lambda: browser.all(".log a"))
        assert browser.one(".log a").text == HOSTILE
        browser.one(".log a").click()
        browser.until(lambda: browser.all(".timeline li"))
        assert browser.one("h1").text == HOSTILE
        browser.says(HOSTILE)
        assert browser.js("return [document.images.length, document.scripts.length, window.hacked ?? null]") == [
            0,
            1,
            None,
        ]
        browser.go("about:blank")
        browser.go(f"{served.url}/#/customer/{quote(HOSTILE, safe='')}")
        browser.until(lambda: browser.all(".timeline li"))
    worker.close()


# For everybody --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_no_barrier_that_axe_knows_and_no_scrolling_sideways(served, browser, size, dark, tmp_path):
    """Every view, in both lights, on a desk and on a phone."""
    browser.blank(size, dark=dark)
    for view in VIEWS:
        browser.go(f"{served.url}/{view}")
        browser.until(lambda: drawn(browser))
        browser.js("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert browser.axe() == []
        width = browser.js("return document.documentElement.scrollWidth")
        browser.picture(tmp_path / f"{view.split('/')[1]}.png")
        assert width <= size[0], view


def test_the_keyboard_reaches_everything_and_sees_where_it_is(served, browser):
    """The first stop skips to the content; every stop has an outline; one walk meets navigation, search, the log and the table."""
    browser.go(f"{served.url}/#/map")
    browser.until(lambda: drawn(browser))
    browser.focused().send_keys(Keys.TAB)
    assert browser.focused().text == "Skip to the content"
    browser.focused().send_keys(Keys.ENTER)
    assert browser.focused().tag_name == "main"
    browser.js("document.activeElement.blur(); scrollTo(0, 0)")
    browser.go(f"{served.url}/?again#/map")
    browser.until(lambda: browser.all(".log a"))
    met = []
    for _ in range(30):
        browser.focused().send_keys(Keys.TAB)
        at = browser.focused()
        if at.tag_name == "body":
            break
        style = browser.js("const s = getComputedStyle(arguments[0]); return [s.outlineStyle, s.outlineWidth]", at)
        assert style[0] == "solid", at.get_attribute("outerHTML")
        assert float(style[1].removesuffix("px")) >= 2
        met.append(at.accessible_name or at.text)
    assert met[:4] == ["Skip to the content", "Map", "Customer", "Definition"]
    assert {"Customer id", "Look up", "The same as a table", "Hold still"} <= set(met)
    browser.one("#who").send_keys("h-1", Keys.ENTER)
    browser.says("Timeline")
    assert browser.js("return document.activeElement.tagName") == "MAIN"


def test_landmarks_and_live_regions(served, browser):
    """What a screen reader walks by: one banner, navigation, search, main, footer; states are told, the busy log is not."""
    browser.go(f"{served.url}/#/map")
    browser.until(lambda: drawn(browser))
    for landmark in ("body > header", "nav[aria-label]", "[role=search]", "main", "body > footer"):
        assert len(browser.all(landmark)) == 1, landmark
    assert browser.one("#state").get_attribute("role") == "status"
    assert browser.one("[role=log]").get_attribute("aria-live") == "off"
    assert browser.one(".flows").accessible_name.startswith("Flows between stages: ")
    assert browser.js("return document.documentElement.lang") == "en"


def test_nothing_moves_for_those_who_asked_for_it(served, browser):
    browser.blank(still=True)
    browser.go(f"{served.url}/#/map")
    browser.until(lambda: drawn(browser))
    moving = "return [...document.querySelectorAll('*')].filter(e => parseFloat(getComputedStyle(e).transitionDuration) > 0).length"
    assert browser.js(moving) == 0
    browser.prefers(still=False)
    assert browser.js(moving) > 0


# Every no has its words -----------------------------------------------------------------------------------------------


def test_where_nobody_is_yet_it_says_so(worker, browser):
    with Served(worker) as served:
        browser.go(f"{served.url}/")
        browser.says("Nobody yet", "Nobody has moved yet", "None yet")
        served.do(worker.hear(("h-1", "Order Completed", 0, BASKET)))
        browser.says("1 customer.", "shopper")


@pytest.mark.refused(404)
def test_a_customer_who_is_not_known(served, browser):
    browser.go(f"{served.url}/#/customer/nobody")
    browser.says("Nothing is known of this customer")


@pytest.mark.refused(400)
def test_an_id_that_cannot_be(served, browser):
    browser.go(f"{served.url}/#/customer/a%00b")
    browser.says("no control characters")


@pytest.mark.refused(503)
def test_while_a_worker_recovers_it_says_so_and_goes_on_by_itself(served, browser):
    """No figure is shown as whole that is a part; a customer comes as soon as they can."""
    served.worker.carrier.recovered.clear()
    browser.go(f"{served.url}/#/customer/h-1")
    browser.says("Not now")
    browser.go(f"{served.url}/#/map")
    browser.says("recovering")
    served.worker.carrier.recovered.set()
    browser.until(lambda: "recovering" not in browser.text())
    browser.go(f"{served.url}/#/customer/h-1")
    browser.says("Timeline")
    assert browser.one("#state").text == ""


def test_part_of_all_is_called_a_part(tmp_path, browser):
    worker = Worker(tmp_path, owned=(0, 1))
    with Served(worker) as served:
        served.do(
            worker.hear(
                *((name, "Order Completed", 0, BASKET) for name in ("h-1", "h-2", "h-3", "h-5") if _is_here(name))
            )
        )
        browser.go(f"{served.url}/#/map")
        browser.says("a part of all")
    worker.close()


def _is_here(name):
    from rumbo.engine.place import place_of

    return place_of(name.encode(), 4) in {0, 1}


@pytest.mark.refused(401)
def test_a_token_is_asked_for_once_and_kept_in_the_tab(worker, tmp_path, browser):
    """A wrong one is said; the right one opens figures and stream; a reload does not ask again; nothing else keeps it."""
    path = tmp_path / "tokens"
    path.write_text(f"read {READ}\n")
    path.chmod(0o600)
    with Served(worker, web_token_file=path) as served:
        served.do(a_month(worker))
        browser.go(f"{served.url}/#/map")
        browser.until(lambda: browser.one("#token").is_displayed())
        assert browser.axe() == []
        browser.one("#token").send_keys("not the token", Keys.ENTER)
        browser.says("was not accepted")
        browser.one("#token").send_keys(READ, Keys.ENTER)
        browser.until(lambda: drawn(browser) and browser.all(".log li"))
        browser.driver.refresh()
        browser.until(lambda: drawn(browser) and browser.all(".log li"))
        kept = browser.js(
            "return [Object.values(sessionStorage), Object.keys(localStorage), document.cookie, location.href.includes(arguments[0])]",
            READ,
        )
        assert kept == [[READ], [], "", False]
        browser.js("sessionStorage.clear()")


@pytest.mark.refused(403)
def test_what_is_not_allowed_is_said(served, browser):
    """Asked by another name than this machine's own, without a token."""
    browser.go(served.url.replace("127.0.0.1", "rumbo.example") + "/#/map")
    browser.says("Not allowed", "loopback")


@pytest.mark.refused
def test_a_worker_that_goes_is_said_and_its_last_word_stays(worker, browser):
    with Served(worker) as served:
        served.do(a_month(worker))
        browser.go(f"{served.url}/#/map")
        browser.until(lambda: drawn(browser))
    browser.says("does not answer", "12 customers")


def test_the_files_are_open_and_guarded(served):
    """No token for the files, a policy on each, kept by their tag; no path is made from a request."""
    status, headers, _ = got(served, "/")
    assert (status, headers.get_content_type()) == (200, "text/html")
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert got(served, "/", **{"If-None-Match": headers["ETag"]})[0] == 304
    for path in ("/page/../api.py", "/page/__init__.py", "/page/%2e%2e/api.py", "/page/", "/page/nothing.js"):
        assert got(served, path)[0] == 404, path


def test_several_journeys_are_chosen_by_name(tmp_path, browser):
    def twice(topology):
        other = msgspec.structs.replace(topology.journeys[0], id="other_one")
        return msgspec.structs.replace(topology, journeys=(*topology.journeys, other))

    worker = Worker(tmp_path, edit=twice)
    with Served(worker) as served:
        served.do(worker.hear(("h-1", "Order Completed", 0, BASKET)))
        browser.go(f"{served.url}/")
        browser.until(lambda: len(browser.all("nav.journeys a")) == 2)
        browser.all("nav.journeys a")[1].click()
        browser.until(lambda: browser.js("return location.hash") == "#/map/other_one" and drawn(browser))
        assert browser.one("nav.journeys [aria-current]").text == "other one"
    worker.close()
