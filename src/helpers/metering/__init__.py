"""Energy and duration of work: counters, CodeCarbon, power time line, checks, several nodes."""
