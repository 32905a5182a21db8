"""Statistics of records: intervals, paired tests, corrections, ranks and robustness. Needs numpy and scipy, no torch.

What each number answers, with its formula and source, is in docs/statistics.md.
"""

from harness.report.statistics.comparison import TESTS, Comparison, compare_rows
from harness.report.statistics.paired_tests import holm
from harness.report.statistics.robustness import Robustness, different_rates, robustness

__all__ = ["TESTS", "Comparison", "Robustness", "compare_rows", "different_rates", "holm", "robustness"]
