"""`python -m pairlens` is the command line."""

from pairlens.cli import main

main()
