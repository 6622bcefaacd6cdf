"""A plan as SQL that folds event by event: what each event changed, and the states that events left."""
