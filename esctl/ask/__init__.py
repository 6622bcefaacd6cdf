"""One question a module: from a `Scope` to an `Answer`."""
