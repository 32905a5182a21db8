"""Tables from records. Needs pandas and tabulate, never torch.

``harness.report.load_records(Path("results"))`` gives all records as a data frame.
"""

from harness.report.frame import load_records, records_frame

__all__ = ["load_records", "records_frame"]
