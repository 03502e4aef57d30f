"""What the stores say about what cannot be.  Pure."""

from __future__ import annotations

from agent_service.store.records import Run


def no_thread(thread_id: str) -> str:
    """In words."""
    return f"there is no thread {thread_id}; create it first, or send if_not_exists: create"


def thread_exists(thread_id: str) -> str:
    """In words."""
    return f"thread {thread_id} exists already; send if_exists: do_nothing to take it as it is"


def busy(thread_id: str) -> str:
    """In words."""
    return f"thread {thread_id} has a run that has not ended, and multitask_strategy is reject"


def no_run(run_id: str) -> str:
    """In words."""
    return f"there is no run {run_id}"


def has_ended(run: Run) -> str:
    """In words."""
    return f"run {run.run_id} has ended already ({run.status}); there is nothing to cancel"


def still_active(run: Run) -> str:
    """In words."""
    return f"run {run.run_id} is {run.status}; cancel it before it is deleted"


def run_exists(run_id: str) -> str:
    """In words."""
    return f"there is another run {run_id}; give each run an id of its own"


def other_request(run: Run) -> str:
    """In words."""
    return (
        f"this Idempotency-Key has made run {run.run_id}, which asks for something else (graph, thread or request); "
        "send a new key with a new request"
    )
