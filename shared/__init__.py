"""Everything Wardgate's functions have in common: policy, guards, admission, audit, and the ports to storage."""
