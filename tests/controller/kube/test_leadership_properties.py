"""Two never lead at once, whatever the order of renewals, lost answers, pauses and outages."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.kube.errors import UnreachableError
from controller.kube.leadership import Leadership
from tests.controller.kube.fake_api import FakeApi, Store

LEASE, RENEW, RETRY = 15.0, 10.0, 2.0
CANDIDATES = 3
seconds = st.sampled_from([0.5, 2.0, 5.0, 9.9, 10.1, 15.1, 16.0]) | st.floats(0.1, 20)
who = st.integers(0, CANDIDATES - 1)
answers = st.sampled_from(["given", "given", "given", "lost", "refused"])


class Election:
    """Candidates whose clocks run equally fast and show different times."""

    def __init__(self) -> None:
        self.now = 0.0
        self.before: list[tuple[int, float]] = []  # who steps before the next write, and after how long
        self.after: list[tuple[int, float]] = []  # and before its answer arrives
        self.answer = "given"  # of the next write
        self.most = 0  # that led at once
        store = Store(before_write=self._before_write, wrote=self._wrote)
        self.candidates = [
            Leadership(
                FakeApi(store), namespace="forescale", name="controller", identity=f"c{at}", lease_seconds=LEASE,
                renew_seconds=RENEW, retry_seconds=RETRY, monotonic=self._clock(1000.0 * at),
            )
            for at in range(CANDIDATES)
        ]  # fmt: skip

    def _clock(self, ahead: float) -> Callable[[], float]:
        return lambda: self.now + ahead

    def step(self, at: int) -> None:
        """One candidate looks at the lease; others may, before it writes."""
        self.candidates[at].step()
        self.look()

    def wait(self, passed: float) -> None:
        self.now += passed
        self.look()

    def look(self) -> None:
        self.most = max(self.most, sum(one.is_leading for one in self.candidates))

    def _before_write(self, method: str, path: str) -> None:
        answer, after = self.answer, self.after
        self._others_step(self.before)
        self.answer, self.after = answer, after
        if answer == "refused":
            self.answer = "given"
            raise UnreachableError("it never came")

    def _wrote(self, method: str, path: str) -> None:
        self.look()
        answer = self.answer
        self._others_step(self.after)
        if answer == "lost":
            raise UnreachableError("it was done, and the answer is lost")

    def _others_step(self, others: list[tuple[int, float]]) -> None:
        self.before, self.after, self.answer = [], [], "given"
        for at, passed in others:
            self.wait(passed)
            self.step(at)


others = st.lists(st.tuples(who, seconds), max_size=3)
Taken = list[tuple[str, int, float, list[tuple[int, float]], list[tuple[int, float]], str]]
happenings = st.lists(
    st.tuples(
        st.sampled_from(["wait", "wait", "step", "step", "step", "stop"]), who, seconds,
        st.just([]) | others, st.just([]) | others, answers,
    ),
    min_size=5, max_size=60,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(happenings)
def test_two_never_lead_at_once(taken: Taken) -> None:
    election = Election()

    for what, at, passed, before, after, answer in taken:
        if what == "wait":
            election.wait(passed)
        elif what == "stop":
            election.candidates[at].stop()
        else:  # nobody steps while it is stepping
            election.before = [each for each in before if each[0] != at]
            election.after = [each for each in after if each[0] != at]
            election.answer = answer
            election.step(at)

    assert election.most <= 1


@settings(max_examples=50, deadline=None)
@given(happenings)
def test_somebody_leads_again_when_all_is_well(taken: Taken) -> None:
    election = Election()
    for what, at, passed, _, _, answer in taken:
        if what == "wait":
            election.wait(passed)
        elif what == "step":
            election.answer = answer
            election.step(at)

    election.answer = "given"
    for _ in range(int(2 * LEASE / RETRY) + 2):
        election.wait(RETRY)
        for at in range(CANDIDATES):
            election.step(at)

    assert sum(one.is_leading for one in election.candidates) == 1
