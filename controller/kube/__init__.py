"""The Kubernetes API as the controller uses it: plain JSON, typed errors, watches, leadership.  Shells."""
