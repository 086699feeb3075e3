"""The job store: an SQLite database for rows and events, folders for everything large.

It belongs to one process and is used by one thread; nothing here imports torch or numpy.
"""
