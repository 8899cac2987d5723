#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""usage: browser.py <url of a mirror> [folder for pictures]

Looks at the status page with headless Chromium, over its debugging pipe: the script of the page runs
under the page's own policy and gets events, nothing is loaded from elsewhere, nothing is wider than
a phone, and without scripts the page is whole too. Pictures: light and dark, desk and phone.
"""
import base64
import json
import os
import subprocess
import sys
import tempfile
import time

PATIENCE_S = 60


class Browser:
    """Chromium, which answers on descriptor 4 what is asked on its descriptor 3."""

    def __init__(self, home):
        ask_r, self.ask_w = os.pipe()
        self.answer_r, answer_w = os.pipe()

        def place():
            os.dup2(os.dup(ask_r), 3)
            os.dup2(os.dup(answer_w), 4)

        # The two ends may be 3 and 4 already: they are moved out of the way first.
        ask_r, answer_w = (self._high(fd) for fd in (ask_r, answer_w))
        self.log = open(os.path.join(home, "chromium.log"), "w+")
        self.child = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--no-first-run", "--hide-scrollbars", "--user-data-dir=" + home + "/profile",
             "--remote-debugging-pipe"],
            preexec_fn=place, close_fds=False, env=dict(os.environ, HOME=home),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        os.close(ask_r)
        os.close(answer_w)
        self.rest = b""
        self.number = 0
        self.session = None
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    @staticmethod
    def _high(fd):
        import fcntl
        moved = fcntl.fcntl(fd, fcntl.F_DUPFD, 10)
        os.close(fd)
        return moved

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.ask_w, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.next_message()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise SystemExit("failed: %s: %s" % (method, answer["error"]))
                return answer["result"]
            self.events.append(answer)

    def next_message(self):
        while b"\0" not in self.rest:
            piece = os.read(self.answer_r, 65536)
            if not piece:
                self.log.seek(0)
                raise SystemExit("failed: chromium ended:\n" + self.log.read())
            self.rest += piece
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def evaluate(self, expression):
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState=='complete'&&location.href.startsWith('http')")

    def wait(self, expression):
        end = time.monotonic() + PATIENCE_S
        while not self.evaluate(expression):
            if time.monotonic() > end:
                raise SystemExit("failed: never true: " + expression)
            time.sleep(0.05)

    def screen(self, width, height, dark):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 500)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def picture(self, path):
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        with open(path, "wb") as out:
            out.write(base64.b64decode(data))

    def close(self):
        self.child.terminate()
        self.child.wait()


def check(what, condition):
    if not condition:
        raise SystemExit("failed: " + what)


def look(browser, url, pictures):
    browser.screen(1100, 900, False)
    browser.open(url + "/status")
    browser.wait("document.documentElement.dataset.live=='yes'")
    # A new event puts in new parts: what was marked is gone.
    browser.evaluate("document.getElementById('numbers').dataset.old='yes'")
    browser.wait("!document.getElementById('numbers').dataset.old")
    browser.wait("document.querySelector('#failures details')!=null")
    browser.evaluate("document.querySelectorAll('details').forEach(d=>d.open=true)")
    browser.evaluate("document.querySelector('.find input').focus()")
    # Somebody types: what is new in that part waits; the rest goes on, and what is open stays open.
    browser.evaluate("document.getElementById('archives').dataset.old='yes'")
    browser.evaluate("document.getElementById('numbers').dataset.old='yes'")
    browser.wait("!document.getElementById('numbers').dataset.old")
    check("a part was taken away from who types in it", browser.evaluate(
        "document.getElementById('archives').dataset.old=='yes'"))
    check("the failures were folded", browser.evaluate(
        "document.querySelector('#failures details').open"))
    for width in (1100, 390, 320):
        for dark in (False, True):
            browser.screen(width, 900, dark)
            wide = browser.evaluate("document.documentElement.scrollWidth")
            check("the page is %s pixels wide on %d" % (wide, width), wide <= width)
            ink = browser.evaluate("getComputedStyle(document.body).backgroundColor")
            light = sum(int(n) for n in ink[4:-1].split(",")) > 384
            check("the page is %s when dark is %s" % (ink, dark), light != dark)
            if pictures and width != 320:
                browser.picture("%s/%s-%s.png" % (pictures, "phone" if width == 390 else "desk",
                                                  "dark" if dark else "light"))
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(url + "/status")
    check("the page is not whole without scripts", browser.evaluate(
        "document.querySelectorAll('main section').length>5"))
    browser.open(url + "/")
    for event in browser.events:
        if event.get("method") == "Network.requestWillBeSent":
            asked = event["params"]["request"]["url"]
            check("something is loaded from elsewhere: " + asked,
                  asked.startswith((url, "data:", "about:")))
        if event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            raise SystemExit("failed: the browser says: %s" % event["params"]["entry"])
        check("a script failed: %s" % event, event.get("method") != "Runtime.exceptionThrown")


def main():
    url = sys.argv[1]
    pictures = sys.argv[2] if len(sys.argv) > 2 else None
    # Helpers of the browser may outlive it for a moment, and still write to its profile.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        browser = Browser(home)
        try:
            look(browser, url, pictures)
        finally:
            browser.close()
    print("the status page is live")


main()
