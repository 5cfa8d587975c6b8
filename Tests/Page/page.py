"""page.py [TEST...]: the page in a real browser, before a stand-in of the server. Prints a line for each test, and
fails if one has."""

import json
import sys
import tempfile
import time
import traceback

from chromium import Chromium, Failure
from mock import Mock, World

ROWS = "document.querySelectorAll('#rows tr').length"
TEXT = "document.getElementById('%s').textContent"
HOSTILE = [
    '"><script>document.title="owned"</script>',
    "<img src=x onerror=alert(1)>",
    "a\nb\r\tc",
    "\u202egpj.exe",
    "\u2066a\u2069",
    "\x1b[31mred\x1b[0m",
    "bad\ufffdbytes",
    "\x00nul",
    "zero\u200bwidth",
    "'; --",
    "{{nonce}}",
    "x" * 255,
]


def check(holds, text):
    if not holds:
        raise Failure(text)


def shown(browser, identifier):
    return browser.value(TEXT % identifier)


def names(roles, role):
    return [name for kind, name in roles if kind == role]


class Tests:
    """Each gets a page that is loaded, before a world of its own."""

    def __init__(self, browser):
        self.browser = browser
        self.world = World(60)
        self.mock = Mock(self.world)
        browser.without_scripts(False)
        browser.resize(1400)
        browser.prefer("light")
        browser.complaints.clear()
        browser.requests.clear()

    def load(self, query=""):
        self.browser.open(self.mock.url + query)
        self.browser.wait(f"{ROWS} > 0 || !document.getElementById('none').hidden", "the table")

    def change(self, body):
        with self.world.lock:
            body(self.world)

    # What it shows

    def test_loads_without_complaints_and_asks_nobody_else(self):
        self.load()
        browser = self.browser
        check(shown(browser, "state") == "Running", "the state")
        check(shown(browser, "running").startswith("60"), shown(browser, "running"))
        check(browser.value(ROWS) == 25, "a page of rows")
        check(browser.value("document.querySelectorAll('#plot path').length") == 6, "the chart")
        others = [url for url in browser.requests if not url.startswith((self.mock.url, "data:"))]
        check(not others, f"requests to others: {others}")

    def test_updates_once_a_second_and_asks_only_for_what_is_new(self):
        self.load()
        self.change(lambda world: (world.add(user="newcomer", age_ms=0), world.replies.update({"5": 7})))
        self.browser.wait(
            "document.querySelector('#rows').textContent.includes('newcomer')", "the new session", 5
        )
        self.browser.wait(
            "document.getElementById('replies').textContent.includes('Connection refused')", "the reply", 5
        )
        asked = [url for url in self.browser.requests if "status.json" in url]
        check(asked[0].endswith("since=0") and int(asked[-1].split("=")[1]) > 1_700_000_000, asked)

    def test_refusals_are_shown_by_their_cause(self):
        self.world.outcomes = {"completed": 5, "denied_by_rule": 3, "denied_by_guard": 2, "not_socks5": 1}
        self.world.refused = {"banned": 4, "lookups": 6}
        self.load()
        told = shown(self.browser, "refused")
        for text in ["Denied by a rule", "Denied by the guard", "Not SOCKS5", "Too many names to look up"]:
            check(text in told, told)
        check("Completed" not in told, told)

    def test_limits_near_their_end_are_told_in_words_and_colour(self):
        self.world.limits = [("connections", 50, 100), ("buffer-memory", 80, 100), ("lookups", 99, 100)]
        self.load()
        levels = self.browser.value(
            "[...document.querySelectorAll('#limits .value > :last-child')].map(e => e.className)"
        )
        check(levels == ["", "near", "full"], levels)
        check("99 %" in shown(self.browser, "limits"), shown(self.browser, "limits"))

    def test_parents_are_shown_if_there_are_some(self):
        self.load()
        check(self.browser.value("document.getElementById('parents-card').hidden"), "a card without parents")
        self.change(
            lambda world: world.parents.append({"name": "parent.example:1080", "up": False, "sessions": 2})
        )
        self.browser.wait("document.getElementById('parents').textContent.includes('down')", "the parent", 5)

    def test_an_idle_server_shows_no_row(self):
        self.world.sessions.clear()
        self.load()
        check(shown(self.browser, "none") == "No session is running", shown(self.browser, "none"))
        check(self.browser.value("document.getElementById('table').hidden"), "an empty table")

    def test_hostile_text_is_shown_and_does_nothing(self):
        for text in HOSTILE:
            self.world.add(user=text, destination=text, address=None, age_ms=0)
        row = self.world.add(user=HOSTILE[0], destination="ended.example")
        self.world.end([row])
        self.world.ended[0]["reason"] = HOSTILE[0]
        self.world.parents.append({"name": HOSTILE[0], "up": True})
        self.load()
        text = self.browser.value("document.body.innerText")
        for part in [
            HOSTILE[0],
            HOSTILE[1],
            "a\\nb\\r\\tc",
            "\\u{202E}gpj.exe",
            "\\u{1B}[31mred",
            "\\0nul",
            "zero\\u{200B}width",
        ]:
            check(part in text, f"{part!r} isn't shown")
        check(not [c for c in text if c in "\u202e\u2066\u2069\x1b\x00\u200b"], "unseen characters")
        self.browser.value("document.getElementById('show-ended').click()")
        self.browser.wait(
            "document.getElementById('rows').textContent.includes('ended.example')", "ended sessions"
        )
        self.browser.value("document.querySelector('#rows .open').click()")
        check(self.browser.value("document.querySelectorAll('script').length") == 2, "a script got in")
        check(self.browser.value("document.images.length") == 0, "an image got in")
        check("owned" not in self.browser.value("document.title"), "a script has run")
        check(self.width_fits(), "a long name makes the page wider")

    def test_a_number_beyond_2_to_the_53_is_exact(self):
        number = (63 << 48) + 12345
        self.world.next = number
        self.world.add(age_ms=0, user="exact")
        self.load("?user=exact")
        check(
            self.browser.value("document.querySelector('#rows tr').dataset.id") == str(number), "the number"
        )
        self.end_first()
        self.browser.wait(f"{ROWS} === 0", "the end of the session", 5)

    # Filter, order, pages

    def test_the_server_filters_and_the_address_keeps_it(self):
        self.world.add(user="needle")
        self.load()
        self.browser.value("document.querySelector('[name=user]').focus()")
        self.browser.type("needle")
        self.browser.wait(f"{ROWS} === 1", "one row", 5)
        check(self.browser.value("location.search") == "?user=*needle*", "the address")
        check(
            "1 of 1 that match, 61 in all" in shown(self.browser, "range").replace("–1", ""),
            shown(self.browser, "range"),
        )
        self.load("?user=*needle*")
        check(
            self.browser.value("document.querySelector('[name=user]').value") == "needle",
            "the filter after a reload",
        )
        self.browser.click("#clear")
        self.browser.wait(f"{ROWS} === 25", "all rows", 5)

    def test_a_busy_name_filters(self):
        self.load()
        user = self.browser.value("document.querySelector('#users button').textContent")
        self.browser.click("#users button")
        self.browser.wait(
            f"[...document.querySelectorAll('.t-user')].every(e => e.textContent === {json.dumps(user)})",
            user,
            5,
        )
        check(self.browser.value("document.activeElement.name") == "user", "the focus")
        check(self.browser.value("location.search") == f"?user={user}", "not the whole name alone")

    def test_a_field_and_the_pattern_of_the_address_say_the_same(self):
        for pattern, text in [("*ice*", "ice"), ("alice", "=alice"), ("al*ce", "al*ce"), ("10.0.0.0/8", "10.0.0.0/8")]:
            self.load(f"?client={pattern}")
            check(self.browser.value("document.querySelector('[name=client]').value") == text, text)
            self.browser.value("document.getElementById('filter').requestSubmit()")
            asked = self.browser.value("new URLSearchParams(location.search).get('client')")
            check(asked == pattern, f"{asked} of {pattern}")

    def test_the_server_sorts_and_a_second_press_turns_it_round(self):
        self.load()
        requests = self.browser.requests
        for wanted in ["-received", "received"]:
            self.browser.click("[data-sort=received]")
            self.browser.wait(
                f"document.querySelector('[aria-sort={'descending' if wanted[0] == '-' else 'ascending'}]')?.textContent === 'Received'",
                wanted,
                5,
            )
            self.wait_for(lambda: any(f"sort={wanted}" in url for url in requests), wanted)

    def test_pages(self):
        self.load()
        self.browser.click("#next")
        self.browser.wait(
            "document.getElementById('range').textContent.startsWith('26–50 of 60')", "the second page", 5
        )
        self.browser.click("#next")
        self.browser.wait(
            "document.getElementById('range').textContent.startsWith('51–60')", "the third page", 5
        )
        check(self.browser.value("document.getElementById('next').disabled"), "a page behind the last")
        self.change(lambda world: world.sessions.__delitem__(slice(30, None)))
        self.browser.wait(
            "document.getElementById('range').textContent.startsWith('26–30')",
            "the last page that is left",
            5,
        )

    # Ending

    def end_first(self):
        self.browser.click(".end")
        self.browser.wait("document.getElementById('dialog').open", "the question")
        self.browser.click("#dialog-confirm")

    def test_a_session_is_ended_after_a_question(self):
        self.load("?sort=-age")
        first = self.browser.value("document.querySelector('#rows tr').dataset.id")
        self.browser.click(".end")
        self.browser.wait("document.getElementById('dialog').open", "the question")
        self.browser.click("#dialog-cancel")
        check(len(self.world.sessions) == 60, "ended without a yes")
        self.end_first()
        self.browser.wait(f"!document.querySelector('#rows tr[data-id=\"{first}\"]')", "its row goes", 5)
        check(str(self.world.ended[0]["id"]) == first, "another one was ended")
        self.browser.value("document.getElementById('show-ended').click()")
        self.browser.wait(
            "document.getElementById('rows').textContent.includes('Ended by admin')", "the outcome", 5
        )

    def test_all_that_a_filter_shows_are_ended(self):
        user = self.world.users[0]
        matching = [row["id"] for row in self.world.sessions if row["user"] == user]
        self.load(f"?user={user}")
        self.browser.click("#end-all")
        check(
            f"End these {len(matching)} sessions?" == shown(self.browser, "dialog-title"),
            shown(self.browser, "dialog-title"),
        )
        self.browser.click("#dialog-confirm")
        self.browser.wait(f"{ROWS} === 0", "the ends", 5)
        check(sorted(row["id"] for row in self.world.ended) == matching, "others were ended")

    def test_a_token_is_asked_for_and_kept_in_memory_alone(self):
        self.world.token = "open sesame"
        self.browser.open(self.mock.url)
        self.browser.wait(
            "document.getElementById('alert').textContent.includes('asks for its token')", "the news", 5
        )
        self.browser.click("#alert button")
        refused = "document.getElementById('dialog-wrong').textContent.includes('refuses')"
        for given, answer in [("wrong", refused), ("open sesame", "!document.getElementById('dialog').open")]:
            self.browser.type(given)
            self.browser.enter()
            self.browser.wait(answer, given, 5)
        self.browser.wait(
            f"{ROWS} === 25 && document.getElementById('alert').textContent === ''", "the table", 5
        )
        self.end_first()
        self.browser.wait("!document.getElementById('dialog').open", "the end without another question", 5)
        check(len(self.world.ended) == 1, "one ended")
        check(
            self.browser.value("localStorage.length + sessionStorage.length + document.cookie.length") == 0,
            "kept",
        )
        check(
            self.browser.value("document.querySelector('[type=password]').value") == "", "kept in the field"
        )
        check(not [url for url in self.browser.requests if "sesame" in url], "in an address")
        self.forgive("401")

    def test_a_refusal_of_the_server_is_shown_in_its_words(self):
        self.world.is_open = False
        self.load()
        self.end_first()
        self.browser.wait(
            "document.getElementById('dialog-wrong').textContent.includes('changes need a token')",
            "the words",
            5,
        )
        check(
            self.browser.value("document.getElementById('dialog-token').hidden"),
            "a token is asked for in vain",
        )
        check(len(self.world.sessions) == 60, "ended")
        self.forgive("403")

    # Life

    def test_a_restart_is_survived_and_history_begins_anew(self):
        self.load()
        self.browser.wait("document.querySelector('#plot').ariaValueMax > 800", "a full history", 5)
        self.mock.stop()
        self.browser.wait(
            "document.getElementById('alert').textContent.startsWith('Not reachable since ')", "the news", 10
        )
        check(shown(self.browser, "state") == "Not reachable", "the state")
        self.world.sessions.clear()
        self.world.add(user="afterwards")
        self.world.started, self.world.pid = time.time(), self.world.pid + 1
        self.mock.start()
        self.browser.wait(
            "document.getElementById('alert').textContent === ''", "the news are taken back", 10
        )
        self.browser.wait(
            "document.getElementById('rows').textContent.includes('afterwards')", "the new table", 5
        )
        check(
            int(self.browser.value("document.querySelector('#plot').ariaValueMax")) < 30,
            "the old history is gone",
        )
        self.forgive("ERR_CONNECTION")

    def test_pause_stops_it(self):
        self.load()
        self.browser.click("#pause")
        time.sleep(0.3)
        before = len(self.browser.requests)
        self.browser.wait("new Promise(done => setTimeout(done, 1300, true))", "")
        check(len(self.browser.requests) == before, "it goes on asking")
        self.browser.click("#pause")
        self.wait_for(lambda: len(self.browser.requests) > before, "it goes on")

    # Sight, keyboard, screen reader

    def width_fits(self):
        return self.browser.value("document.documentElement.scrollWidth <= innerWidth")

    def test_it_fits_from_320_to_1400_pixels_in_both_colours(self):
        self.world.add(
            user="u" * 255,
            destination="d" * 255,
            client_ip="2001:db8:1111:2222:3333:4444:5555:6666",
            age_ms=0,
        )
        for width in [320, 390, 768, 1024, 1400]:
            self.browser.resize(width)
            for scheme in ["light", "dark"]:
                self.browser.prefer(scheme)
                self.load()
                check(self.width_fits(), f"wider than {width}")
                faint = self.browser.value(CONTRAST)
                check(not faint, f"{width} {scheme}: {faint}")

    def test_numbers_are_under_the_pointer_and_on_the_keyboard(self):
        self.load()
        place = self.browser.value(
            "(({x, y, width}) => [x + width / 2, y + 90])(document.getElementById('plot').getBoundingClientRect())"
        )
        self.browser.point(*place)
        self.browser.wait("!document.querySelector('.tip').hidden", "the numbers", 5)
        check("MB/s" in self.browser.value("document.querySelector('.tip').textContent"), "a rate")
        self.browser.point(5, 5)
        self.browser.wait("document.querySelector('.tip').hidden", "no numbers", 5)
        self.browser.value("document.getElementById('plot').focus()")
        self.browser.press("Home", 36)
        first = self.browser.value("document.getElementById('plot').ariaValueText")
        self.browser.press("ArrowRight", 39)
        second = self.browser.value("document.getElementById('plot').ariaValueText")
        check("received" in first and first != second, (first, second))
        check(self.browser.value("document.getElementById('plot').ariaValueNow") == "1", "the second")
        self.browser.press("Escape", 27)
        check(self.browser.value("document.querySelector('.tip').hidden"), "Escape")

    def test_everything_is_reached_by_the_keyboard(self):
        self.load()
        reached = []
        for _ in range(60):
            self.browser.tab()
            reached.append(
                self.browser.value(
                    "(e => e === document.body ? '' : (e.id || e.name || e.dataset.sort || e.className || e.textContent))(document.activeElement)"
                )
            )
            if "end" in reached:
                break
        for wanted in [
            "skip",
            "pause",
            "plot",
            "show-running",
            "show-ended",
            "user",
            "client",
            "destination",
            "age",
            "open",
            "end",
        ]:
            check(wanted in reached, f"{wanted} isn't in {reached}")
        outline = self.browser.value("getComputedStyle(document.activeElement).outlineStyle")
        check(outline == "solid", "the focus isn't seen")
        self.browser.enter()
        self.browser.wait("document.getElementById('dialog').open", "the question")
        check(
            self.browser.value("document.activeElement.id") == "dialog-cancel",
            "the focus is on the safe answer",
        )
        self.browser.press("Escape", 27)
        self.browser.wait("!document.getElementById('dialog').open", "Escape closes it")
        check(self.browser.value("document.activeElement.className") == "end", "the focus comes back")

    def test_the_focus_stays_while_rows_change(self):
        self.load()
        self.browser.value("document.querySelectorAll('.end')[3].focus()")
        row = self.browser.value("document.activeElement.closest('tr').dataset.id")
        for number in range(3):
            self.change(lambda world: world.add(age_ms=0, user=f"later{number}"))
        self.browser.wait("document.getElementById('rows').textContent.includes('later2')", "new rows", 5)
        check(
            self.browser.value("document.activeElement.closest('tr')?.dataset.id") == row,
            "the focus has gone",
        )

    def test_a_screen_reader_finds_its_way(self):
        for width in [1400, 390]:
            self.browser.resize(width)
            self.load()
            roles = self.browser.roles()
            for role, wanted in [
                ("banner", [""]),
                ("main", [""]),
                ("contentinfo", [""]),
                ("search", ["Filter the sessions"]),
                ("navigation", ["Pages of sessions"]),
                ("table", ["Sessions"]),
                ("slider", ["Traffic and sessions of the last 15 minutes"]),
                (
                    "heading",
                    [
                        "socks5d",
                        "Traffic",
                        "Replies",
                        "Refused and lost",
                        "Limits",
                        "Busiest users",
                        "Busiest destinations",
                        "Busiest clients",
                        "Sessions",
                    ],
                ),
                (
                    "columnheader",
                    ["Destination", "User", "Client", "Age", "Idle", "Sent", "Received", "Action"],
                ),
                ("searchbox", ["User", "Client", "Destination"]),
                ("button", ["Pause", "Next"]),
            ]:
                found = names(roles, role)
                for name in wanted:
                    check(name in found, f"{width}: no {role} '{name}' in {found}")
            check(len(names(roles, "row")) == 26, f"{width}: rows: {len(names(roles, 'row'))}")
            check(len(names(roles, "cell")) == 25 * 8, f"{width}: cells: {len(names(roles, 'cell'))}")
            unnamed = [
                role
                for role, name in roles
                if role in ("button", "searchbox", "combobox", "slider", "table") and not name
            ]
            check(not unnamed, f"without a name: {unnamed}")

    # Help

    def wait_for(self, holds, reason):
        end = time.monotonic() + 10
        while not holds():
            if time.monotonic() > end:
                raise Failure(reason)
            time.sleep(0.02)

    def forgive(self, part):
        """Refused and failed requests are told in the console, by the browser itself."""
        time.sleep(0.05)
        self.browser.complaints[:] = [text for text in self.browser.complaints if part not in text]


# The texts whose contrast is below AA (WCAG 2.2, 1.4.3): 4.5, as none of them is large.
CONTRAST = """
(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  for (const element of document.querySelectorAll("body *")) {
    if (![...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    if (element.closest("script, style, noscript, [hidden], dialog:not([open]), :disabled") || !element.getClientRects().length) continue;
    const style = getComputedStyle(element), isShape = element instanceof SVGElement;
    const [a, b] = [light(parse(isShape ? style.fill : style.color)), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.add(`${element.className.baseVal ?? element.className} '${element.textContent.slice(0, 20)}' ${ratio.toFixed(2)}`);
  }
  return [...faint];
})()
"""


def main():
    wanted = sys.argv[1:]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        browser = Chromium(folder)
        try:
            for name in [name for name in dir(Tests) if name.startswith("test_")]:
                title = name.removeprefix("test_").replace("_", " ")
                if wanted and not any(part in name for part in wanted):
                    continue
                began = time.monotonic()
                tests = Tests(browser)
                try:
                    getattr(tests, name)()
                    check(not browser.complaints, f"complaints: {browser.complaints}")
                    print(f"passed: {title} ({time.monotonic() - began:.1f} s)", flush=True)
                except Exception as error:
                    failed += 1
                    where = traceback.extract_tb(error.__traceback__)[1].lineno
                    print(f"FAILED: {title}: line {where}: {error}", flush=True)
                finally:
                    browser.call("Page.navigate", url="about:blank")
                    tests.mock.stop()
        finally:
            browser.close()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
