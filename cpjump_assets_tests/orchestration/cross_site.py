"""A page of another site that tries to change something in the web UI, in every way that a browser offers a page."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote_plus, urlsplit

from playwright.sync_api import Page

ATTEMPTS = (
    "img",
    "script",
    "stylesheet",
    "get",
    "post_address",
    "post_text",
    "post_form_body",
    "beacon",
    "frame",
    "form_get",
    "form_post",
    "form_text",
    "report",
)
"""Ways that need no permission of the other site; each of them tries to plant a limit of its own name."""
ASKING = ("json", "socket")
"""Ways for which the browser asks the other site first, or that say whose page it is."""

_PAGE = """<!doctype html><title>evil</title><body><script>
const target = %(target)s;
const change = name => `mutation{setConcurrencyLimit(concurrencyKey:"${name}",limit:1)}`;
const address = name => `${target}/graphql?query=${encodeURIComponent(change(name))}`;
const body = name => JSON.stringify({query: change(name)});
const element = (tag, fields) => new Promise(done => {
  const made = Object.assign(document.createElement(tag), fields);
  made.onload = made.onerror = done;
  document.body.append(made);
});
const quietly = (url, options) => fetch(url, {mode: "no-cors", credentials: "include", ...options}).catch(() => {});
const form = (method, action, enctype, fields) => new Promise(done => {
  const frame = document.createElement("iframe");
  frame.name = `frame${document.forms.length}`;
  document.body.append(frame);
  const made = Object.assign(document.createElement("form"), {method, action, enctype, target: frame.name});
  for (const [name, value] of Object.entries(fields))
    made.append(Object.assign(document.createElement("input"), {type: "hidden", name, value}));
  document.body.append(made);
  frame.onload = done;
  made.submit();
});
const url_encoded = "application/x-www-form-urlencoded";
const attempts = {
  img: () => element("img", {src: address("img")}),
  script: () => element("script", {src: address("script")}),
  stylesheet: () => element("link", {rel: "stylesheet", href: address("stylesheet")}),
  get: () => quietly(address("get")),
  post_address: () => quietly(address("post_address"), {method: "POST", body: ""}),
  post_text: () => quietly(`${target}/graphql`, {method: "POST", body: body("post_text")}),
  post_form_body: () => quietly(`${target}/graphql`, {method: "POST",
    body: new URLSearchParams({query: change("post_form_body")})}),
  beacon: () => navigator.sendBeacon(address("beacon"), body("beacon")),
  frame: () => element("iframe", {src: address("frame")}),
  form_get: () => form("get", `${target}/graphql`, url_encoded, {query: change("form_get")}),
  form_post: () => form("post", address("form_post"), url_encoded, {}),
  // The body of such a form is name=value: here a document of JSON.
  form_text: () => form("post", `${target}/graphql`, "text/plain",
    {[body("form_text").slice(0, -1) + ',"x":"']: '"}'}),
  report: () => quietly(`${target}/report_asset_materialization/wells?report`, {method: "POST"}),
  json: () => fetch(address("json"), {method: "POST", credentials: "include",
    headers: {"Content-Type": "application/json"}, body: body("json")}).catch(() => "refused"),
  socket: () => new Promise(done => {
    const socket = new WebSocket(`${target.replace("http", "ws")}/graphql?socket`, "graphql-ws");
    socket.onopen = () => done("open");
    socket.onerror = socket.onclose = () => done("refused");
  }),
};
(async () => {
  const outcome = {};
  for (const [name, attempt] of Object.entries(attempts))
    outcome[name] = await Promise.race([attempt(), new Promise(done => setTimeout(done, 5000))]);
  window.outcome = {json: outcome.json, socket: outcome.socket};
})();
</script></body>"""


class EvilSite(ThreadingHTTPServer):
    """Serves the page, and notes which attempts reach itself when it is the target."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = ""
        self.reached: set[str] = set()

    @property
    def port(self) -> int:
        return self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    server: EvilSite

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        address = urlsplit(self.path)
        if address.path == "/evil":
            self._answer((_PAGE % {"target": json.dumps(self.server.target)}).encode())
            return
        if address.path == "/link":
            self._answer(f'<a href="{self.server.target}">a link</a>'.encode())
            return
        said = unquote_plus(address.query + body).replace("\\", "")
        self.server.reached |= {name for name in (*ATTEMPTS, *ASKING) if f'"{name}"' in said or name == said}
        self._answer(b"")

    do_POST = do_GET  # noqa: N815

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@contextmanager
def evil_site() -> Iterator[EvilSite]:
    """Serve the page of another site."""
    with EvilSite() as site:
        thread = Thread(target=site.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield site
        finally:
            site.shutdown()
            thread.join()


def attack(page: Page, site: EvilSite, host: str, target: str) -> tuple[dict[str, str], list[int]]:
    """Open the page of a host and let it try everything; give what it saw, and the statuses that came back."""
    site.target = target
    site.reached.clear()
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.append(answer.status) if answer.url.startswith(target) else None)
    page.goto(f"http://{host}:{site.port}/evil", wait_until="domcontentloaded")
    page.wait_for_function("window.outcome")
    return page.evaluate("window.outcome"), statuses
