"""The live page: all runs below a folder while they train, read from their folders and from nothing else."""
