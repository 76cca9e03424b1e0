"""Which way a metric is better: the one place that knows."""

_HIGHER = {"auc", "gauc", "recall", "hit_rate", "ndcg", "mrr", "map", "coverage", "diversity"}
_LOWER = {"log_loss", "brier", "ece", "gini", "popularity"}
_LOWER_GROUPS = {"seconds", "memory", "guidance_cost"}  # of summary.json


def direction(metric: str) -> int | None:
    """1 where higher is better, -1 where lower is, None where it is not known, as of the gate's alpha."""
    if metric.split("@")[0] in _HIGHER:
        return 1
    if metric.split("@")[0] in _LOWER or metric.split(".")[0] in _LOWER_GROUPS:
        return -1
    return None
