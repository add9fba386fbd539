"""The model behind the guard: OpenAI's wire types, the upstreams, and the way between guard and model."""
