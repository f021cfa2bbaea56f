"""What a campaign will take, which runs are done and which cannot run: determined before anything starts."""
