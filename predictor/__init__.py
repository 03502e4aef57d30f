"""Forecasting: series, features, calibration, model bundle and its runtime.  Needs neither torch nor kubernetes."""
