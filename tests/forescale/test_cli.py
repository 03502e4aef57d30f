from __future__ import annotations

import subprocess
import sys

import pytest

from forescale.cli import COMMANDS, main
from forescale.mounting import Mount, load

SOME_COMMANDS = "tests.forescale.some_commands"


def a_mount(function: str, *, module: str = SOME_COMMANDS, extra: str = "training") -> Mount:
    """A mount under the function's own name, with dashes."""
    return Mount(function.replace("_", "-"), f"{module}:{function}", extra, f"Summary of {function}.")


def run(function: str, *arguments: str) -> int:
    mount = a_mount(function)
    return main([mount.name, *arguments], commands=(mount,))


def in_a_new_process(code: str) -> str:
    """What `code` prints in an interpreter that has imported nothing of ours yet."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    output = in_a_new_process(
        "import sys; from forescale.cli import main; main(['--help']);"
        "print('HEAVY', sorted({'torch', 'onnxruntime', 'pandas', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )

    assert "HEAVY []" in output
    for mount in COMMANDS:
        assert f"{mount.name} " in output
        assert mount.summary in output


def test_a_command_runs_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = run("greet", "--name", "Ada")

    assert (exit_code, capsys.readouterr().out) == (0, "hello Ada\n")


def test_a_commands_own_help_comes_from_its_function(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = run("greet", "--help")

    output = capsys.readouterr().out
    assert exit_code == 0
    assert "Greet somebody, at length." in output
    assert "Whom to greet." in output
    assert "forescale greet" in output


@pytest.mark.parametrize("arguments", [["--nosuch"], ["nosuch"], ["greet", "--name"], ["greet", "surplus"]])
def test_bad_usage_exits_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = main(arguments, commands=(a_mount("greet"),))

    captured = capsys.readouterr()
    assert (exit_code, captured.out) == (2, "")
    assert captured.err


def test_a_misspelt_command_gets_the_right_spelling(capsys: pytest.CaptureFixture[str]) -> None:
    main(["gret"], commands=(a_mount("greet"),))

    assert "Did you mean 'greet'?" in capsys.readouterr().err


def test_bad_input_is_one_line_on_stderr_and_exits_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = run("meet_a_gap")

    captured = capsys.readouterr()
    assert (exit_code, captured.out) == (2, "")
    assert captured.err == "error: web [prod]: 30 of 60 samples missing; check the scrape job\n"


def test_an_unreachable_source_exits_with_three(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = run("find_nobody")

    assert exit_code == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_debug_shows_where_an_explained_error_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    mount = a_mount("find_nobody")

    exit_code = main(["--debug", mount.name], commands=(mount,))

    errors = capsys.readouterr().err
    assert exit_code == 3
    assert "ConnectionRefusedError" in errors
    assert "some_commands.py" in errors


def test_a_file_that_is_not_there_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = run("open_a_file_that_is_not_there")

    assert exit_code == 2
    assert "/nonexistent/demand.csv: No such file or directory" in capsys.readouterr().err


def test_a_bug_shows_its_traceback_and_exits_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = run("break_down")

    errors = capsys.readouterr().err
    assert exit_code == 1
    assert "Traceback" in errors
    assert "ZeroDivisionError: no demand to divide by" in errors
    assert "please report it" in errors


def test_ctrl_c_is_one_line_and_exits_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = run("be_interrupted")

    captured = capsys.readouterr()
    assert (exit_code, captured.out, captured.err) == (130, "", "interrupted\n")


def test_a_missing_package_names_the_extra_that_brings_it(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = run("need_a_missing_package")

    errors = capsys.readouterr().err
    assert exit_code == 2
    assert "a_package_nobody_has" in errors
    assert "pip install 'forescale[training]'" in errors


def test_a_module_that_cannot_even_be_imported_names_the_extra_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    mount = Mount("train", "torch:train", "training", "Train.")

    exit_code = main(["train"], commands=(mount,))

    assert exit_code == 2
    assert "needs the package torch" in capsys.readouterr().err


def test_a_missing_module_of_our_own_is_a_bug_not_a_missing_extra(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = run("forget_a_module_of_ours")

    errors = capsys.readouterr().err
    assert exit_code == 1
    assert "pip install" not in errors


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = main(["--version"])

    assert exit_code == 0
    assert capsys.readouterr().out.startswith("forescale ")


def test_the_command_runs_as_a_module() -> None:
    output = subprocess.run([sys.executable, "-m", "forescale", "nosuch"], check=False, capture_output=True, text=True)

    assert output.returncode == 2
    assert "No such command 'nosuch'" in output.stderr


@pytest.mark.parametrize("mount", COMMANDS, ids=lambda mount: mount.name)
def test_every_listed_command_exists_and_explains_itself(mount: Mount) -> None:
    command = load(mount)

    assert command.help
