"""The control plane over HTTP; the plugin beside it mounts it in Airflow."""
