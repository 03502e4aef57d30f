"""What is kept of an HPA, and whose the minimum is by our record."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.kube.api import Json
from controller.kube.hpas import LAST_APPLIED, RECORD, Owner, Record, reduce_hpa
from tests.cluster.workloads import an_hpa

TESTS, GITOPS = Owner("tests", "Update"), Owner("gitops", "Apply")
OURS = Owner("forescale", "Apply")
names = st.text(min_size=1, max_size=20)
owners = st.lists(st.builds(Owner, names, st.sampled_from(["Apply", "Update"])), max_size=4).map(tuple)
replicas = st.integers(0, 2**31 - 1)
records = st.builds(Record, replicas, owners, replicas, names, st.none() | replicas).filter(
    lambda one: one.min_replicas <= one.floor
)


def manifest(
    lowest: int | None = 2, *, record: str | None = None, owned_by: tuple[Owner, ...] = (TESTS,), **meta: Any
) -> Json:
    """An HPA as the API server gives it."""
    found = an_hpa("agent", lowest=lowest)
    annotations = {} if record is None else {RECORD: record}
    managed = [
        {"manager": name, "operation": operation, "fieldsV1": {"f:spec": {"f:minReplicas": {}}}}
        for name, operation in owned_by
    ]
    found["metadata"] |= {
        "namespace": "shop", "uid": "u", "resourceVersion": "1", "managedFields": managed, "annotations": annotations,
    } | meta  # fmt: skip
    return found


def a_record(lowest: int = 2, floor: int = 10, *, last_applied: int | None = None) -> str:
    return Record(lowest, (TESTS,), floor, "shop/agent", last_applied).to_json()


@given(records)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert Record.from_json(record.to_json()) == record


@given(st.text() | records.map(lambda one: one.to_json()[:-2]) | st.recursive(st.none() | st.integers() | st.text(),
       lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(
           ["minReplicas", "owners", "floor", "resource", "lastApplied", "x"]), each, max_size=5),
       max_leaves=8).map(json.dumps))  # fmt: skip
def test_no_text_breaks_the_reading_of_a_record(text: str) -> None:
    found = reduce_hpa(manifest(10, record=text, owned_by=(OURS,)))

    assert found.has_damaged_record or found.record is not None
    if found.has_damaged_record:
        assert found.user_min_replicas == 10
        assert not found.is_raised


@pytest.mark.parametrize("field", ["minReplicas", "floor", "lastApplied"])
@pytest.mark.parametrize("value", ["Infinity", "NaN", "-1e400", '"many"'])
def test_numbers_that_are_none_damage_a_record(field: str, value: str) -> None:
    text = json.dumps(json.loads(a_record()) | {field: "here"}).replace('"here"', value)

    assert Record.from_json(text) is None


@pytest.mark.parametrize(("lowest", "floor"), [(-1, 10), (10, 2), (2, 2**31)])
def test_replicas_that_cannot_be_damage_a_record(lowest: int, floor: int) -> None:
    assert Record.from_json(a_record(lowest, floor)) is None


def test_annotations_nested_without_end_are_damaged() -> None:
    found = manifest(10, record="[" * 100_000, owned_by=(OURS,))
    found["metadata"]["annotations"][LAST_APPLIED] = "[" * 100_000

    assert reduce_hpa(found).has_damaged_record
    assert reduce_hpa(found).last_applied is None


def test_without_a_record_the_minimum_is_the_users() -> None:
    found = reduce_hpa(manifest(3))

    assert (found.user_min_replicas, found.user_owners) == (3, (TESTS,))
    assert not found.is_raised
    assert not found.is_reverted


def test_while_our_floor_is_in_force_the_record_tells() -> None:
    found = reduce_hpa(manifest(10, record=a_record(), owned_by=(OURS,)))

    assert (found.user_min_replicas, found.user_owners) == (2, (TESTS,))
    assert found.is_raised
    assert found.user_bounds == (2, 40)


def test_what_was_set_after_our_raise_is_the_users_new_minimum() -> None:
    found = reduce_hpa(manifest(4, record=a_record(), owned_by=(GITOPS,)))

    assert (found.user_min_replicas, found.user_owners) == (4, (GITOPS,))
    assert not found.is_raised
    assert not found.is_reverted


def test_the_users_own_minimum_put_back_is_a_revert() -> None:
    found = reduce_hpa(manifest(2, record=a_record(), owned_by=(GITOPS,)))

    assert found.is_reverted
    assert (found.user_min_replicas, found.user_owners) == (2, (GITOPS,))


@pytest.mark.parametrize(("applied", "expected"), [(10, 10), (2, 2)])
def test_a_kubectl_apply_of_the_very_floor_shows_in_what_was_applied_last(applied: int, expected: int) -> None:
    found = manifest(10, record=a_record(last_applied=2), owned_by=(OURS,))
    found["metadata"]["annotations"][LAST_APPLIED] = json.dumps({"spec": {"minReplicas": applied}})

    assert reduce_hpa(found).user_min_replicas == expected


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"spec": 3}', '{"spec": {"minReplicas": "2"}}'])
def test_a_broken_last_applied_annotation_tells_nothing(text: str) -> None:
    found = manifest(10, record=a_record(), owned_by=(OURS,))
    found["metadata"]["annotations"][LAST_APPLIED] = text

    assert reduce_hpa(found).last_applied is None
    assert reduce_hpa(found).user_min_replicas == 2


def test_a_minimum_that_was_left_out_is_one() -> None:
    assert reduce_hpa(manifest(None)).min_replicas == 1


def test_a_status_subresource_owns_no_minimum() -> None:
    found = manifest()
    found["metadata"]["managedFields"][0]["subresource"] = "status"

    assert reduce_hpa(found).owners == ()


def test_an_hpa_of_keda_is_known_by_its_owner() -> None:
    assert reduce_hpa(manifest(ownerReferences=[{"kind": "ScaledObject", "name": "agent"}])).is_kedas
    assert not reduce_hpa(manifest(ownerReferences=[{"kind": "Other", "name": "agent"}])).is_kedas


def test_readings_are_matched_by_name_and_not_by_position() -> None:
    found = manifest()
    found["spec"]["metrics"].insert(0, {"type": "Resource", "resource": {"name": "cpu", "target": {}}})
    found["status"] = {
        "currentReplicas": 3,
        "currentMetrics": [
            {
                "type": "External",
                "external": {
                    "metric": {"name": "demand", "selector": {"matchLabels": {"app": "agent"}}},
                    "current": {"averageValue": "12500m"},
                },
            },
            {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 55}}},
        ],
    }

    cpu, demand = reduce_hpa(found).readings

    assert (cpu.utilization_percent, demand.average_milli) == (55, 12500)


def test_a_metric_without_a_reading_is_not_known() -> None:
    found = manifest()
    found["status"] = {"currentMetrics": [{"type": ""}]}

    assert reduce_hpa(found).readings == ((None, None, None),)
