"""Read times in every form that logs use, in SQL for columns and in Python for options, with one meaning.

`forms` and `epochs` say what is read, as data; `sql` and `python` follow them step by step; `written` reads formats
that a user writes; `columns` reads whole columns.
"""
