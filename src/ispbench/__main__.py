"""``python -m ispbench``."""

from ispbench.cli.main import main

if __name__ == "__main__":
    main()
