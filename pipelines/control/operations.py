"""The operations there are, by name. Another one is a function and a line here; the service model does the rest."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.aws import models
from pipelines.aws.errors import CONTROL, UnknownOperation
from pipelines.control import (
    algorithms,
    batch_inference_jobs,
    batch_segment_jobs,
    campaigns,
    dataset_groups,
    datasets,
    deletion_jobs,
    event_trackers,
    export_jobs,
    filters,
    import_jobs,
    metric_attributions,
    recipes,
    recommenders,
    schemas,
    solution_versions,
    solutions,
    tags,
)
from pipelines.control.by_hand import InRun
from pipelines.control.context import Context, Given, Operation

OPERATIONS: Mapping[str, Operation] = {
    "ListRecipes": recipes.list_recipes,
    "DescribeRecipe": recipes.describe_recipe,
    "DescribeAlgorithm": algorithms.describe_algorithm,
    "DescribeFeatureTransformation": algorithms.describe_feature_transformation,
    "CreateSchema": schemas.create_schema,
    "DescribeSchema": schemas.describe,
    "ListSchemas": schemas.list_all,
    "DeleteSchema": schemas.delete_schema,
    "CreateDatasetGroup": dataset_groups.create_dataset_group,
    "DescribeDatasetGroup": dataset_groups.describe,
    "ListDatasetGroups": dataset_groups.list_all,
    "DeleteDatasetGroup": dataset_groups.delete,
    "CreateDataset": datasets.create_dataset,
    "DescribeDataset": datasets.describe,
    "ListDatasets": datasets.list_all,
    "UpdateDataset": datasets.update_dataset,
    "DeleteDataset": datasets.delete_dataset,
    "CreateDatasetImportJob": import_jobs.create_dataset_import_job,
    "DescribeDatasetImportJob": import_jobs.describe,
    "ListDatasetImportJobs": import_jobs.list_all,
    "CreateDatasetExportJob": export_jobs.create_dataset_export_job,
    "DescribeDatasetExportJob": export_jobs.describe,
    "ListDatasetExportJobs": export_jobs.list_all,
    "CreateDataDeletionJob": deletion_jobs.create_data_deletion_job,
    "DescribeDataDeletionJob": deletion_jobs.describe,
    "ListDataDeletionJobs": deletion_jobs.list_all,
    "CreateSolution": solutions.create_solution,
    "DescribeSolution": solutions.describe_solution,
    "ListSolutions": solutions.list_all,
    "UpdateSolution": solutions.update_solution,
    "DeleteSolution": solutions.delete,
    "CreateSolutionVersion": solution_versions.create_solution_version,
    "DescribeSolutionVersion": solution_versions.describe,
    "ListSolutionVersions": solution_versions.list_solution_versions,
    "GetSolutionMetrics": solution_versions.get_solution_metrics,
    "StopSolutionVersionCreation": solution_versions.stop_solution_version_creation,
    "CreateCampaign": campaigns.create_campaign,
    "DescribeCampaign": campaigns.describe,
    "ListCampaigns": campaigns.list_all,
    "UpdateCampaign": campaigns.update_campaign,
    "DeleteCampaign": campaigns.delete,
    "CreateFilter": filters.create_filter,
    "DescribeFilter": filters.describe,
    "ListFilters": filters.list_all,
    "DeleteFilter": filters.delete,
    "CreateEventTracker": event_trackers.create_event_tracker,
    "DescribeEventTracker": event_trackers.describe,
    "ListEventTrackers": event_trackers.list_all,
    "DeleteEventTracker": event_trackers.delete,
    "CreateMetricAttribution": metric_attributions.create_metric_attribution,
    "DescribeMetricAttribution": metric_attributions.describe,
    "ListMetricAttributions": metric_attributions.list_all,
    "ListMetricAttributionMetrics": metric_attributions.list_metrics,
    "UpdateMetricAttribution": metric_attributions.update_metric_attribution,
    "DeleteMetricAttribution": metric_attributions.delete,
    "CreateRecommender": recommenders.create_recommender,
    "DescribeRecommender": recommenders.describe_recommender,
    "ListRecommenders": recommenders.list_all,
    "UpdateRecommender": recommenders.update_recommender,
    "StopRecommender": recommenders.stop_recommender,
    "StartRecommender": recommenders.start_recommender,
    "DeleteRecommender": recommenders.delete,
    "CreateBatchInferenceJob": batch_inference_jobs.create_batch_inference_job,
    "DescribeBatchInferenceJob": batch_inference_jobs.describe,
    "ListBatchInferenceJobs": batch_inference_jobs.list_all,
    "CreateBatchSegmentJob": batch_segment_jobs.create_batch_segment_job,
    "DescribeBatchSegmentJob": batch_segment_jobs.describe,
    "ListBatchSegmentJobs": batch_segment_jobs.list_all,
    "TagResource": tags.tag_resource,
    "UntagResource": tags.untag_resource,
    "ListTagsForResource": tags.list_tags_for_resource,
}

IN_RUN: Mapping[str, InRun] = {
    "CreateDatasetImportJob": import_jobs.create_in_run,
    "CreateDatasetExportJob": export_jobs.create_in_run,
    "CreateDataDeletionJob": deletion_jobs.create_in_run,
    "CreateBatchInferenceJob": batch_inference_jobs.create_in_run,
    "CreateBatchSegmentJob": batch_segment_jobs.create_in_run,
    "CreateSolutionVersion": solution_versions.create_in_run,
    "UpdateCampaign": campaigns.update_in_run,
}
"""Operations that a run started by hand in Airflow does for itself."""


def run(context: Context, operation: str, given: Given) -> Given:
    """The answer of an operation to a checked request, projected; raises what the operation raises."""
    function = OPERATIONS.get(operation)
    if function is None:
        raise UnknownOperation(f"{operation} is not available yet.")
    return models.shape_output(CONTROL, operation, function(context, given))
