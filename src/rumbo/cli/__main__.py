"""`python -m rumbo.cli`."""

from rumbo.cli import main

main()
