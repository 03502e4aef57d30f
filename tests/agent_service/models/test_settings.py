"""Settings of models, from the environment."""

from __future__ import annotations

import pytest

from agent_service.errors import SettingsError
from agent_service.models.settings import ModelSettings, create_model
from agent_service.models.simulated import SimulatedChatModel


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"AGENT_PLANNER": "gpt"}, "AGENT_PLANNER is 'gpt'; give deterministic, openai or simulated"),
        ({"AGENT_PLANNER": "openai"}, "needs AGENT_MODEL"),
        ({"AGENT_PLANNER": "openai", "AGENT_MODEL": "m", "OPENAI_BASE_URL": "vllm:8000"}, "OPENAI_BASE_URL is no http"),
        ({"AGENT_SIMULATED_TOKENS": "many"}, "AGENT_SIMULATED_TOKENS is 'many'; give a number, 1 or more"),
        ({"AGENT_SIMULATED_TOKENS": "1.5"}, "give a whole number"),
        ({"AGENT_SIMULATED_ERROR_RATIO": "2"}, "give a number, 0 to 1"),
        ({"AGENT_SIMULATED_SIGMA": "nan"}, "give a number, 0 or more"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_words(environment: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        ModelSettings.from_environment(environment)


def test_the_environment_chooses_the_model() -> None:
    nothing = ModelSettings.from_environment({})
    simulated = ModelSettings.from_environment({"AGENT_PLANNER": "simulated", "AGENT_SIMULATED_TOKENS": "3"})

    assert (nothing, create_model(nothing)) == (ModelSettings(), None)
    model = create_model(simulated)
    assert isinstance(model, SimulatedChatModel)
    assert (model.tokens, simulated.label) == (3, "simulated")


@pytest.mark.parametrize("key", ["sk-sec\nret", "sk-sec\x00ret", "sk-sécret"])
def test_a_key_that_is_no_header_is_refused_without_being_told(key: str) -> None:
    with pytest.raises(SettingsError, match="OPENAI_API_KEY holds a line break") as caught:
        ModelSettings.from_environment({"OPENAI_API_KEY": key})

    assert key[:3] not in str(caught.value)


def test_the_line_break_at_the_end_of_a_file_is_no_part_of_a_key() -> None:
    assert ModelSettings.from_environment({"OPENAI_API_KEY": "sk-secret\n"}).api_key == "sk-secret"


def test_a_password_in_the_endpoints_address_is_not_shown() -> None:
    assert "hunter2" not in repr(ModelSettings.from_environment({"OPENAI_BASE_URL": "http://me:hunter2@vllm/v1"}))
