"""The page's files: nothing from elsewhere, nothing inline, and vendored code exactly as it was published."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from tests.predictor.server.page.stub import PAGE

OURS = sorted(path for path in PAGE.rglob("*") if path.is_file() and "vendor" not in path.parts)
SCRIPTS = [path for path in OURS if path.suffix == ".js"]


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_a_file_names_no_address_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")

    assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", text)


def test_the_index_has_no_inline_script_and_no_inline_style() -> None:
    index = (PAGE / "index.html").read_text(encoding="utf-8")

    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", index)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_never_parses_text_as_markup_or_code(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_what_a_script_imports_is_there(path: Path) -> None:
    for wanted in re.findall(r'from "([^"]+)"', path.read_text(encoding="utf-8")):
        assert (path.parent / wanted).is_file(), wanted


def test_vendored_files_are_those_that_were_published() -> None:
    readme = (PAGE / "vendor" / "README.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^([0-9a-f]{64})  (\S+)$", readme, re.MULTILINE))
    listed = {name: digest for digest, name in listed.items()}
    there = [path for path in (PAGE / "vendor").rglob("*") if path.is_file() and path.name != "README.md"]

    assert {path.relative_to(PAGE / "vendor").as_posix() for path in there} == set(listed)
    for path in there:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[path.relative_to(PAGE / "vendor").as_posix()]
