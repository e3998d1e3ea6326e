"""Starts the command line: `python -m breakglass` is the same as `breakglass`."""

from breakglass.cli.main import main

if __name__ == "__main__":
    main()
