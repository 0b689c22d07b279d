"""Data sets from recorded traffic: a premium model's accepted answers, one data set for each call site."""

from tuppence.distill.dataset.about import Template, Traffic
from tuppence.distill.dataset.dataset import Dataset, Datasets
from tuppence.distill.dataset.filters import Filters, Reason
from tuppence.distill.dataset.row import Row
from tuppence.distill.dataset.splitting import Shares, SplitName

__all__ = ["Dataset", "Datasets", "Filters", "Reason", "Row", "Shares", "SplitName", "Template", "Traffic"]
