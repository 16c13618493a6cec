"""Commands: ``python -m sk_dynint --help``."""

from sk_dynint.command import main

if __name__ == "__main__":
    main()
