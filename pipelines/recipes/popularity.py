"""aws-popularity-count (spec/recipes.md section 7): items by the number of different users, the same for everybody.

It learns nothing; its metrics are what other recipes are compared with.
"""

from __future__ import annotations

from pipelines.recipes.tables import TableModel, TableRecipe, distinct_users
from pipelines.recipes.training_data import TrainingData


class PopularityRecipe(TableRecipe):
    """Counts users."""

    def table(self, data: TrainingData) -> TableModel:
        return TableModel(distinct_users(data.sequences, data.items))
