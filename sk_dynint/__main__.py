"""Commands: ``python -m sk_dynint compare --help``."""

from sk_dynint.comparison import main

if __name__ == "__main__":
    main()
