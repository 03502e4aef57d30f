"""The project's own files keep their promises: pins, layers, targets, links."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from forescale.cli import COMMANDS
from forescale.mounting import OUR_PACKAGES

ROOT = Path(__file__).parents[2]
PACKAGES = {path.parent.name for path in ROOT.glob("*/py.typed")}
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+)(?P<marker> ;[^\\]*)?", re.MULTILINE)


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def constraints() -> str:
    return (ROOT / "constraints.txt").read_text(encoding="utf-8")


def requirements() -> list[str]:
    """Every outside requirement that pyproject.toml states, of whatever extra or group."""
    settings = project()
    stated = [*settings["build-system"]["requires"], *settings["project"]["dependencies"]]
    stated += [each for extra in settings["project"]["optional-dependencies"].values() for each in extra]
    stated += [each for group in settings["dependency-groups"].values() for each in group if isinstance(each, str)]
    return [each for each in stated if not each.startswith("forescale[")]


def name_of(requirement: str) -> str:
    """The normalized name: `types_PyYAML>=6` becomes `types-pyyaml`."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def contracts() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = project()["tool"]["importlinter"]["contracts"]
    return found


def lay_out_empty_packages(folder: Path) -> None:
    """Our packages and every module that a contract speaks of, with nothing in them, under the project's contracts."""
    spoken_of = {
        module
        for contract in contracts()
        for named in [
            *contract.get("layers", []), *contract.get("source_modules", []), *contract.get("forbidden_modules", []),
        ]
        for module in named.split(" | ")
    }  # fmt: skip
    for module in PACKAGES | {module for module in spoken_of if module.partition(".")[0] in PACKAGES}:
        path = Path(*module.split("."))
        if (ROOT / path).is_dir():
            (folder / path).mkdir(parents=True, exist_ok=True)
            path /= "__init__"
        (folder / path.parent).mkdir(parents=True, exist_ok=True)
        (folder / path).with_suffix(".py").touch()
    shutil.copy(ROOT / "pyproject.toml", folder)


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LINT_IMPORTS, "--no-cache"], check=False, cwd=folder, capture_output=True, text=True)


def test_constraints_name_no_address() -> None:
    assert not re.search(r"https?:|--(extra-)?index-url|--find-links|@ file:", constraints())


def test_every_stated_requirement_is_pinned() -> None:
    pinned = {pin["name"] for pin in PIN.finditer(constraints())}

    assert {name_of(each) for each in requirements()} - pinned == set()


def test_every_pin_has_a_hash() -> None:
    blocks = re.split(r"^(?=[a-z0-9])", constraints(), flags=re.MULTILINE)[1:]

    assert len(blocks) > 50
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("requirement", requirements())
def test_every_range_has_an_upper_bound_or_calendar_versions(requirement: str) -> None:
    # Arrow's majors come quarterly, stubs follow the calendar of what they describe.
    assert "<" in requirement or name_of(requirement) in {
        "pyarrow", "pandas-stubs", "types-grpcio", "types-protobuf", "types-pyyaml", "types-requests",
    }  # fmt: skip


def test_the_all_extra_names_every_other_extra() -> None:
    extras = project()["project"]["optional-dependencies"]

    named = set(extras["all"][0].removeprefix("forescale[").removesuffix("]").split(","))

    assert named == extras.keys() - {"all"}


def test_only_training_brings_torch() -> None:
    extras = project()["project"]["optional-dependencies"]

    assert [name for name, stated in extras.items() if "torch" in {name_of(each) for each in stated}] == ["training"]


def test_every_commands_extra_exists() -> None:
    extras = project()["project"]["optional-dependencies"]

    assert {mount.extra for mount in COMMANDS} <= extras.keys()


def test_every_package_is_built_checked_and_known_to_the_front_door() -> None:
    settings = project()["tool"]

    assert len(PACKAGES) >= 5
    assert set(settings["hatch"]["build"]["targets"]["wheel"]["packages"]) == PACKAGES
    assert set(settings["importlinter"]["root_packages"]) == PACKAGES
    assert set(settings["mypy"]["files"]) >= PACKAGES
    assert PACKAGES == OUR_PACKAGES


def test_every_package_has_a_place_in_the_import_contract() -> None:
    placed = {
        module.partition(".")[0]
        for contract in contracts()
        for module in [*contract.get("layers", []), *contract.get("source_modules", [])]
    }

    assert placed == PACKAGES


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("predictor/intruder.py", "import torch"),
        ("predictor/intruder.py", "import controller"),
        ("predictor/intruder.py", "def late() -> None:\n    import training"),
        ("controller/intruder.py", "import onnxruntime"),
        ("controller/intruder.py", "import training"),
        ("controller/vocabulary.py", "import os"),
        ("controller/spec.py", "def late() -> None:\n    import requests"),
        ("controller/capacity.py", "import kubernetes"),
        ("controller/guardrails.py", "from time import monotonic"),
        ("controller/decision.py", "import predictor.prometheus"),
        ("controller/hpa/intruder.py", "import logging"),
        ("training/intruder.py", "import kubernetes"),
        ("training/intruder.py", "import forescale"),
        ("agent_service/intruder.py", "import predictor"),
        ("agent_service/engine/intruder.py", "import agent_service.assistant"),
        ("agent_service/assistant/intruder.py", "import agent_service.server"),
        ("agent_service/store/intruder.py", "import agent_service.engine"),
        ("predictor/intruder.py", "import agent_service"),
        ("forescale/intruder.py", "import torch"),
    ],
)
def test_the_import_contract_refuses(module: str, forbidden: str, tmp_path: Path) -> None:
    lay_out_empty_packages(tmp_path)
    (tmp_path / module).write_text(f"{forbidden}\n", encoding="utf-8")

    linted = lint_imports(tmp_path)

    assert linted.returncode == 1, linted.stdout + linted.stderr
    assert "1 broken" in linted.stdout, linted.stdout
    assert ".".join(Path(module).with_suffix("").parts) in linted.stdout, linted.stdout


def test_the_import_contract_allows_what_is_not_forbidden(tmp_path: Path) -> None:
    lay_out_empty_packages(tmp_path)
    (tmp_path / "controller" / "shell.py").write_text("import time, logging, kubernetes, controller.decision\n")

    linted = lint_imports(tmp_path)

    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_a_decision_may_not_reach_for_io_through_another_module_either(tmp_path: Path) -> None:
    lay_out_empty_packages(tmp_path)
    (tmp_path / "controller" / "shell.py").write_text("import requests\n")
    (tmp_path / "controller" / "decision.py").write_text("import controller.shell\n")

    linted = lint_imports(tmp_path)

    assert linted.returncode == 1, linted.stdout + linted.stderr
    assert "controller.decision -> controller.shell" in linted.stdout, linted.stdout


def test_bare_make_lists_every_target_meant_for_people() -> None:
    listed = subprocess.run(["make"], check=True, cwd=ROOT, capture_output=True, text=True).stdout

    targets = re.findall(r"^make ([a-z-]+) ", listed, flags=re.MULTILINE)
    assert targets == [
        "help", "demo", "test", "lint", "format", "cluster", "constraints", "protocol", "agent-oracle", "loadtest",
        "bench-forecast", "bench-policy", "bench-simulator", "bench-api", "bench-agent", "bench-controller",
        "bench-serving", "bench-training", "clean",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "script",
    ["scripts/setup", "scripts/build-prometheus3", "scripts/build-cluster", "scripts/run-tests", ".ci/run"],
)
def test_scripts_are_executable_and_parse(script: str) -> None:
    path = ROOT / script

    assert path.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", path], check=True)


def test_the_decisions_index_names_every_record() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")

    records = sorted(path.name for path in folder.glob("[0-9]*.md"))

    assert re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", index) == records
