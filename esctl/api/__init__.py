"""The Python interface: each question once, for the command line, notebooks and any other caller."""

from esctl.api.relation import Relation
from esctl.api.store import Store

__all__ = ["Relation", "Store"]
