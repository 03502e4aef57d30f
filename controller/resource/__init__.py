"""The `PredictiveAutoscaler` resource: its one typed definition, what it means to the decision core, its CRD.  Pure."""
