"""`python -m imgcluster`."""

from imgcluster.cli.app import main

if __name__ == "__main__":
    main()
