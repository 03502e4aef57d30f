from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.cluster.programs import Programs, built, lasting_port
from tests.servers.processes import ROOT, wait_until

SLEEP = ["sleep", "600"]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_programs_die_with_a_test_process_that_is_killed_but_not_with_the_thread_that_started_them(
    tmp_path: Path,
) -> None:
    tests = textwrap.dedent(
        f"""
        import threading, time
        from pathlib import Path
        from tests.cluster.programs import Programs

        programs = Programs(Path({str(tmp_path)!r}))
        starter = threading.Thread(target=programs.start, args=("sleeper", {SLEEP!r}))
        starter.start()
        starter.join()
        print(programs.running["sleeper"].pid, flush=True)
        time.sleep(600)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", tests], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout
    pid = int(process.stdout.readline())
    assert is_alive(pid)

    process.kill()
    process.communicate()

    wait_until(lambda: not is_alive(pid), "the program is dead too", 10)


def test_closing_leaves_no_process_not_even_a_paused_one(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    programs.start("awake", SLEEP)
    programs.start("paused", SLEEP)
    programs.signal("paused", signal.SIGSTOP)
    pids = [each.pid for each in programs.running.values()]

    programs.close()

    assert [pid for pid in pids if is_alive(pid)] == []
    assert programs.reaper.returncode == 0


def test_a_program_that_ends_by_itself_is_an_error_with_its_log(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    programs.start("broken", ["sh", "-c", "echo no disk left >&2; exit 3"])

    with pytest.raises(RuntimeError, match="broken ended with 3:\nno disk left"):
        programs.wait_until(lambda: False, "it answers")

    programs.close()


def test_what_is_not_built_is_skipped_visibly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FORESCALE_CLUSTER_CACHE", str(tmp_path))
    monkeypatch.delenv("FORESCALE_REQUIRE_SERVERS", raising=False)
    (tmp_path / "etcd-v3.7.3").mkdir()  # an empty folder is no build

    with pytest.raises(pytest.skip.Exception, match=r"etcd v\S+ is not built: run scripts/build-cluster"):
        built("etcd")


def test_a_port_is_none_that_the_kernel_gives_to_outgoing_connections() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

    assert {lasting_port() for _ in range(20)} <= set(range(1024, lowest))
