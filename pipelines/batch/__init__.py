"""Batch jobs: what the runtime would answer, for every line of a company's files; and segments of users.

    job.py          a job in the registry, from CREATE PENDING to ACTIVE or CREATE FAILED
    inputs.py       the files that it reads, at hand and unchanging while it runs
    lines.py        one line: what it asks, and what is written for it
    streamed.py     what was streamed of the users of some lines, or of all
    files.py        all lines of all files, in order, and how far that has come (mark.py)
    processes.py    processes that answer some lines each, one a core; child.py is their side

    inference.py    a batch inference job: the task of DAG `batch_inference`
    answering.py    some lines' items
    items.py        what a filter reads of items: with what came since the version's training

    segments.py     a batch segment job: the task of DAG `batch_segment`
    attributes.py   which items a line's itemAttributes mean
    affinity.py     how likely users are to take them
    user_filter.py  who may be in a segment

Scores are those of the runtime, to the bit: a line is answered by the code that answers a request, one after the other.
Matrix products over many users at once would be some times faster and round differently, so that lists would change
places; and at 10,000 items one core is quick enough (tests/bench/batch_bench.py).
"""
