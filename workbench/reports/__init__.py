"""Reports: a run's summary and cells as files, for people and for programs."""
