"""``python -m ispbench``."""

from ispbench.cli import main

if __name__ == "__main__":
    main()
