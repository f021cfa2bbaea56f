"""Many runs: planned, started, transferred."""
