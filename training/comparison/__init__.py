"""What `forescale compare` says: a policy's cost and risk against the HPA's, on the user's own history."""
