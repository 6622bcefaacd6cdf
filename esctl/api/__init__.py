"""Every question once, for the command line, notebooks and whatever else asks."""

from esctl.api.relation import Relation
from esctl.api.store import Store

__all__ = ["Relation", "Store"]
