"""Reads demand from the Prometheus HTTP API (Prometheus 2 and 3, VictoriaMetrics) through prometheus-api-client.

The library sends one request as it is told; here are the parts it leaves out: splitting a range so that no answer has
more points than servers allow, aligning to the step, bounded time and retries, the server's warnings, and errors that
say what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import requests
from prometheus_api_client import PrometheusApiClientException, PrometheusConnect
from urllib3.util.retry import Retry

from predictor.errors import InputError, SourceError
from predictor.series import FloatArray, Series

MAX_POINTS = 11_000  # per series and request; Prometheus refuses more
_RETRIED_STATUS = (408, 429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class PrometheusAccess:
    """How to reach a server.  Secrets are kept out of `repr`."""

    url: str
    bearer_token: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    skip_tls_verification: bool = False
    timeout_seconds: float = 30.0
    retries: int = 2

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise InputError(f"--prometheus {self.url}: give a URL like http://prometheus:9090")
        for path in (self.ca_file, self.client_certificate, self.client_key):
            if path is not None and not path.is_file():
                raise InputError(f"{path}: no such file; check the TLS options")
        if self.bearer_token and self.username:
            raise InputError("a bearer token and a user name exclude each other; give one of them")


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What one query gave over a range, on the regular grid."""

    series: tuple[Series, ...]
    warnings: tuple[str, ...]  # the server's own words, for example about partial answers


class Prometheus:
    """One server.  Every call is one query over a range; nothing is cached."""

    def __init__(self, access: PrometheusAccess) -> None:
        self.access = access
        self._warnings: list[str] = []
        session = requests.Session()
        session.verify = not access.skip_tls_verification
        if access.ca_file is not None and not access.skip_tls_verification:
            session.verify = str(access.ca_file)
        if access.client_certificate is not None:
            pair = (str(access.client_certificate), str(access.client_key or access.client_certificate))
            session.cert = pair
        session.hooks["response"].append(self._notice_warnings)
        headers = dict(access.headers)
        if access.bearer_token:
            headers["Authorization"] = f"Bearer {access.bearer_token}"
        retry = Retry(total=access.retries, backoff_factor=0.3, status_forcelist=_RETRIED_STATUS, raise_on_status=False)
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
        session.mount("https://", requests.adapters.HTTPAdapter(max_retries=retry))
        auth = (access.username, access.password or "") if access.username else None
        self._client = PrometheusConnect(
            url=access.url.rstrip("/"), headers=headers, auth=auth, session=session, timeout=access.timeout_seconds
        )

    def fetch(self, query: str, start: datetime, end: datetime, step_seconds: int) -> Answer:
        """Evaluate `query` at every multiple of the step within [start, end]; one Series per label set.

        Instants at which the server gives nothing are NaN.  Raises InputError when the server refuses the query and
        SourceError when it cannot be reached or does not answer.
        """
        first = -(-int(start.timestamp()) // step_seconds) * step_seconds
        last = int(end.timestamp()) // step_seconds * step_seconds
        if last < first:
            raise InputError(f"{query}: the range {start:%F %T} to {end:%F %T} holds no step of {step_seconds} s")
        self._warnings.clear()
        length = (last - first) // step_seconds + 1
        found: dict[tuple[tuple[str, str], ...], FloatArray] = {}
        for begin in range(0, length, MAX_POINTS):
            stop = min(begin + MAX_POINTS, length) - 1  # the next request starts one step later: no border doubles
            for row in self._request(query, first + begin * step_seconds, first + stop * step_seconds, step_seconds):
                key = tuple(sorted(row.get("metric", {}).items()))
                values = found.setdefault(key, np.full(length, np.nan))
                _place(values, row.get("values", []), first, step_seconds)
        origin = datetime.fromtimestamp(first, UTC)
        series = tuple(
            Series(_name(dict(key), query, len(found)), origin, step_seconds, values, dict(key))
            for key, values in sorted(found.items())
        )
        return Answer(series, tuple(dict.fromkeys(self._warnings)))

    def _request(self, query: str, first: int, last: int, step_seconds: int) -> list[dict[str, Any]]:
        start, end = datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)
        try:
            result = self._client.custom_query_range(query, start, end, str(step_seconds))
        except PrometheusApiClientException as error:
            raise self._refused(query, str(error)) from error
        except requests.exceptions.SSLError as error:
            raise SourceError(
                f"{self.access.url}: TLS failed ({_reason(error)}); check --ca-file and the client certificate"
            ) from error
        except requests.exceptions.Timeout as error:
            raise SourceError(
                f"{self.access.url}: no answer within {self.access.timeout_seconds:g} s; "
                "raise --timeout, shorten --days, or make the query a recording rule"
            ) from error
        except (requests.exceptions.RequestException, KeyError) as error:
            raise SourceError(
                f"{self.access.url}: cannot be read ({_reason(error)}); check the address and that the server is up"
            ) from error
        return list(result)

    def _refused(self, query: str, text: str) -> InputError | SourceError:
        """An HTTP status other than 200, in words."""
        status = next((int(word) for word in text.split() if word.isdigit() and len(word) == 3), 0)
        detail = text.partition("(")[2].rstrip(")").strip("b'\"")[:300]
        if status in (400, 422):
            return InputError(f"the server refuses the query {query!r}: {detail}; check the PromQL")
        if status in (401, 403):
            return SourceError(f"{self.access.url}: access denied (HTTP {status}); check the token or the password")
        if status == 404:
            return SourceError(
                f"{self.access.url}: HTTP 404; the URL must be the one that /api/v1/query_range is below"
            )
        return SourceError(f"{self.access.url}: HTTP {status}: {detail}; see the server's log")

    def _notice_warnings(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """The library drops what the server warns about; a partial answer must not pass silently."""
        if response.status_code != 200:
            return
        try:
            body = response.json()
        except ValueError:
            return
        if isinstance(body, dict):
            self._warnings += [str(text) for text in body.get("warnings") or []]


def _place(values: FloatArray, samples: list[list[Any]], first: int, step_seconds: int) -> None:
    """Write [timestamp, "value"] pairs onto the grid."""
    if not samples:
        return
    table = np.array([(float(at), float(value)) for at, value in samples])
    index = np.rint((table[:, 0] - first) / step_seconds).astype(np.int64)
    values[index] = table[:, 1]


def _name(labels: Mapping[str, str], query: str, count: int) -> str:
    """A stable, readable name: the labels, or the query when there are none."""
    if not labels:
        return query if count == 1 else f"{query} (no labels)"
    metric = labels.get("__name__", "")
    rest = ",".join(f"{key}={value}" for key, value in sorted(labels.items()) if key != "__name__")
    return f"{metric}{{{rest}}}" if metric and rest else metric or rest


def _reason(error: BaseException) -> str:
    """The innermost cause in one line: outer layers only repeat addresses."""
    cause: BaseException = error
    while cause.args and isinstance(cause.args[0], BaseException):
        cause = cause.args[0]
    reason = getattr(cause, "reason", None)
    return str(reason if isinstance(reason, BaseException) else cause)[:200] or type(error).__name__
