"""`python -m rekt`: the same command as `rekt`."""

from rekt.cli.main import main

if __name__ == "__main__":
    main()
