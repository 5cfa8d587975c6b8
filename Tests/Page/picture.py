"""picture.py FILE [light|dark] [WIDTH]: the page as a picture, with a busy day behind it."""

import sys
import tempfile

from chromium import Chromium
from mock import Mock, World


def busy_world():
    world = World(1164)
    world.limits = [("connections", 0, 10000), ("buffer-memory", 52 << 20, 64 << 20), ("descriptors", 4210, 65536)]
    world.refused = {"limit": 0, "banned": 118, "connections_per_source": 27}
    world.outcomes = {"completed": 1_290_113, "denied_by_rule": 1987, "denied_by_guard": 190, "not_socks5": 64}
    world.failed_logins = 41
    world.dropped = {"foreign": 3, "unreachable": 12, "malformed": 0}
    world.replies = {"0": 1_304_221, "5": 20_112, "4": 9_031, "2": 2_204, "1": 310, "7": 4}
    world.dial = {"p50": 12.4, "p90": 48, "p99": 312, "count": 1_304_221}
    return world


def main():
    path, scheme, width = (sys.argv[1:] + ["light", "1400"][len(sys.argv) - 2 :])[:3]
    mock = Mock(busy_world())
    with tempfile.TemporaryDirectory() as folder:
        browser = Chromium(folder)
        try:
            browser.resize(int(width), 1010, 1.5)
            browser.prefer(scheme)
            browser.open(mock.url)
            browser.wait("document.querySelectorAll('#rows tr').length === 25", "the table")
            # Two looks more: then there are rates too.
            browser.value("new Promise(done => setTimeout(done, 2500))")
            x, y, size = browser.value(
                "(({x, y, width}) => [x, y, width])(document.getElementById('plot').getBoundingClientRect())"
            )
            # The first one is the pointer's coming, which the browser may take for no movement.
            browser.point(x + size * 0.6, y + 60)
            browser.point(x + size * 0.62, y + 60)
            browser.wait("!document.querySelector('.tip').hidden", "the numbers under the pointer")
            browser.screenshot(path, whole=False)
        finally:
            browser.close()
            mock.stop()


main()
