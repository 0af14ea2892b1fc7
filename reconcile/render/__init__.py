"""
What people and programs see: plans, drift, the state, errors, what an apply did, and progress.

In: plans, entries, events and problems, as data. Out: lines of text (iterators of `str` without a line break), or JSON.
Nothing here prints, decides, or knows a clock. Whatever strangers wrote passes through `values.outside`; a secret
is `(sensitive value)` whatever happens.
"""
