"""The two pages that are ours: sign-in, and the one that asks the browser to come again.

Belongs here: their words and looks, and what a browser may do with them. Does not belong here: who sees them
(``sign_in``). They need no script.
"""

import base64
import hashlib
from html import escape

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh; margin: 0; }
main { width: min(22rem, 90vw); }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
p { margin: 0 0 1rem; opacity: .75; }
.refused { color: #c22; opacity: 1; }
label { display: block; font-weight: 600; margin-bottom: .25rem; }
input, button { box-sizing: border-box; width: 100%; font: inherit; padding: .5rem .75rem; border-radius: .4rem; }
input { border: 1px solid #8888; margin-bottom: .75rem; }
button { border: 0; background: #4f43dd; color: #fff; cursor: pointer; }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    # Not no-referrer: a form would then be sent with the origin "null", which the guard takes for a foreign one.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


def sign_in_page(path: str, wanted: str, *, refused: bool = False) -> str:
    """Give the page that asks for the token.

    Parameters
    ----------
    path
        Where it is sent.
    wanted
        Where the browser goes on to.
    refused
        Say that what was sent is not the token.
    """
    said = '<p class="refused" role="alert">This is not the token.</p>' if refused else ""
    return _page(
        "Sign in",
        f"""<h1>CPJUMP1</h1>
<p>The token is <code>CPJUMP_UI_TOKEN</code> of the server, or what <code>cpjump ui --token</code> printed there.</p>
{said}<form method="post" action="{escape(path)}">
<input type="hidden" name="next" value="{escape(wanted)}">
<label for="token">Token</label>
<input type="password" id="token" name="token" autocomplete="current-password" required autofocus>
<button>Sign in</button>
</form>""",
    )


def once_more_page(wanted: str) -> str:
    """Give the page that asks for the same address again, this time as a page of our own."""
    again = f'<meta http-equiv="refresh" content="0;url={escape(wanted)}">'
    return _page("CPJUMP1", f'<p><a href="{escape(wanted)}">Go on</a></p>', head=again)


def _page(title: str, body: str, *, head: str = "") -> str:
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">{head}
<title>{title} · CPJUMP1</title><style>{_STYLE}</style></head>
<body><main>{body}</main></body>
</html>
"""
