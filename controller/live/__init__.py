"""The running controller: reads demand, forecasts and the cluster, decides, acts, and keeps score.  Shells."""
