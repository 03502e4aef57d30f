"""The front door: the `forescale` command."""
