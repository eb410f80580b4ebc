"""Published cells and hand-designed networks, with their published figures.

    adarts.zoo.get("ADARTS_V1").genotype
    adarts.create_model("ADARTS_V1", num_classes=100)

Importing the room loads no torch, so that its records can be listed at once.
"""

from adarts.zoo.catalog import entries, find, get, names, nearest_names, record, records, select
from adarts.zoo.records import Entry, Record

__all__ = ["Entry", "Record", "entries", "find", "get", "names", "nearest_names", "record", "records", "select"]
