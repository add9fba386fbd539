"""The kill switch: stops all calls, or those of a tenant, model, tool or key, on every instance within two seconds."""
