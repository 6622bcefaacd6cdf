"""`python -m esctl`."""

from esctl.cli.app import main

if __name__ == "__main__":
    main()
