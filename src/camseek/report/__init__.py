"""Reports: pages and pictures that show what was found and where the network looked.

Everything here returns text or bytes; whoever asked writes them.
"""

from camseek.report.explanation import explanation_page
from camseek.report.overlay import blend, heat_overlay
from camseek.report.search import SearchPage, search_page
from camseek.report.sheet import explanation_picture

__all__ = ["SearchPage", "blend", "explanation_page", "explanation_picture", "heat_overlay", "search_page"]
