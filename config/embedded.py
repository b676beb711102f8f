"""The project's own PostgreSQL (being written)."""


def known_url() -> str:
    return "postgres://laurel@127.0.0.1:1/laurel"
