from __future__ import annotations

import numpy as np
import pytest
import torch

from predictor.errors import BundleError, InputError
from predictor.features import FeatureSchema
from predictor.runtime import Runtime
from training.artifact import export_onnx
from training.network import NetworkShape, QuantileLSTM

LEVELS = (0.1, 0.5, 0.9)
SCHEMA = FeatureSchema(season_steps=(), horizon=4, context=12)
SHAPE = NetworkShape(6, 9, 1, 4, LEVELS, units=8, width=8, ahead_width=8)


def a_network(seed: int = 0) -> QuantileLSTM:
    torch.manual_seed(seed)
    return QuantileLSTM(SHAPE).eval()


def inputs(batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(batch)
    return torch.randn(batch, 12, 6), torch.randn(batch, 9), torch.randn(batch, 4, 1)


@pytest.mark.parametrize("batch", [1, 7, 300])
def test_the_exported_network_says_what_the_trained_one_says(batch: int) -> None:
    network = a_network()
    runtime = Runtime(export_onnx(network, SCHEMA), SCHEMA, LEVELS)
    given = inputs(batch)

    found = runtime.run(*(tensor.numpy() for tensor in given))

    with torch.no_grad():
        expected = network(*given).numpy()
    assert found.shape == (batch, 2, 4, 3)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_inputs_of_another_width_are_refused_with_what_the_model_reads() -> None:
    runtime = Runtime(export_onnx(a_network(), SCHEMA), SCHEMA, LEVELS)
    steps, origin, ahead = (tensor.numpy() for tensor in inputs(2))

    with pytest.raises(InputError, match="same covariates and events"):
        runtime.run(steps, origin[:, :-1], ahead)


def test_a_network_that_does_not_fit_the_card_is_refused() -> None:
    onnx = export_onnx(a_network(), SCHEMA)

    with pytest.raises(BundleError, match="do not belong together"):
        Runtime(onnx, SCHEMA, (0.5,))


def test_bytes_that_are_no_network_are_refused() -> None:
    with pytest.raises(BundleError, match="cannot be loaded"):
        Runtime(b"not a network", SCHEMA, LEVELS)


def test_inputs_that_are_not_finite_are_an_error_and_not_a_forecast() -> None:
    runtime = Runtime(export_onnx(a_network(), SCHEMA), SCHEMA, LEVELS)
    steps, origin, ahead = (tensor.numpy() for tensor in inputs(2))

    with pytest.raises(InputError, match="not finite"):
        runtime.run(np.full_like(steps, np.nan), origin, ahead)
