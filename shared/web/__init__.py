"""HTTP: reading requests, writing answers, event streams, CORS, and the client that calls others."""
