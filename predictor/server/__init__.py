"""The forecast server: reads demand, forecasts every step, answers over HTTP and shows a page."""
