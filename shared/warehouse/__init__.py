"""The warehouse: the trail's events as rows of one table, for questions that the archive is too slow for."""
