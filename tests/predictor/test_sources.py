from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from predictor.errors import InputError, SeriesError, SeriesGapError
from predictor.prometheus import PrometheusAccess
from predictor.series import Series
from predictor.sources import Loaded, SourceOptions, load, only
from tests.servers.fixtures import Recorded
from tests.servers.http_stubs import EMPTY, answering
from tests.servers.metric_servers import MetricServer

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
RATE = 'sum(rate(http_requests_total{app="web"}[5m]))'


def read(options: SourceOptions, *, now: datetime = NOON) -> list[Loaded]:
    return load(options, now=now, make_synthetic=invent)


def invent(days: int, step_seconds: int, end: datetime) -> Series:
    """Stands for the generator, which another package owns."""
    length = days * 86_400 // step_seconds
    values = np.random.default_rng(1).poisson(50, length).astype(np.float64)
    return Series("synthetic", end - timedelta(seconds=step_seconds * (length - 1)), step_seconds, values, {}, True)


def a_file(path: Path, *, length: int = 200, without: slice = slice(0), until: datetime = NOON) -> Path:
    """Minutes that end at `until`, with a column `queue` and with `without` not observed."""
    values = np.random.default_rng(2).poisson(50, length).astype(str)
    values[without] = ""
    first = int(until.timestamp()) - 60 * (length - 1)
    rows = [f"{first + 60 * index},{value},{index}" for index, value in enumerate(values)]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["timestamp,requests,queue", *rows]))
    return path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "give one source"),
        ({"synthetic": True, "files": (Path("a.csv"),)}, "give one source"),
        ({"query": "up", "synthetic": True}, "--prometheus and --query belong together"),
        ({"prometheus": PrometheusAccess("http://server")}, "--prometheus and --query belong together"),
        ({"synthetic": True, "covariates": {"a": "up"}}, "--covariate needs"),
        ({"synthetic": True, "days": 0.5}, "at least 1"),
        ({"files": (Path("a.csv"),), "days": 0}, "positive"),
        ({"files": (Path("a.csv"),), "max_missing_ratio": 20}, "between 0 and 1"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        SourceOptions(**options)  # type: ignore[arg-type]


def test_generated_demand_ends_on_the_last_full_step_and_stays_marked() -> None:
    (loaded,) = read(SourceOptions(synthetic=True, days=14, step_seconds=300), now=NOON + timedelta(seconds=299))

    series = loaded.history.series
    assert (series.end, series.is_synthetic, len(series)) == (NOON, True, 14 * 288)
    assert loaded.quality.usable_season_seconds == (86_400, 604_800)


def test_files_become_series_with_their_columns_and_events(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("start,end\n2026-05-04T11:59Z,2026-05-04T12:02Z\n")

    (loaded,) = read(
        SourceOptions(
            files=(a_file(tmp_path / "web.csv", without=slice(0, 3)),),
            covariates={"backlog": "queue"},
            events=tmp_path / "events.csv",
            horizon=5,
        )
    )

    history = loaded.history
    assert len(history.series) == 197, "what is missing at the ends is cut off"
    assert history.covariates is not None
    assert history.covariates[:2, 0].tolist() == [3, 4], "and the covariates with it"
    assert history.events is not None
    assert history.events[-7:].tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert "too short for the season of 1 days" in loaded.quality.notes[0]


def test_files_of_one_name_in_two_folders_stay_apart(tmp_path: Path) -> None:
    paths = [a_file(tmp_path / folder / "web.csv") for folder in ("a", "b")]

    names = [loaded.history.series.name for loaded in read(SourceOptions(files=(*paths, a_file(tmp_path / "x.csv"))))]

    assert names == [f"{tmp_path}/a/web", f"{tmp_path}/b/web", "x"]


def test_all_series_that_cannot_be_used_are_named_at_once(tmp_path: Path) -> None:
    good = a_file(tmp_path / "good.csv")
    gappy = [a_file(tmp_path / f"gappy{index}.csv", without=slice(10, 120)) for index in range(2)]
    late = a_file(tmp_path / "late.csv", until=NOON + timedelta(hours=1))

    with pytest.raises(SeriesGapError, match=r"2 of 3 series cannot be used(.|\n)*gappy0: 110 of 200(.|\n)*gappy1"):
        read(SourceOptions(files=(good, *gappy)))
    with pytest.raises(SeriesError, match=r"gappy0(.|\n)*late: the last sample is 3600 s in the future"):
        read(SourceOptions(files=(gappy[0], late)))
    with pytest.raises(SeriesGapError, match=r"^gappy0: 110 of 200"):
        read(SourceOptions(files=(gappy[0],)))


def test_where_one_series_is_needed_several_are_listed(tmp_path: Path) -> None:
    loaded = read(SourceOptions(files=tuple(a_file(tmp_path / f"{name}.csv") for name in "ab")))

    with pytest.raises(InputError, match="2 series where one is expected: a; b"):
        only(loaded)
    assert only(loaded[:1]) is loaded[0]


def test_28_days_are_read_from_a_server_ready_to_train_on(metric_server: MetricServer, recorded: Recorded) -> None:
    options = SourceOptions(prometheus=PrometheusAccess(metric_server.url), query=RATE)

    (loaded,) = read(options, now=recorded.end)

    series, quality = loaded.history.series, loaded.quality
    assert (series.end, series.step_seconds) == (recorded.end, 60)
    assert len(series) > 28 * 1440 - 10
    assert quality.usable_season_seconds == (86_400, 604_800)
    assert (quality.missing, quality.samples) == (series.missing, len(series))
    assert loaded.warnings == ()


def test_covariates_go_to_the_series_with_their_labels_or_to_all(
    filled_prometheus: MetricServer, recorded: Recorded
) -> None:
    options = SourceOptions(
        prometheus=PrometheusAccess(filled_prometheus.url),
        query="sum by (app) (rate(http_requests_total[5m]))",
        days=1,
        covariates={"own": "sum by (app) (demand)", "all": "sum(demand)"},
    )

    api, web = read(options, now=recorded.end)

    assert list(options.covariates) == ["all", "own"]
    for loaded in (api, web):
        assert loaded.history.covariates is not None
        assert loaded.history.covariates.shape == (len(loaded.history.series), 2)
    shared, own = np.nanmean(web.history.covariates, axis=0)  # type: ignore[arg-type]
    assert own == pytest.approx(shared * 2 / 3, rel=0.02)
    with pytest.raises(InputError, match="--covariate own: 2 series, none of them for sum"):
        read(
            SourceOptions(
                prometheus=options.prometheus, query=RATE, days=1, covariates={"own": "sum by (app) (demand)"}
            ),
            now=recorded.end,
        )


def test_what_a_query_lacks_is_told(filled_prometheus: MetricServer, recorded: Recorded) -> None:
    access = PrometheusAccess(filled_prometheus.url)

    def notes(query: str, days: float = 2) -> str:
        return " / ".join(
            only(read(SourceOptions(prometheus=access, query=query, days=days), now=recorded.end)).quality.notes
        )

    assert "no window like [5m]" in notes('demand{app="web"}')
    assert "no window" not in notes(RATE)
    assert "40 days were asked for, but the first sample is of" in notes(RATE, days=40)
    with pytest.raises(SeriesError, match=r"http_requests_total is a counter.*rate\(http_requests_total\[5m\]\)"):
        notes("sum(http_requests_total)")


def test_an_empty_answer_says_what_was_asked_and_where(filled_prometheus: MetricServer, recorded: Recorded) -> None:
    options = SourceOptions(prometheus=PrometheusAccess(filled_prometheus.url), query="sum(rate(nothing[5m]))", days=1)

    with pytest.raises(
        InputError, match=r"'sum\(rate\(nothing\[5m\]\)\)' gives nothing between .* at http.*no metric nothing"
    ):
        read(options, now=recorded.end)


def test_the_servers_warnings_come_along() -> None:
    body = EMPTY.replace(b"[]", b'[{"metric":{},"values":[[1777896000,"1"]]}]')
    with answering(body.replace(b"}}", b'},"warnings":["half of it"]}')) as server:
        options = SourceOptions(prometheus=PrometheusAccess(server.url), query="rate(x[5m])", days=0.01)
        (loaded,) = read(options)

    assert loaded.warnings == ("half of it",)
