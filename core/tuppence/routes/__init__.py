"""Which tier tries first? Routes look at a request and choose among the tiers; none of them asks a model."""

from tuppence.routes.adaptive import Adaptive, adaptive
from tuppence.routes.bands import ByComplexity, by_complexity
from tuppence.routes.compose import Either, Then
from tuppence.routes.custom import Custom, custom
from tuppence.routes.data_class import ByDataClass, by_data_class
from tuppence.routes.experiment import Among, Experiment, among
from tuppence.routes.fixed import Only, StartAt, only, start_at
from tuppence.routes.keywords import ByKeywords, by_keywords
from tuppence.routes.learned import LearnedRoute, learned
from tuppence.routes.session import Sticky, sticky
from tuppence.routes.size import BySize, by_size
from tuppence.routes.task import ByTask, TaskPolicy, by_task, strongest

__all__ = [
    "Adaptive",
    "Among",
    "ByComplexity",
    "ByDataClass",
    "ByKeywords",
    "BySize",
    "ByTask",
    "Custom",
    "Either",
    "Experiment",
    "LearnedRoute",
    "Only",
    "StartAt",
    "Sticky",
    "TaskPolicy",
    "Then",
    "adaptive",
    "among",
    "by_complexity",
    "by_data_class",
    "by_keywords",
    "by_size",
    "by_task",
    "custom",
    "learned",
    "only",
    "start_at",
    "sticky",
    "strongest",
]
