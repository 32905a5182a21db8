"""Figures from records: each kind is a function that draws a :class:`harness.report.figures.records.FigureRecords`.

What is averaged is decided where tables decide it: a kind asks for tables, or for the runs behind their cells, and
draws what it gets. ``sheet`` is the page: panels, shared colours and markers, legend, caption, files. matplotlib (the
extra ``figures``) is imported when a figure is drawn.
"""
