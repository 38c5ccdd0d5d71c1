"""Questions and mutations, sent to the web UI as a program sends them."""

import json
import urllib.request
from typing import Any


def graphql(address: str, query: str, *, token: str | None = None, **variables: Any) -> dict[str, Any]:
    """Send a document of GraphQL and give the data of the answer."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    body = json.dumps({"query": query, "variables": variables}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{address}/graphql", body, headers), timeout=60) as answer:
        return json.load(answer)["data"]


def planted_limits(address: str, *, token: str | None = None) -> set[str]:
    """Give the names of all concurrency limits: what the attempts of other sites try to plant."""
    data = graphql(address, "{ instance { concurrencyLimits { concurrencyKey } } }", token=token)
    return {limit["concurrencyKey"] for limit in data["instance"]["concurrencyLimits"]}
