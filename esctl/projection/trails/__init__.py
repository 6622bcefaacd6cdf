"""A plan as SQL that folds event by event: what each event changed, and the state after it."""
