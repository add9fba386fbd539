"""The models behind Wardgate: one port, and an adapter for each way to reach one."""
