"""The service inside each version's own Bento: `bentoml serve <tag>` answers for that one version, by itself.

No campaign, no database: histories are those of the training, and nothing is explored. The platform's runtime (bento/service.py) does not
use it; it is for a person who takes a version elsewhere.
"""
