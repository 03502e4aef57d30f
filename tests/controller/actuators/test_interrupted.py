"""A controller that dies at any moment of giving back: the next one, or the same, ends where the user was."""

from __future__ import annotations

import contextlib

import pytest

from controller.actuators.min_replicas import MinReplicas
from controller.kube.api import Json, KubeApi
from controller.kube.errors import UnreachableError
from controller.resource.resource import Key
from tests.controller.actuators.owned_hpas import MAKERS, Maker, a_name, likeness, look

AGENT = Key("shop", "agent")
MOST_WRITES = 4  # of one giving back: two owners, our letting go, and the record


class Dying(KubeApi):
    """The process or the connection ends at one write: before it is sent, or before its answer is read."""

    def __init__(self, api: KubeApi, writes: int, *, is_sent: bool) -> None:
        self.api, self.left, self.is_sent = api, writes, is_sent

    def get(self, path: str, params: object = None) -> Json:
        return self.api.get(path)

    def apply(self, path: str, body: Json, *, manager: str, force: bool = True) -> Json:
        self._end(is_sent=False)
        answer = self.api.apply(path, body, manager=manager, force=force)
        self._end(is_sent=True)
        return answer

    def merge(self, path: str, body: Json, *, manager: str) -> Json:
        self._end(is_sent=False)
        answer = self.api.merge(path, body, manager=manager)
        self._end(is_sent=True)
        return answer

    def _end(self, *, is_sent: bool) -> None:
        if is_sent == self.is_sent:
            if self.left == 0:
                raise UnreachableError("it ended here")
            self.left -= 1


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("is_sent", [False, True], ids=["unsent", "unanswered"])
def test_giving_back_can_be_interrupted_anywhere_and_repeated(
    make: Maker, is_sent: bool, api: KubeApi, shop: str
) -> None:
    interrupted = 0
    for writes in range(MOST_WRITES):
        name = a_name()
        make(api, shop, name)
        before = likeness(api, shop, name)
        MinReplicas(api).raise_to(look(api, shop, name), 10, AGENT)
        try:
            MinReplicas(Dying(api, writes, is_sent=is_sent)).give_back(look(api, shop, name))
        except UnreachableError:
            interrupted += 1
            assert look(api, shop, name).min_replicas >= before[0]["minReplicas"], "never below the user's"

        MinReplicas(api).give_back(look(api, shop, name))

        assert likeness(api, shop, name) == before, f"after {writes} writes"
    assert interrupted


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("is_sent", [False, True], ids=["unsent", "unanswered"])
def test_a_raise_over_an_interrupted_giving_back_remembers_the_user(
    make: Maker, is_sent: bool, api: KubeApi, shop: str
) -> None:
    for writes in range(MOST_WRITES):
        name = a_name()
        make(api, shop, name)
        before = likeness(api, shop, name)
        MinReplicas(api).raise_to(look(api, shop, name), 10, AGENT)
        with contextlib.suppress(UnreachableError):
            MinReplicas(Dying(api, writes, is_sent=is_sent)).give_back(look(api, shop, name))

        again = MinReplicas(api).raise_to(look(api, shop, name), 10, AGENT)
        assert again is not None
        assert again.is_raised
        MinReplicas(api).give_back(look(api, shop, name))

        assert likeness(api, shop, name) == before, f"after {writes} writes"


@pytest.mark.parametrize("is_sent", [False, True], ids=["unsent", "unanswered"])
def test_a_raise_that_is_interrupted_is_whole_or_not_there(is_sent: bool, api: KubeApi, shop: str) -> None:
    name = a_name()
    MAKERS[0](api, shop, name)
    with pytest.raises(UnreachableError):
        MinReplicas(Dying(api, 0, is_sent=is_sent)).raise_to(look(api, shop, name), 10, AGENT)

    found = look(api, shop, name)

    assert found.is_raised == is_sent
    assert (found.record is not None) == is_sent
