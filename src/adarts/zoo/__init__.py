"""Published cells and hand-designed networks, with their published figures.

    adarts.zoo.get("ADARTS_V1").genotype
    adarts.create_model("ADARTS_V1", num_classes=100)

Importing this package does not load torch, so listing the records is fast.
"""

from adarts.zoo.catalog import entries, find, get, names, nearest_names, record, records, select
from adarts.zoo.records import Entry, Record

__all__ = ["Entry", "Record", "entries", "find", "get", "names", "nearest_names", "record", "records", "select"]
