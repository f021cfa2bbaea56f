"""What every other package may use: errors, checked input, paths, units, files, locks."""
