"""What the store in memory keeps, and the few ways in which it changes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from agent_service.errors import NotFoundError
from agent_service.store import rules, words
from agent_service.store.ports import Listener
from agent_service.store.records import Change, ChangeKind, Ending, Event, Run, RunStatus, Stop, Thread


class Tables:
    """Threads, runs and events, with the indexes that make the common questions cheap."""

    def __init__(self, *, most_event_bytes: int) -> None:
        """most_event_bytes: beyond it, the oldest ended runs lose their events; streams of active ones are whole."""
        self.threads: dict[str, Thread] = {}
        self.runs: dict[str, Run] = {}
        self.of_thread: dict[str, dict[str, None]] = {}  # run ids in the order in which they came
        self.active: dict[str, None] = {}
        self.unswept: dict[str, None] = {}  # ended runs that still have their results and events
        self.keys: dict[tuple[str, str], str] = {}  # tenant, idempotency key -> run id
        self.events: dict[str, list[Event]] = {}
        self.listeners: list[Listener] = []
        self._event_bytes = 0
        self._most_event_bytes = most_event_bytes

    # threads

    def thread(self, thread_id: str, tenant: str) -> Thread:
        """Raises NotFoundError."""
        thread = self.threads.get(thread_id)
        if thread is None or thread.tenant != tenant:
            raise NotFoundError(words.no_thread(thread_id))
        return thread

    def drop_thread(self, thread_id: str) -> None:
        """With its runs and events."""
        for run_id in list(self.of_thread.get(thread_id, ())):
            self.drop_run(self.runs[run_id])
        self.of_thread.pop(thread_id, None)
        self.threads.pop(thread_id)

    # runs

    def run(self, run_id: str, tenant: str, thread_id: str | None = None) -> Run:
        """Raises NotFoundError."""
        run = self.runs.get(run_id)
        if run is None or run.tenant != tenant or thread_id not in (None, run.thread_id):
            raise NotFoundError(words.no_run(run_id))
        return run

    def put(self, run: Run) -> Run:
        """As it now is."""
        self.runs[run.run_id] = run
        return run

    def add(self, run: Run) -> None:
        """A new one."""
        self.runs[run.run_id] = run
        self.of_thread.setdefault(run.thread_id, {})[run.run_id] = None
        self.active[run.run_id] = None
        if run.idempotency_key is not None:
            self.keys[(run.tenant, run.idempotency_key)] = run.run_id

    def held(self, run: Run) -> Run | None:
        """The run as known, if it is still in the hands in which `run` was."""
        known = self.runs.get(run.run_id)
        return known if known is not None and rules.is_held(known, run) else None

    def runs_of(self, thread_id: str) -> list[Run]:
        """In the order in which they came."""
        return [self.runs[run_id] for run_id in self.of_thread.get(thread_id, ())]

    def active_of(self, thread_id: str) -> list[Run]:
        """Those that have not ended; looked up in whichever list is the shorter one."""
        mine = self.of_thread.get(thread_id, {})
        if len(mine) <= len(self.active):
            return [self.runs[run_id] for run_id in mine if run_id in self.active]
        return [self.runs[run_id] for run_id in self.active if run_id in mine]

    def all_active(self) -> list[Run]:
        """In the order in which they came."""
        return [self.runs[run_id] for run_id in self.active]

    def claimable(self, at: datetime, graphs: Collection[str] | None = None) -> Iterator[Run]:
        """The oldest due pending run of every thread that has no running one."""
        active = self.all_active()
        taken = {run.thread_id for run in active if run.status is RunStatus.RUNNING}
        for run in active:
            if run.status is RunStatus.PENDING and run.thread_id not in taken and rules.is_due(run, at):
                taken.add(run.thread_id)
                if graphs is None or run.graph_id in graphs:
                    yield run

    def stop(self, run: Run, stop: Stop, at: datetime) -> Run:
        """End it, or mark it."""
        run = rules.marked(run, stop, at)
        if rules.ends_at_once(run):
            return self.end_unexecuted(run, rules.stopped(at))
        self.put(run)
        self.tell(ChangeKind.STOP if run.status is RunStatus.RUNNING else ChangeKind.WORK, run.run_id)
        return run

    def end(self, run: Run, ending: Ending) -> Run:
        """With its thread."""
        ended = self.put(rules.ended(run, ending))
        self.active.pop(run.run_id, None)
        self.unswept[run.run_id] = None
        is_busy = bool(self.active_of(run.thread_id))
        self.threads[run.thread_id] = rules.settled(self.threads[run.thread_id], ending, is_busy=is_busy)
        self.tell(ChangeKind.FINISHED, run.run_id)
        if is_busy:
            self.tell(ChangeKind.WORK, run.run_id)
        return ended

    def end_unexecuted(self, run: Run, ending: Ending) -> Run:
        """With its last words."""
        known = self.events.get(run.run_id)
        self.keep(run.run_id, rules.last_words(run, ending, known[-1].seq if known else 0))
        return self.end(run, ending)

    def drop_run(self, run: Run) -> None:
        """With its events."""
        was_active = run.run_id in self.active
        self.runs.pop(run.run_id)
        self.active.pop(run.run_id, None)
        self.unswept.pop(run.run_id, None)
        self.of_thread.get(run.thread_id, {}).pop(run.run_id, None)
        self.forget_events(run.run_id)
        if run.idempotency_key is not None:
            self.keys.pop((run.tenant, run.idempotency_key), None)
        if was_active:
            self.tell(ChangeKind.STOP, run.run_id)
        self.tell(ChangeKind.FINISHED, run.run_id)

    def sweep_runs(self, before: datetime) -> None:
        """Take results and events of those that ended before then."""
        old = [run_id for run_id in self.unswept if (self.runs[run_id].finished_at or before) < before]
        for run_id in old:
            del self.unswept[run_id]
            self.forget_events(run_id)
            self.put(replace(self.runs[run_id], result=None))

    # events

    def keep(self, run_id: str, events: Sequence[Event]) -> bool:
        """Those that are new, and whether there were any; older runs make room for them."""
        kept = self.events.get(run_id, [])
        last = kept[-1].seq if kept else 0
        fresh = [event for event in events if event.seq > last]
        if not fresh:
            return False
        self.events[run_id] = kept
        kept.extend(fresh)
        self._event_bytes += sum(len(event.data) for event in fresh)
        while self._event_bytes > self._most_event_bytes:
            oldest = next((each for each in self.events if each not in self.active and each != run_id), None)
            if oldest is None:
                break
            self.forget_events(oldest)
        return True

    def forget_events(self, run_id: str) -> None:
        """All of a run's."""
        self._event_bytes -= sum(len(event.data) for event in self.events.pop(run_id, ()))

    # news

    def tell(self, kind: ChangeKind, run_id: str) -> None:
        """To everybody who listens."""
        for listener in self.listeners:
            listener(Change(kind, run_id))
