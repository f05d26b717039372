"""The paper's experiments: its tables and figures, its numbers beside ours."""

from camseek.lab.paper.columns import Column, own_columns, paper_columns
from camseek.lab.paper.experiments import FIGURE_NAMES, TABLE_NAMES, FigureName, TableName
from camseek.lab.paper.networks import Network, choose_networks
from camseek.lab.paper.reporting import Asked, run_paper
from camseek.lab.paper.results import Cost, Curve, Entry, Figure, Heading, Line, Measured, PaperReport, Table

__all__ = [
    "FIGURE_NAMES",
    "TABLE_NAMES",
    "Asked",
    "Column",
    "Cost",
    "Curve",
    "Entry",
    "Figure",
    "FigureName",
    "Heading",
    "Line",
    "Measured",
    "Network",
    "PaperReport",
    "Table",
    "TableName",
    "choose_networks",
    "own_columns",
    "paper_columns",
    "run_paper",
]
