"""What a campaign will take, what of it is done, and what cannot run: found out before anything starts."""
