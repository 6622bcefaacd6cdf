"""`Store`, the class through which notebooks and the command line ask questions."""

from __future__ import annotations

from esctl.api.asking import Asking
from esctl.api.changes import Changes
from esctl.api.events import Events
from esctl.api.evidence import Evidence
from esctl.api.sending import Sending
from esctl.api.states import States
from esctl.api.views import Views


class Store(States, Changes, Events, Evidence, Views, Sending, Asking):
    """A store and every question that can be asked of it. Open one with `Store.open`, make one with `Store.create`.

    Each question takes the arguments of its command and returns a `Relation`, which runs when its rows are asked for.
    """
