"""The LangGraph agent that is scaled.  Talks to the other parts over HTTP only."""
