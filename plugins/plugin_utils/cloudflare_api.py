# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of one Cloudflare Tunnel by Cloudflare's API, from the control node.

Forms: https://developers.cloudflare.com/api/resources/zero_trust/subresources/tunnels/subresources/cloudflared/
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
import typing as t
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _handshake

URL = "https://api.cloudflare.com/client/v4"

_TRIES = 3
#: Seconds that a run waits in all where Cloudflare asks it to.
PATIENCE = 60
_LARGEST = 8 * 2**20
_SHAPES = {
    "account_id": (r"[0-9a-fA-F]{32}", "32 hexadecimal digits, as in the dashboard's address after dash.cloudflare.com/"),
    "tunnel_id": (r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "a UUID, as in the tunnel's overview"),
    "api_token": (r"[\w.~+/=-]+", "one word without blanks or line ends"),
}
_PERMISSION = "Account > Cloudflare Tunnel > Edit"


class ApiError(Exception):
    """Cloudflare could not be asked, or says no. The message says what to do, and never holds the token."""


class _PassingError(ApiError):
    """Another try may find it better, after `wait` seconds."""

    def __init__(self, message: str, wait: float) -> None:
        super().__init__(message)
        self.wait = wait


class Found(t.NamedTuple):
    """The configuration with its version, which Cloudflare raises at each change; None where there is none yet."""

    version: t.Any
    source: str
    config: dict[str, t.Any] | None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Nobody else is to see the token."""

    def redirect_request(self, *_arguments: t.Any, **_named: t.Any) -> None:
        return None


class Tunnel:
    """One tunnel's configuration. `timeout` is in seconds, for each whole answer; all of them have what three tries take."""

    def __init__(self, url: str, account_id: str, tunnel_id: str, api_token: str, timeout: float) -> None:
        given = {"account_id": account_id, "tunnel_id": tunnel_id, "api_token": api_token}
        for name, (pattern, form) in _SHAPES.items():
            if not re.fullmatch(pattern, given[name], re.ASCII):
                raise ApiError(f"{name} is not {form}")
        parts = urlsplit(url)
        if parts.scheme != "https" and (parts.scheme, parts.hostname) != ("http", "127.0.0.1"):
            raise ApiError("api_url does not begin with https://, and the token is not sent in clear; leave it unset")
        self._url = f"{url.rstrip('/')}/accounts/{account_id}/cfd_tunnel/{tunnel_id}/configurations"
        self._account, self._tunnel, self._token, self._timeout = account_id, tunnel_id, api_token, timeout
        self._patience = float(PATIENCE)
        self._end = time.monotonic() + _TRIES * timeout + PATIENCE
        self._opener = urllib.request.build_opener(_NoRedirect)

    def read(self) -> Found:
        """The configuration as it is now. Raises ApiError."""
        for left in reversed(range(_TRIES)):
            try:
                return self._found(self._ask("GET", None))
            except _PassingError as error:
                self._wait(error, left)
        raise AssertionError("the last try returns or raises")

    def replace(
        self, seen: Found, config: t.Mapping[str, t.Any], is_done: t.Callable[[t.Mapping[str, t.Any] | None], bool]
    ) -> None:
        """Put `config` in the place of what was seen. Raises ApiError, also where that is there no more.

        `is_done` says of a configuration that Cloudflare has whether it is `config`, whatever form it is kept in.
        """
        failed = ""
        for left in reversed(range(_TRIES + 1)):
            now = self.read()
            if is_done(now.config):
                # An earlier try arrived, and its answer did not.
                return
            if failed and not left:
                raise ApiError(failed)
            if now != seen:
                raise ApiError("somebody else is changing the tunnel's configuration; nothing was overwritten, run again")
            try:
                self._ask("PUT", {"config": config})
                return
            except _PassingError as error:
                failed = str(error)
                self._wait(error, left)

    def _wait(self, error: _PassingError, left: int) -> None:
        if not left or error.wait > self._patience:
            raise ApiError(str(error)) from None
        self._patience -= error.wait
        time.sleep(error.wait)

    def _found(self, result: t.Any) -> Found:
        config = result.get("config") if isinstance(result, dict) else self
        if config is not None and not (isinstance(config, dict) and isinstance(config.get("ingress") or [], list)):
            raise ApiError("Cloudflare's answer has not the form that it documents; see whether this collection has an update")
        return Found(result.get("version"), str(result.get("source") or ""), config)

    def _ask(self, method: str, body: t.Any) -> t.Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "User-Agent": "selfhosted.coolify",
        }
        request = urllib.request.Request(self._url, data, headers, method=method)
        now = time.monotonic()
        # A server that sends a byte now and then never lets a socket's own time run out.
        answer = _handshake.within(min(now + self._timeout, self._end), lambda: self._answer(request))
        if answer is None and now + self._timeout >= self._end:
            raise ApiError(f"{self._host()} answered too slowly for too long; run again later, or raise timeout")
        answer = answer or self._unanswered(TimeoutError())
        if isinstance(answer, ApiError):
            raise answer
        status, kind, text = answer
        parsed = _parsed(text)
        if not isinstance(parsed, dict):
            raise ApiError(
                f"{self._host()} answered {status} with {kind} that is not Cloudflare's JSON; see whether a proxy or a sign-in "
                "page stands between the control node and the API"
            )
        if parsed.get("success") is not True:
            raise ApiError(f"Cloudflare refuses the request{self._reasons(parsed)}")
        return parsed.get("result")

    def _answer(self, request: urllib.request.Request) -> tuple[int, str, bytes] | ApiError:
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return answer.status, answer.headers.get_content_type(), answer.read(_LARGEST)
        except urllib.error.HTTPError as error:
            with error:
                return self._refused(error)
        except (OSError, ValueError, http.client.HTTPException) as error:
            return self._unanswered(error)

    def _refused(self, error: urllib.error.HTTPError) -> ApiError:
        try:
            parsed = _parsed(error.read(_LARGEST))
        except (OSError, http.client.HTTPException):
            parsed = None
        code, reasons = error.code, self._reasons(parsed)
        if code == 429:
            asked = str(error.headers.get("Retry-After") or "")
            wait = int(asked) if re.fullmatch(r"[0-9]{1,9}", asked) else 5
            return _PassingError(f"Cloudflare takes no more requests for now (429); run again in {wait} seconds", wait)
        if code >= 500:
            message = f"Cloudflare's API is in trouble ({code}{reasons}); run again later, see https://www.cloudflarestatus.com"
            return _PassingError(message, 1)
        if code == 401:
            return ApiError(f"Cloudflare does not know the api_token ({code}{reasons}); it may be mistyped, expired or rolled")
        if code == 403:
            return ApiError(
                f"the api_token may not do this ({code}{reasons}); it needs the permission {_PERMISSION} for the account "
                f"{self._account}, and must be allowed from this address"
            )
        if code == 404:
            return ApiError(
                f"Cloudflare has no tunnel {self._tunnel} in the account {self._account} ({code}{reasons}); check tunnel_id and "
                "account_id"
            )
        if 300 <= code < 400:
            return ApiError(f"{self._host()} sends elsewhere ({code}), where the token is not taken; check api_url and the proxy")
        return ApiError(f"Cloudflare refuses the request ({code}{reasons}), and nothing was changed")

    def _unanswered(self, error: Exception) -> ApiError:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            return ApiError(
                f"the certificate of {self._host()} cannot be trusted ({reason.verify_message}); see which proxy stands between, "
                "and install its authority on the control node"
            )
        if isinstance(reason, TimeoutError):
            said = f"did not answer within {self._timeout:g} seconds; raise timeout"
        else:
            said = f"cannot be reached ({self._clean(reason)}); see whether the control node comes out"
        return _PassingError(f"{self._host()} {said}, or run again later", 1)

    def _reasons(self, parsed: t.Any) -> str:
        errors = parsed.get("errors") if isinstance(parsed, dict) else None
        known = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
        return "".join(self._clean(f": {error.get('message')} [{error.get('code')}]") for error in known[:5])

    def _clean(self, text: t.Any) -> str:
        return re.sub(r"[^\x20-\x7e]", " ", str(text).replace(self._token, "(the token)"))[:300]

    def _host(self) -> str:
        return urlsplit(self._url).netloc.rpartition("@")[2]


def _parsed(text: bytes) -> t.Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
