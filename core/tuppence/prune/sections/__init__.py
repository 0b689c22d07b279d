"""Long reports, shortened by their sections. `pruning` is the way in: it reads a report (`reading`), takes it apart
(`units`), ranks the parts (`ranking`), fills the budget (`choosing`) and writes down what became of each (`rendering`).

Reading labels lines (`lines`): running heads (`furniture`), tables of contents (`contents`), `tables`, `headings`; what
is left are `blocks` of prose, some of which are `ballast`. Words are in `lexicon`, what a sentence is worth in `worth`.
"""

from tuppence.prune.sections.pruning import PrunedText, SectionPruner
from tuppence.prune.sections.reading import Section, read_sections

__all__ = ["PrunedText", "Section", "SectionPruner", "read_sections"]
