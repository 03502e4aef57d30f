"""The API in memory answers as the real one does, where floors are concerned."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from controller.kube.api import Json, KubeApi
from controller.kube.errors import KubeError
from controller.kube.hpas import RECORD, reduce_hpa
from tests.cluster.launcher import Cluster
from tests.cluster.workloads import an_hpa, hpas
from tests.controller.kube.fake_api import FakeApi, Store

replicas = st.integers(1, 6)
managers = st.sampled_from(["forescale", "gitops", "somebody"])
notes = st.none() | st.sampled_from(["a", "b"])
versions = st.sampled_from(["", "", "seen", "old"])
# verb, manager, minReplicas, maxReplicas, our annotation, version insisted on, force
steps = st.lists(
    st.tuples(
        st.sampled_from(["apply", "merge"]), managers, st.none() | replicas, st.none() | replicas, notes, versions,
        st.booleans(),
    ),
    min_size=1, max_size=8,
)  # fmt: skip
created = st.tuples(st.sampled_from(["create", "apply"]), st.none() | replicas)
Step = tuple[str, str, int | None, int | None, str | None, str, bool]


class Told:
    """One server's side of the story: every answer, and the object after it."""

    def __init__(self, api: KubeApi, namespace: str, name: str) -> None:
        self.api, self.namespace, self.name = api, namespace, name
        self.path, self.first = hpas(namespace, name), ""
        self.story: list[Any] = []

    def create(self, how: str, lowest: int | None) -> None:
        body = an_hpa(self.name, lowest=lowest, highest=6)
        if how == "create":
            self.api.create(hpas(self.namespace), body)
        else:
            self.api.apply(self.path, body, manager="gitops")
        self.first = self.api.get(self.path)["metadata"]["resourceVersion"]
        self.note("made")

    def take(self, step: Step) -> None:
        verb, manager, lowest, highest, note, version, force = step
        meta: Json = {"name": self.name, "namespace": self.namespace}
        if version:
            now = self.api.get(self.path)["metadata"]
            meta |= {"uid": now["uid"], "resourceVersion": now["resourceVersion"] if version == "seen" else "1"}
        if note is not None:
            meta["annotations"] = {RECORD: note}
        spec = {"minReplicas": lowest, "maxReplicas": highest}
        body: Json = {"metadata": meta, "spec": {name: value for name, value in spec.items() if value is not None}}
        try:
            self.send(verb, manager, body, force=force)
            self.note("done")
        except KubeError as error:
            now = self.api.get(self.path)["metadata"]["resourceVersion"]
            if version == "seen" and error.status == 409 and now != meta["resourceVersion"]:
                self.take(step)  # the real HPA controller has written a status meanwhile
            else:
                self.note(error.status)

    def send(self, verb: str, manager: str, body: Json, *, force: bool) -> None:
        if verb == "merge":
            self.api.merge(self.path, body, manager=manager)
            return
        if manager == "gitops":  # whose configuration is a whole HPA
            body["spec"] = {**an_hpa(self.name, highest=6)["spec"], **body["spec"]}
        body |= {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
        if not body["spec"]:
            del body["spec"]
        self.api.apply(self.path, body, manager=manager, force=force)

    def note(self, what: object) -> None:
        found = self.api.get(self.path)
        hpa = reduce_hpa(found)
        note = found["metadata"].get("annotations", {}).get(RECORD)
        # Who creates by POST is named after the program.
        owners = {(owner.operation, owner.manager if owner.applies else "") for owner in hpa.owners}
        self.story.append((what, hpa.min_replicas, hpa.max_replicas, note, owners))


@settings(
    max_examples=30,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(created, steps)
def test_the_api_in_memory_tells_the_same_story(
    cluster: Cluster, namespace: str, made: tuple[str, int | None], taken: list[Step]
) -> None:
    api = KubeApi.connect(kubeconfig=Path(cluster.kubeconfig), agent="tests")
    name = f"hpa-{secrets.token_hex(4)}"
    real, fake = Told(api, namespace, name), Told(FakeApi(Store()), namespace, name)

    for told in (real, fake):
        told.create(*made)
        for step in taken:
            told.take(step)
    api.close()

    assert fake.story == real.story
