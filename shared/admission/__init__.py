"""Admission: whether a request may run now, counted exactly across every instance."""
