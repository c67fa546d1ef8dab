"""lucidlite against its peers, in one process and one run; README.md says how to run it and how to read the table."""
