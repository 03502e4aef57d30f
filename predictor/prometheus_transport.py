"""One HTTP session to a Prometheus server: bounded time, bounded retries, and failures in our own words.

`prometheus-api-client` sends the requests and reads the JSON; what it leaves out happens below it, in the session
that it is given: a limit on the whole answer rather than on each packet, the server's warnings, and its own message
when it refuses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter

from predictor.errors import ForescaleError, InputError, SourceError
from predictor.prometheus_access import Credentials, PrometheusAccess

_T = TypeVar("_T")
_OK = 200
_RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_FIRST_WAIT_SECONDS = 0.3  # doubles with each retry
_BLOCK_BYTES = 1 << 16
_SHOWN = 400  # characters of a server's message


class RefusedError(Exception):
    """The server answered with something other than 200."""

    def __init__(self, status: int, error_type: str | None, message: str, location: str, retry_after: str) -> None:
        super().__init__(status)
        self.status = status
        self.error_type = error_type  # None: the answer is not one of Prometheus' API
        self.message = message
        self.location = location
        self.retry_after_seconds = float(retry_after) if retry_after.isdecimal() else 0.0

    @property
    def may_pass(self) -> bool:
        """Whether to try again.  A query that ran out of time would only do so once more."""
        return self.status in _RETRIED_STATUS and self.error_type not in ("timeout", "canceled")


class WholeAnswerAdapter(HTTPAdapter):
    """Reads the whole answer before the timeout ends: requests only bounds the wait for each packet."""

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send and read; raises requests' exceptions, also when the body ends early."""
        begun = time.monotonic()
        response = super().send(request, stream=True, timeout=timeout, verify=verify, cert=cert, proxies=proxies)
        body = bytearray()
        try:
            while block := response.raw.read1(_BLOCK_BYTES, decode_content=True):
                body += block
                if timeout is not None and time.monotonic() - begun > timeout:
                    raise urllib3.exceptions.ReadTimeoutError(None, "", "")  # type: ignore[arg-type]
        except (urllib3.exceptions.HTTPError, OSError) as error:
            response.close()
            far = f"{len(body)} bytes"
            if isinstance(error, urllib3.exceptions.ReadTimeoutError):
                raise requests.exceptions.ReadTimeout(f"only {far} came", request=request) from error
            raise requests.exceptions.ChunkedEncodingError(
                f"the answer broke off after {far}", request=request
            ) from error
        if response.status_code == _OK and not body:  # also what is left when the headers broke off
            raise requests.exceptions.ChunkedEncodingError("the answer is empty", request=request)
        response._content = bytes(body)  # what reading `response.content` would have set
        return response


class Transport:
    """The session of one server, and what came with its answers.  Not to be shared between threads."""

    def __init__(self, access: PrometheusAccess, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.access = access
        self.warnings: dict[str, None] = {}  # in order, each once, since `forget`
        self.server_time: datetime | None = None  # of the last answer
        self._sleep = sleep
        self._lost_seconds = 0.0
        self.session = requests.Session()
        self.session.auth = Credentials(access)
        self.session.headers.update({"User-Agent": "forescale", **access.headers})
        self.session.verify = str(access.ca_file) if access.ca_file is not None else True
        if access.skip_tls_verification:
            self.session.verify = False
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # it was asked for
        if access.client_certificate is not None:
            self.session.cert = (str(access.client_certificate), str(access.client_key or access.client_certificate))
        self.session.hooks["response"].append(self._notice)

    def mount(self, url: str) -> None:
        """Take over requests below `url`.  To be called after the library has mounted its own adapter there."""
        self.session.mount(url, WholeAnswerAdapter())

    def forget(self) -> None:
        """Begin a new call: no warnings yet, and the whole retry budget."""
        self.warnings, self._lost_seconds = {}, 0.0

    def run(self, send: Callable[[], _T], *, asked: str) -> _T:
        """Send one request, again when that may help, and put its failure into words.

        asked: the query, for messages.  Raises InputError when the query is at fault, else SourceError.
        """
        for attempt in range(self.access.retries + 1):
            begun = time.monotonic()
            try:
                return send()
            except RefusedError as refused:
                failure: ForescaleError
                cause: Exception
                failure, is_passing = explain_status(self.access, refused, asked), refused.may_pass
                wait, cause = refused.retry_after_seconds, refused
            except (requests.exceptions.RequestException, OSError, KeyError, TypeError) as error:
                # KeyError, TypeError: the library takes the answer apart without looking.
                failure, is_passing = explain_failure(self.access, error)
                wait, cause = 0.0, error
            wait = max(wait, _FIRST_WAIT_SECONDS * 2**attempt)
            self._lost_seconds += time.monotonic() - begun + wait
            is_last = attempt == self.access.retries or self._lost_seconds > self.access.retry_budget_seconds
            if is_last or not is_passing:
                raise failure from cause
            self._sleep(wait)
        raise AssertionError("the loop returns or raises")

    def _notice(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """Keep what the library would drop, and raise RefusedError with what the server says."""
        date = response.headers.get("Date", "")
        try:
            self.server_time = parsedate_to_datetime(date).astimezone(UTC)
        except ValueError:
            self.server_time = None
        if response.status_code != _OK:
            error_type, message = _server_message(response)
            headers = response.headers
            raise RefusedError(
                response.status_code, error_type, message, headers.get("Location", ""), headers.get("Retry-After", "")
            )
        content = response.content
        if b'"warnings"' in content or b'"infos"' in content or b'"isPartial":true' in content:
            body = response.json()
            if not isinstance(body, dict):
                raise TypeError(type(body))  # told like every answer that is not Prometheus'
            for text in (*(body.get("warnings") or ()), *(body.get("infos") or ())):
                self.warnings[self.access.redact(str(text))] = None
            if body.get("isPartial"):
                self.warnings["the answer is partial: some storage nodes did not reply"] = None


def explain_status(access: PrometheusAccess, refused: RefusedError, asked: str) -> ForescaleError:
    """An answer other than 200, as an error that says what to do."""
    status, message = refused.status, access.redact(refused.message)[:_SHOWN]
    if status in (400, 422) and refused.error_type is not None:
        return InputError(f"{access.url} refuses the query {asked!r}: {message}; {_query_advice(message)}")
    if status == 401:
        return SourceError(f"{access.url}: not let in (HTTP 401); give a token or --user, or check the password")
    if status == 403:
        return SourceError(f"{access.url}: the credentials are known but not allowed to query (HTTP 403)")
    if status == 404:
        return SourceError(f"{access.url}: HTTP 404; give the URL below which /api/v1/query_range is found")
    if 300 <= status < 400:
        return SourceError(
            f"{access.url}: redirects to {refused.location or 'somewhere'} (HTTP {status}), where credentials are not "
            "taken along; give the server's own URL"
        )
    if status == 400 and "HTTPS" in message:
        return SourceError(f"{access.url}: speaks TLS; give https:// instead of http://")
    if refused.error_type == "timeout":
        return SourceError(
            f"{access.url}: the query took the server too long ({message}); shorten --days, or make it a recording rule"
        )
    return SourceError(f"{access.url}: HTTP {status}: {message or 'no message'}; see the server's log")


def explain_failure(access: PrometheusAccess, error: Exception) -> tuple[ForescaleError, bool]:
    """A request without a usable answer, as an error that says what to do; and whether to try again."""
    url, reason = access.url, access.redact(_innermost(error))[:_SHOWN]
    if isinstance(error, requests.exceptions.SSLError):
        advice = (
            "check --ca-file, the server's name in the URL and the client certificate; or does it speak plain HTTP?"
        )
        return SourceError(f"{url}: TLS failed ({reason}); {advice}"), False
    if isinstance(error, requests.exceptions.ConnectTimeout):
        wait = f"{access.timeout_seconds:g} s"
        return SourceError(f"{url}: cannot be reached within {wait}; check the address, and firewalls on the way"), True
    if isinstance(error, requests.exceptions.Timeout):
        return SourceError(
            f"{url}: no complete answer within {access.timeout_seconds:g} s; "
            "raise --timeout, shorten --days, or make the query a recording rule"
        ), True
    if isinstance(error, (requests.exceptions.JSONDecodeError, KeyError, TypeError)):
        return SourceError(f"{url}: answers, but not as the Prometheus API does; is the path in the URL right?"), False
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return SourceError(f"{url}: {error}; did the server or a proxy stop? See its log"), True
    if isinstance(error, requests.exceptions.ConnectionError):
        return SourceError(f"{url}: cannot be reached ({reason}); check the address, and that the server is up"), True
    if isinstance(error, requests.exceptions.RequestException):
        return SourceError(f"{url}: cannot be read ({reason}); check the address"), False
    return InputError(f"{url}: cannot be set up ({reason}); check --ca-file and the client certificate"), False


def _query_advice(message: str) -> str:
    if "too many samples" in message or "-search.max" in message or "cannot select more than" in message:
        return "it asks for too much at once: shorten --days, aggregate, or make it a recording rule"
    return "check the PromQL"


def _server_message(response: requests.Response) -> tuple[str | None, str]:
    """(error type, message) of Prometheus' API, or (None, text) when something else answered."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict) and "error" in body:
        return str(body.get("errorType", "")), str(body["error"])
    return None, " ".join(response.text.split())


def _innermost(error: BaseException) -> str:
    """The cause in one line: the layers above it only repeat addresses and queries."""
    while True:
        parts = (*error.args, getattr(error, "reason", None), error.__cause__)
        inner = [part for part in parts if isinstance(part, BaseException)]
        if not inner:
            break
        error = inner[0]
    return str(getattr(error, "verify_message", None) or getattr(error, "strerror", None) or error)
