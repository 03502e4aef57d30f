"""Chat models: any endpoint that speaks OpenAI's protocol, and one that only pretends, for load tests."""
