"""The local stack behind ``make run``: every function as a real functions-framework process on loopback."""
