"""The pages: one file each. They ask `dashboard.data` and write through `dashboard.writes`."""
