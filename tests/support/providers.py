"""Small, faithful servers of providers of keys, and the faults that a test asks of them.

A fault is for the next request: a status, ``lost`` (done, but the answer never comes), ``hang``, ``garbage``, or
``cut`` (half an answer).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections import deque
from dataclasses import dataclass
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from shared.clock import Clock, SystemClock, seconds
from tests.support.loopback import Handler, LoopbackServer

Fault = int | str


@dataclass
class Key:
    """A key that a provider has made."""

    reference: str
    attempt: str
    value: str
    account: str = ""


@dataclass
class Request:
    """A request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ProviderServer(LoopbackServer):
    """Keeps keys; how they are asked for is a subclass's. A context manager."""

    page_size = 100

    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        """Live ones, by their references, the oldest first."""

        self.values: list[str] = []
        """Every value that was ever told."""

        self.faults: deque[Fault] = deque()
        self.later: dict[int, Fault] = {}
        """Faults by the number of their request, counted from the server's start."""

        self.retry_after = ""
        self.requests: list[Request] = []
        self.released = threading.Event()
        """Ends what hangs."""

        super().__init__(self._handler())

    def __exit__(self, *exception: object) -> None:
        self.released.set()
        super().__exit__(*exception)

    def answer(self, request: Request) -> tuple[int, Any]:
        """Status and JSON for a request."""
        raise NotImplementedError

    def add(self, attempt: str, **fields: str) -> Key:
        """Make a key, as ``create`` does."""
        key = Key(f"ref_{token_hex(6)}", attempt, f"sk-{token_hex(16)}", **fields)
        self.keys[key.reference] = key
        self.values.append(key.value)
        return key

    def accepts(self, value: str) -> bool:
        """Whether a call with this key would be served."""
        return value in [key.value for key in self.keys.values()]

    def _handler(server) -> type[Handler]:
        class ProviderHandler(Handler):
            def _serve(self) -> None:
                url = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                request = Request(self.command, unquote(url.path), query, headers, body)
                fault = server.faults.popleft() if server.faults else server.later.get(len(server.requests))
                server.requests.append(request)
                if isinstance(fault, int):
                    retry_after = {"retry_after": server.retry_after} if server.retry_after else {}
                    self.send(fault, b'{"error": {"message": "sk-leaky"}}', **retry_after)
                    return
                if fault == "hang":
                    server.released.wait(30)
                    return
                status, answer = server.answer(request)
                data = json.dumps(answer).encode()
                if fault == "lost":
                    self.close_connection = True
                elif fault == "cut":
                    self.send_response(status)
                    self.send_header("content-length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data[: len(data) // 2])
                    self.close_connection = True
                else:
                    self.send(status, b"<html>" if fault == "garbage" else data)

            do_GET = do_POST = do_DELETE = _serve

        return ProviderHandler


class OpenAIAdmin(ProviderServer):
    """OpenAI's API, as far as service accounts and keys of a project go.

    https://platform.openai.com/docs/api-reference/project-service-accounts
    """

    admin_keys = ("sk-admin-1",)
    project = "/v1/organization/projects/proj_abc"

    def answer(self, request: Request) -> tuple[int, Any]:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if request.path == "/v1/models":
            return (200, {"object": "list", "data": []}) if self.accepts(bearer) else (401, _error("invalid_api_key"))
        if bearer not in self.admin_keys:
            return 401, _error("invalid_api_key")
        path = request.path.removeprefix(self.project)
        match request.method, path.strip("/").split("/"):
            case "POST", ["service_accounts"]:
                key = self.add(request.json["name"])
                key.account = key.reference
                return 200, {**_account(key), "api_key": _made(key)}
            case "POST", ["service_accounts", account, "api_keys"]:
                key = self.add(request.json["name"], account=account)
                return 200, _made(key)
            case "GET", ["service_accounts"]:
                accounts = [key.reference for key in self.keys.values() if key.account == key.reference]
                return 200, self._page(request, accounts, _account)
            case "GET", ["api_keys"]:
                return 200, self._page(request, list(self.keys), _listed)
            case "DELETE", ["service_accounts", account]:
                owned = [key for key in self.keys.values() if key.account == account]
                return self._deleted("service_account", account, owned)
            case "DELETE", ["api_keys", reference]:
                return self._deleted("api_key", reference, [self.keys[reference]] if reference in self.keys else [])
        return 404, _error("unknown_url")

    def _deleted(self, kind: str, identifier: str, keys: list[Key]) -> tuple[int, Any]:
        for key in keys:
            del self.keys[key.reference]
        if not keys:
            return 404, _error("not_found")
        return 200, {"object": f"organization.project.{kind}.deleted", "id": identifier, "deleted": True}

    def _page(self, request: Request, ids: list[str], form: Any) -> dict[str, Any]:
        """Pages of at most ``limit``, after the entry ``after``."""
        after = request.query.get("after")
        start = ids.index(after) + 1 if after in ids else 0
        size = min(int(request.query.get("limit", 20)), self.page_size)
        chosen = ids[start : start + size]
        return {
            "object": "list",
            "data": [form(self.keys[reference]) for reference in chosen],
            "first_id": chosen[0] if chosen else None,
            "last_id": chosen[-1] if chosen else None,
            "has_more": start + size < len(ids),
        }


def _account(key: Key) -> dict[str, Any]:
    return {
        "object": "organization.project.service_account",
        "id": key.reference,
        "name": key.attempt,
        "role": "member",
        "created_at": 1_700_000_000,
    }


def _made(key: Key) -> dict[str, Any]:
    return {
        "object": "organization.project.service_account.api_key",
        "id": key.reference,
        "name": key.attempt,
        "value": key.value,
        "created_at": 1_700_000_000,
        "expires_at": None,
    }


def _listed(key: Key) -> dict[str, Any]:
    owner = {**_account(key), "id": key.account}
    return {
        "object": "organization.project.api_key",
        "id": key.reference,
        "name": key.attempt,
        "redacted_value": "sk-abc...def",
        "created_at": 1_700_000_000,
        "owner": {"type": "service_account", "service_account": owner},
        "owner_project_access": "active",
    }


def _error(code: str) -> dict[str, Any]:
    return {"error": {"message": "no", "type": "invalid_request_error", "code": code, "param": None}}


class GoogleKeys(ProviderServer):
    """The API Keys API v2, and the service that its keys are for.

    https://github.com/googleapis/googleapis/blob/master/google/api/apikeys/v2/apikeys.proto
    """

    collection = "/v2/projects/a-project/locations/global/keys"

    def __init__(self) -> None:
        self.looks = 2
        """How often an operation is looked at before it is done."""

        self.operation_error: dict[str, Any] | None = None
        self.deleted: set[str] = set()
        self._operations: dict[str, int] = {}
        super().__init__()

    def answer(self, request: Request) -> tuple[int, Any]:
        if request.path == "/v1beta/models":
            known = self.accepts(request.headers.get("x-goog-api-key", ""))
            reason = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}
            return (200, {"models": []}) if known else (400, reason)
        if request.headers.get("authorization") not in ("Bearer token-1", "Bearer token-2"):
            return 401, {"error": {"code": 401, "status": "UNAUTHENTICATED"}}
        if request.path.startswith("/v2/operations/"):
            return 200, self._operation(request.path.removeprefix("/v2/"))
        if request.path == self.collection:
            return self._create(request) if request.method == "POST" else (200, self._page(request))
        if not request.path.startswith(self.collection + "/"):
            return 404, {"error": {"code": 404, "status": "NOT_FOUND"}}
        return self._one(request, *request.path.removeprefix(self.collection + "/").split("/"))

    def _one(self, request: Request, identifier: str, *what: str) -> tuple[int, Any]:
        if identifier in self.deleted and request.method == "DELETE":
            return 400, {"error": {"code": 400, "status": "FAILED_PRECONDITION"}}
        if identifier in self.deleted:
            return 200, {"name": f"projects/1/locations/global/keys/{identifier}", "deleteTime": "2026-01-01T00:00:00Z"}
        if identifier not in self.keys:
            return 404, {"error": {"code": 404, "status": "NOT_FOUND"}}
        if what == ("keyString",):
            return 200, {"keyString": self.keys[identifier].value}
        if request.method == "DELETE":
            del self.keys[identifier]
            self.deleted.add(identifier)
            return 200, self._begin()
        return 200, self._form(self.keys[identifier])

    def _create(self, request: Request) -> tuple[int, Any]:
        identifier = request.query["keyId"]
        assert request.json["displayName"] == identifier
        assert request.json["restrictions"]["apiTargets"]
        if identifier in self.keys:
            return 409, {"error": {"code": 409, "status": "ALREADY_EXISTS"}}
        made = self.add(identifier)
        self.keys[identifier] = self.keys.pop(made.reference)
        self.keys[identifier].reference = identifier
        return 200, self._begin()

    def _begin(self) -> dict[str, Any]:
        name = f"operations/akmf.p7-1-{token_hex(8)}"
        self._operations[name] = self.looks
        return {"name": name}

    def _operation(self, name: str) -> dict[str, Any]:
        self._operations[name] -= 1
        if self._operations[name] > 0:
            return {"name": name}
        if self.operation_error is not None:
            return {"name": name, "done": True, "error": self.operation_error}
        return {"name": name, "done": True, "response": {"@type": "type.googleapis.com/google.api.apikeys.v2.Key"}}

    def _page(self, request: Request) -> dict[str, Any]:
        start = int(request.query.get("pageToken", 0))
        size = min(int(request.query["pageSize"]), self.page_size)
        chosen = list(self.keys.values())[start : start + size]
        more = {"nextPageToken": str(start + size)} if start + size < len(self.keys) else {}
        return {"keys": [self._form(key) for key in chosen], **more}

    @staticmethod
    def _form(key: Key) -> dict[str, Any]:
        return {
            "name": f"projects/123456/locations/global/keys/{key.reference}",
            "uid": "b7ff1f9f-8275-410a-94dd-3855ee9b5dd2",
            "displayName": key.attempt,
            "createTime": "2026-01-01T00:00:00.123456789Z",
        }


class KeyWebhook(ProviderServer):
    """A server that makes keys as docs/rotation.md asks of one, and that believes no request without a signature."""

    def __init__(self, signing_secrets: list[bytes]) -> None:
        self.signing_secrets = signing_secrets
        """Those that the server knows; one of them must have signed."""

        self.clock: Clock = SystemClock()

        super().__init__()

    def answer(self, request: Request) -> tuple[int, Any]:
        if not is_signed(request, self.signing_secrets, self.clock):
            return 401, {}
        data = request.json["data"]
        match request.json["type"]:
            case "key.create":
                key = self.add(data["attempt"])
                return 201, {"value": key.value, "reference": key.reference}
            case "key.test":
                return 200, {"accepted": self.accepts(data["value"])}
            case "key.revoke":
                return (200, {}) if self.keys.pop(data["reference"], None) else (404, {})
            case "key.list":
                return 200, self._page(data)
        return 400, {}

    def _page(self, data: dict[str, Any]) -> dict[str, Any]:
        start = int(data["after"] or 0)
        chosen = list(self.keys.values())[start : start + self.page_size]
        more = start + self.page_size < len(self.keys)
        return {
            "keys": [{"reference": key.reference, "attempt": key.attempt} for key in chosen],
            "next": str(start + self.page_size) if more else None,
        }


def is_signed(request: Request, secrets: list[bytes], clock: Clock) -> bool:
    """As Standard Webhooks has it, written apart from the code under test."""
    identifier, sent_at = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
    if not (identifier and sent_at.isdigit() and abs(seconds(clock) - int(sent_at)) < 300):
        return False
    message = identifier.encode() + b"." + sent_at.encode() + b"." + request.body
    expected = {base64.b64encode(hmac.new(secret, message, hashlib.sha256).digest()).decode() for secret in secrets}
    given = [part.removeprefix("v1,") for part in request.headers.get("webhook-signature", "").split(" ")]
    return bool(expected & set(given))
