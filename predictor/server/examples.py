"""Examples in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import Body
from pydantic import BaseModel

from predictor import messages as m

_TRUST = {
    "state": "trusted",
    "reason": "Earned",
    "message": "4291 outcomes in 3 days; skill over persistence 38.7%",
}
_OUTCOMES = {
    "window_seconds": 259200,
    "is_warm": True,
    "pairs": 4291,
    "skill": 0.387,
    "upper_level": 0.95,
    "upper_pairs": 4291,
    "upper_covered": 4089,
    "hits": 11,
    "false_alarms": 1,
    "surges": 9,
    "surges_caught": 8,
}
_FRESHNESS = {
    "last_sample_at": "2026-11-24T09:59:00Z",
    "age_seconds": 6.2,
    "is_stale": False,
    "last_read_at": "2026-11-24T09:59:05Z",
    "error": None,
}
_MODEL = {
    "version": "dd21556fc1f3",
    "hash": "dd21556fc1f3cceef62226c95b40b918594c9e2898e300d01a73aa58741f0969",
    "created_at": "2026-11-23T02:00:00+00:00",
    "code_version": "0.1.0",
}
FORECAST: dict[str, Any] = {
    "workload": "checkout",
    "status": "ok",
    "reason": None,
    "message": None,
    "is_synthetic": False,
    "issued_at": "2026-11-24T09:59:00Z",
    "expires_at": "2026-11-24T10:05:00Z",
    "step_seconds": 60,
    "levels": [0.5, 0.95],
    "times": ["2026-11-24T10:00:00Z", "2026-11-24T10:01:00Z"],
    "path": [[364.3, 402.9], [366.2, 407.6]],
    "window_max": [[364.3, 402.9], [379.4, 418.0]],
    "target_per_replica": 25.0,
    "is_target_derived": False,
    "model": _MODEL,
    "freshness": _FRESHNESS,
    "calibration": {"is_warm": True, "outcomes": 4291},
    "trust": _TRUST,
    "outcomes": _OUTCOMES,
}
WORKLOADS: dict[str, Any] = {
    "cycle": 4711,
    "cycle_at": "2026-11-24T09:59:05Z",
    "is_warm": True,
    "workloads": [
        {
            "name": "checkout",
            "status": "ok",
            "reason": None,
            "message": None,
            "is_synthetic": False,
            "demand": 358.0,
            "replicas": 15.0,
            "expected": {
                "horizon_seconds": 900,
                "median": 371.0,
                "peak_median": 402.0,
                "peak_upper": 455.0,
                "upper_level": 0.95,
                "replicas": 19,
            },
            "target_per_replica": 25.0,
            "is_target_derived": False,
            "step_seconds": 60,
            "horizon_seconds": 900,
            "recent": [341.0, 366.0, 358.0],
            "trust": _TRUST,
            "score": {
                "window_seconds": 259200,
                "horizon_seconds": 900,
                "pairs": 4291,
                "wape": 0.0765,
                "persistence_wape": 0.1248,
                "skill": 0.387,
            },
            "freshness": _FRESHNESS,
            "model": _MODEL,
        }
    ],
    "notes": [],
}
ACCURACY: dict[str, Any] = {
    "workload": "checkout",
    "start": "2026-11-23T10:00:00Z",
    "end": "2026-11-24T09:59:00Z",
    "window_seconds": 86400,
    "origins": 1440,
    "live_origins": 1440,
    "by_horizon": [
        {
            "horizon_seconds": 900,
            "pairs": 1425,
            "wape": 0.0799,
            "persistence_wape": 0.1369,
            "skill": 0.416,
            "bias": 0.0076,
        }
    ],
    "coverage": [
        {
            "head": "window_max",
            "horizon_seconds": 900,
            "level": 0.95,
            "pairs": 1425,
            "covered": 1358,
            "coverage": 0.953,
        }
    ],
    "alarms": {
        "level": 0.3,
        "surges": 9,
        "caught": 8,
        "recall": 0.889,
        "alarms": 13,
        "hits": 11,
        "false_alarms": 1,
        "pending": 1,
        "false_alarm_ratio": 0.083,
        "median_lead_seconds": 990.0,
        "wasted_replica_minutes": 58.5,
    },
    "trust": _TRUST,
}
FORECAST_REQUEST = Body(
    openapi_examples={
        "all": {"summary": "Every workload", "value": {}},
        "two": {
            "summary": "Two workloads, ten minutes, two levels",
            "value": {"workloads": ["checkout", "search"], "quantiles": [0.5, 0.95], "horizon_seconds": 600},
        },
    }
)


def of(message: type[BaseModel], example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """The documented answer of a path that works."""
    return {200: {"model": message, "content": {"application/json": {"example": example}}}}


def _problem(status: int, title: str, detail: str) -> dict[str, Any]:
    example = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return {
        "model": m.Problem,
        "description": title,
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
        },
    }


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: _problem(400, "Bad Request", "There was an error parsing the body"),
    401: _problem(401, "Unauthorized", "give a bearer token"),
    404: _problem(404, "Not Found", "no workload chekout; GET /v1/workloads lists them"),
    413: _problem(413, "Content Too Large", "at most 1048576 bytes"),
    422: _problem(422, "Unprocessable Content", "horizon 7200 s: give 60 to 900 s"),
    429: _problem(429, "Too Many Requests", "at most 1200 requests a minute"),
    503: _problem(503, "Service Unavailable", "nothing is known of its past yet; ask again"),
}
