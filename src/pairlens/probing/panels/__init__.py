"""What the probe's page shows, a file for each of its parts."""
