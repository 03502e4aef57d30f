"""KEDA asks here: an external-push scaler whose answers are the floors of resources with `actuator: KEDA`."""
