"""A server of object storage, to which the environment points."""

from tests.support.object_server import here as server

__all__ = ["server"]
