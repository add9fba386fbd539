"""The way of a request through guard: authenticate, admit, inspect, invoke, inspect, settle, record, answer."""
