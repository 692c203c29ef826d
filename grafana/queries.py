"""Queries that many panels are made of."""

from dataclasses import dataclass

# Where the series of our own come from; `.*` for all also matches a label that is not there.
OURS = 'namespace=~"$namespace",job=~"$job"'


@dataclass(frozen=True, slots=True)
class Query:
    expr: str
    legend: str = ""


def quantiles(histogram: str, labels: str, *shares: float) -> tuple[Query, ...]:
    """One query for each share, 0 to 1, of all that a histogram observed of late."""
    rate = f"sum by (le) (rate({histogram}_bucket{{{labels}}}[$__rate_interval]))"
    return tuple(
        Query(f"histogram_quantile({share}, {rate})", f"p{share * 100:g}") for share in shares
    )


def heatmap(histogram: str, labels: str) -> tuple[Query]:
    return (Query(f"sum by (le) (increase({histogram}_bucket{{{labels}}}[$__rate_interval]))"),)


def rate(counter: str, labels: str, by: str = "") -> str:
    """How fast a counter rises, summed over all but `by`."""
    kept = f" by ({by})" if by else ""
    return f"sum{kept} (rate({counter}{{{labels}}}[$__rate_interval]))"


def by_replica(gauge: str) -> tuple[Query]:
    return (Query(f"sum by (instance) ({gauge}{{{OURS}}})", "{{instance}}"),)
