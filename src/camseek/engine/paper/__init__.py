"""The paper's experiments: its tables and figures, its numbers beside ours."""

from camseek.engine.paper.columns import Column, own_columns, paper_columns
from camseek.engine.paper.experiments import FIGURE_NAMES, TABLE_NAMES, FigureName, TableName
from camseek.engine.paper.networks import Network, choose_networks
from camseek.engine.paper.reporting import Asked, run_paper
from camseek.engine.paper.results import Cost, Entry, Figure, Heading, Line, Measured, PaperReport, Table

__all__ = [
    "FIGURE_NAMES",
    "TABLE_NAMES",
    "Asked",
    "Column",
    "Cost",
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
