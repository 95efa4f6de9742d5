"""Items with random texts, for the tests of what is counted together."""

import numpy as np

from seasonrec.models.demand.similarity import TextGroups


def random_groups(num_items: int, num_clusters: int = 4, seed: int = 0) -> TextGroups:
    """Returns groups whose clusters have items with near vectors; a part of the items has no near text."""
    draw = np.random.default_rng(seed)
    cluster = draw.integers(num_clusters, size=num_items)
    vectors = np.eye(num_clusters, 8)[cluster] + 0.1 * draw.normal(size=(num_items, 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return TextGroups(TextGroups.of(["text"], vectors, np.ones(num_items, bool)).kernel, cluster)
