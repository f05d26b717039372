"""Every numerical stage, straight from the method's equations: plain loops, one picture, double precision.

Slow on purpose and clever nowhere: what the package computes is checked against this. Maps are (channels,
rows, columns), masks and single maps (rows, columns); a cell is ``(row, column)``.
"""

import math
from fractions import Fraction

import numpy as np

THRESHOLDS = (0.01, 0.1, 0.2, 0.3, 0.4)


def unit(vector):
    """The l2 norm; a zero vector stays zero."""
    norm = math.sqrt(sum(float(value) ** 2 for value in vector))
    return np.array([float(value) / norm if norm else 0.0 for value in vector])


def cells_of(mask):
    """The cells that hold picture pixels, in row order."""
    return [(i, j) for i in range(mask.shape[0]) for j in range(mask.shape[1]) if mask[i, j]]


# --- Step 2: class activation maps ---


def bilinear(image, size):
    """Half-pixel centres, edges clamped."""
    source_rows, source_columns = image.shape
    out = np.zeros(size)
    for i in range(size[0]):
        for j in range(size[1]):
            y = min(max((i + 0.5) * source_rows / size[0] - 0.5, 0), source_rows - 1)
            x = min(max((j + 0.5) * source_columns / size[1] - 0.5, 0), source_columns - 1)
            y0, x0 = int(y), int(x)
            y1, x1 = min(y0 + 1, source_rows - 1), min(x0 + 1, source_columns - 1)
            dy, dx = y - y0, x - x0
            above = float(image[y0, x0]) * (1 - dx) + float(image[y0, x1]) * dx
            below = float(image[y1, x0]) * (1 - dx) + float(image[y1, x1]) * dx
            out[i, j] = above * (1 - dy) + below * dy
    return out


def activation_map(classifier_maps, weights, mask, normalisation="clipped"):
    """CAM_c = Σ_k classifier_map_k · w_c,k over the picture's cells, normalised; ``weights`` is w_c."""
    out = np.zeros(mask.shape)
    value = {
        cell: sum(
            float(channel[cell]) * float(w) for channel, w in zip(classifier_maps, weights, strict=True)
        )
        for cell in cells_of(mask)
    }
    if not value:
        return out
    low, high = min(value.values()), max(value.values())
    for cell, v in value.items():
        if normalisation == "minmax":
            out[cell] = (v - low) / (high - low) if high > low else 0
        elif high > 0 or (normalisation == "flipped" and high < 0):
            out[cell] = max(v / high, 0)
    return out


def heat_map(maps, shares):
    """Σ_c share_c · CAM_c / Σ_c share_c."""
    out = np.zeros(maps.shape[1:])
    for cell in np.ndindex(*out.shape):
        weighted = sum(float(share) * float(m[cell]) for m, share in zip(maps, shares, strict=True))
        out[cell] = weighted / sum(float(share) for share in shares)
    return out


# --- Step 3: channel weights ---


def channel_weights(features, mask):
    """CW_k = log(Σ_n Q_n / Q_k), where Q_k is the share of cells at which channel k is positive."""
    cells = cells_of(mask)
    shares = [sum(channel[cell] > 0 for cell in cells) / len(cells) if cells else 0 for channel in features]
    return np.array([math.log(sum(shares) / share) if share else 0.0 for share in shares])


# --- Step 4: class vectors, and the poolings of the tables' other rows ---


def class_vector(features, activation, weights, power=1.0):
    """f_k = CW_k · (Σ_ij χ_k,ij^p · CAM_ij)^(1/p), then l2 norm; the paper at p = 1."""
    vector = []
    for channel, weight in zip(features, weights, strict=True):
        total = sum(
            float(channel[cell]) ** power * float(activation[cell])
            for cell in np.ndindex(*activation.shape)
            if activation[cell]
        )
        vector.append(float(weight) * total ** (1 / power))
    return unit(vector)


def prior_weights(mask, prior="none"):
    """α of each cell: 1, or SPoC's Gaussian, whose σ is a third of the way from centre to closest border."""
    cells = cells_of(mask)
    if prior == "none" or not cells:
        return dict.fromkeys(cells, 1.0)
    top, left = min(i for i, _ in cells), min(j for _, j in cells)
    height = max(i for i, _ in cells) + 1 - top
    width = max(j for _, j in cells) + 1 - left
    sigma = min(height, width) / 2 / 3
    return {
        (i, j): math.exp(
            -((i + 0.5 - top - height / 2) ** 2 + (j + 0.5 - left - width / 2) ** 2) / (2 * sigma**2)
        )
        for i, j in cells
    }


def sum_vector(features, mask, prior="none", weights="none"):
    """f_k = CW_k · Σ_ij α_ij · χ_k,ij, with CW or without, then l2 norm."""
    alphas = prior_weights(mask, prior)
    factors = channel_weights(features, mask) if weights == "channel" else [1] * len(features)
    return unit(
        [
            factor * sum(alpha * float(channel[cell]) for cell, alpha in alphas.items())
            for channel, factor in zip(features, factors, strict=True)
        ]
    )


def crow_vector(features, mask):
    """f_k = CW_k · Σ_ij S_ij · χ_k,ij, where S = (s / ‖s‖)^(1/2) and s_ij = Σ_k χ_k,ij; then l2 norm."""
    cells = cells_of(mask)
    spatial = [
        math.sqrt(s) for s in unit([sum(float(channel[cell]) for channel in features) for cell in cells])
    ]
    return unit(
        [
            weight * sum(s * float(channel[cell]) for s, cell in zip(spatial, cells, strict=True))
            for channel, weight in zip(features, channel_weights(features, mask), strict=True)
        ]
    )


def gem_vector(features, mask, power=3.0, prior="none"):
    """f_k = (Σ_ij α_ij · χ_k,ij^p / Σ_ij α_ij)^(1/p), then l2 norm."""
    alphas = prior_weights(mask, prior)
    if not alphas:
        return np.zeros(len(features))
    return unit(
        [
            (
                sum(alpha * float(channel[cell]) ** power for cell, alpha in alphas.items())
                / sum(alphas.values())
            )
            ** (1 / power)
            for channel in features
        ]
    )


def rmac_regions(rows, columns, scales=3):
    """Squares of side 2 min(H, W) / (l + 1), evenly spread; l of them along the shorter side at scale l.

    Along the longer one there are m more, m such that at scale 1 neighbours overlap by nearest to 40 %; of
    two equally near ones the larger.
    """
    short, long = min(rows, columns), max(rows, columns)
    more = 0
    if long > short:
        # Neighbours of side ``short`` are (long - short) / m apart.
        overlap = {m: (short - Fraction(long - short, m)) / short for m in range(1, 7)}
        distance = {m: abs(share - Fraction(2, 5)) for m, share in overlap.items()}
        more = max(m for m in distance if distance[m] == min(distance.values()))
    regions = []
    for scale in range(1, scales + 1):
        side = max(1, math.floor(2 * short / (scale + 1)))
        count_down = scale + more if rows > columns else scale
        count_across = scale + more if columns > rows else scale
        for down in range(count_down):
            for across in range(count_across):
                top = down * (rows - side) // (count_down - 1) if count_down > 1 else 0
                left = across * (columns - side) // (count_across - 1) if count_across > 1 else 0
                regions.append((top, top + side, left, left + side))
    return regions


def rmac_vectors(features, mask, scales=3):
    """f_k^R = max_ij∈R χ_k,ij for each region R of the cells that hold the picture, each with l2 norm."""
    cells = cells_of(mask)
    top, left = min(i for i, _ in cells), min(j for _, j in cells)
    rows, columns = max(i for i, _ in cells) + 1 - top, max(j for _, j in cells) + 1 - left
    vectors = []
    for row1, row2, column1, column2 in rmac_regions(rows, columns, scales):
        inside = [(i, j) for i, j in cells if row1 <= i - top < row2 and column1 <= j - left < column2]
        vectors.append(unit([max(float(channel[cell]) for cell in inside) for channel in features]))
    return np.array(vectors)


# --- Step 5: whitening ---


def whitened(vector, mean, projection):
    """(f - mean) · projection, then l2 norm; a vector of nothing stays nothing."""
    if not any(vector):
        return np.zeros(projection.shape[1])
    return unit(
        [
            sum((float(v) - float(m)) * float(p) for v, m, p in zip(vector, mean, column, strict=True))
            for column in projection.T
        ]
    )


# --- Step 6: which classes are summed ---


def most_probable(scores, count):
    """N_C class ids by falling score; equal ones by id."""
    return sorted(range(len(scores)), key=lambda c: (-scores[c], c))[:count]


def summed(vectors):
    """The sum, then l2 norm."""
    return unit([sum(float(vector[k]) for vector in vectors) for k in range(len(vectors[0]))])


def offline(vectors, scores, count):
    """The picture's own N_C most probable classes; ``vectors`` are those of all classes."""
    return summed([vectors[c] for c in most_probable(scores, count)])


def online(vectors, query_scores, count):
    """The query's N_C most probable classes, whatever the picture's own are."""
    return summed([vectors[c] for c in most_probable(query_scores, count)])


def predefined(vectors, class_list, count):
    """The first N_C of one list of classes, for every picture."""
    return summed([vectors[c] for c in class_list[:count]])


def most_frequent(class_ids):
    """Classes by the number of pictures that have them; equal ones by their places' sum, then by id."""
    seen = {}
    for picture in class_ids:
        for place, class_id in enumerate(picture):
            count, places = seen.get(int(class_id), (0, 0))
            seen[int(class_id)] = (count + 1, places + place)
    ids = sorted(seen, key=lambda c: (-seen[c][0], seen[c][1], c))
    return ids, [seen[c][0] for c in ids]


def mean_probabilities(probabilities):
    """Each class's mean over several pictures of one thing."""
    return np.array([sum(float(p) for p in column) / len(column) for column in np.transpose(probabilities)])


# --- Query expansion ---


def expanded(descriptors, query=None):
    """The sum of the top QE results' descriptors, and the query's in CroW's form; then l2 norm."""
    return summed([*descriptors, *([] if query is None else [query])])


# --- Re-ranking ---


def components(binary):
    """The 8-connected components, each a set of cells, in the row order of their first cells."""
    left, found = set(cells_of(binary)), []
    while left:
        waiting = [min(left)]
        component = set()
        while waiting:
            i, j = waiting.pop()
            if (i, j) in left:
                left.remove((i, j))
                component.add((i, j))
                waiting += [(i + di, j + dj) for di in (-1, 0, 1) for dj in (-1, 0, 1)]
        found.append(component)
    return found


# The eight neighbours of a cell, clockwise from its left.
_AROUND = [(0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1)]


def outer_contour(component):
    """Walks round a component, its outside always to the left; ends where the walk would repeat itself."""
    cell, looked = min(component), 0  # left of the first cell in row order there is nothing
    steps, path = set(), []
    while True:
        for turn in range(1, 9):
            direction = (looked + turn) % 8
            following = (cell[0] + _AROUND[direction][0], cell[1] + _AROUND[direction][1])
            if following in component:
                break
        else:
            return [cell]  # alone
        if (cell, direction) in steps:
            return path
        steps.add((cell, direction))
        path.append(cell)
        # The neighbour looked at before is background: from the new cell, look on from there.
        before = (direction - 1) % 8
        empty = (cell[0] + _AROUND[before][0], cell[1] + _AROUND[before][1])
        looked = _AROUND.index((empty[0] - following[0], empty[1] - following[1]))
        cell = following


def contour_area(component):
    """The area inside the outer contour, by the shoelace formula."""
    path = outer_contour(component)
    following = path[1:] + path[:1]
    return abs(sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(path, following, strict=True))) / 2


def bounding_box(component):
    """``(row1, row2, column1, column2)``, half-open."""
    rows, columns = [i for i, _ in component], [j for _, j in component]
    return min(rows), max(rows) + 1, min(columns), max(columns) + 1


def largest_component(binary, by="cells"):
    """The bounding box of the largest component, by cells or by contour; of equals the first."""
    found = components(binary)
    if not found:
        return None
    size = {"cells": len, "contour": contour_area}[by]
    return bounding_box(max(found, key=size))  # max keeps the first of equals


def proposals(heat, thresholds=THRESHOLDS, smallest=1, by="cells"):
    """For each share of the maximum the box of the largest component above it; equal boxes once."""
    peak = max((float(value) for value in np.ravel(heat)), default=0.0)
    boxes = []
    if peak <= 0:
        return boxes
    for threshold in thresholds:
        above = np.array([[float(value) > threshold * peak for value in row] for row in heat])
        box = largest_component(above, by)
        if box not in boxes and box[1] - box[0] >= smallest and box[3] - box[2] >= smallest:
            boxes.append(box)
    return boxes


def nearest(query, descriptors):
    """Place and cosine of the best descriptor, the first of equals; zero ones are none."""
    found = None
    for place, descriptor in enumerate(descriptors):
        cosine = sum(float(q) * float(d) for q, d in zip(query, descriptor, strict=True))
        if any(descriptor) and (found is None or cosine > found[1]):
            found = place, cosine
    return found


def reranked_candidate(query, features, classifier_maps, classifier_weights, classes, whitening):
    """One candidate: heat map of the query's first two classes, boxes, a descriptor a box, the best cosine.

    Returns the boxes, their descriptors and ``nearest`` of these.
    """
    everywhere = np.ones(features.shape[1:], bool)
    maps = np.array([activation_map(classifier_maps, classifier_weights[c], everywhere) for c in classes])
    boxes = proposals(heat_map(maps[:2], [1, 1]))
    descriptors = []
    for row1, row2, column1, column2 in boxes:
        cropped = features[:, row1:row2, column1:column2]
        weights = channel_weights(cropped, everywhere[row1:row2, column1:column2])
        vectors = [class_vector(cropped, m[row1:row2, column1:column2], weights) for m in maps]
        descriptors.append(summed([whitened(vector, *whitening) for vector in vectors]))
    return boxes, descriptors, nearest(query, descriptors)


def reordered(scores):
    """Old places in their new order: the scored ones by score among their own places, the others stay."""
    scored = [place for place in range(len(scores)) if scores[place] is not None]
    best_first = sorted(scored, key=lambda place: (-scores[place], place))
    order = list(range(len(scores)))
    for place, old in zip(scored, best_first, strict=True):
        order[place] = old
    return order


# --- Visual words ---


def words_of(codebook, descriptor, count):
    """The nearest words of a descriptor, nearest first, each with the signs of the residual to it."""
    projected = (np.float64(descriptor) - codebook.mean) @ np.float64(codebook.projection)
    distance = [(sum((projected - word) ** 2), number) for number, word in enumerate(codebook.words)]
    nearest = [number for _, number in sorted(distance)[:count]]
    return [(number, signs_of(projected - codebook.words[number])) for number in nearest]


def signs_of(vector):
    """Bit i is set where component i is 0 or more."""
    return sum(1 << place for place, value in enumerate(vector) if value >= 0)


def aggregated(codebook, descriptors, count):
    """ASMK*: for each word the signs of the summed residuals of the descriptors that have it."""
    sums = {}
    for descriptor in descriptors:
        projected = (np.float64(descriptor) - codebook.mean) @ np.float64(codebook.projection)
        for number, _ in words_of(codebook, descriptor, count):
            sums[number] = sums.get(number, 0) + projected - codebook.words[number]
    return {number: signs_of(total) for number, total in sums.items()}


def cosine(signs, others):
    """1 - 2 h / 64, where h of 64 signs differ."""
    return 1 - 2 * (int(signs) ^ int(others)).bit_count() / 64


def corresponding(query_words, query_signs, picture_words, picture_signs, alike=0.25, crowd=32, copies=8):
    """Pairs (query point, picture point, cosine): of one word and alike; the best few of a query point."""
    pairs = []
    for asked, (words, signs) in enumerate(zip(query_words, query_signs, strict=True)):
        found = []
        for word, own in zip(words, signs, strict=True):
            members = [place for place, other in enumerate(picture_words) if other == word][:crowd]
            found += [(asked, place, cosine(own, picture_signs[place])) for place in members]
        found = [pair for pair in found if pair[2] >= alike]
        pairs += sorted(found, key=lambda pair: (-pair[2], pair[1]))[:copies]
    return pairs


def majority(words, signs):
    """For each word bit by bit what most of its points have; of as many, what the first has."""
    found = {}
    for word in sorted(set(words)):
        members = [int(own) for own, other in zip(signs, words, strict=True) if other == word]
        total = 0
        for place in range(64):
            ones = sum(own >> place & 1 for own in members)
            most = ones * 2 > len(members) or (ones * 2 == len(members) and members[0] >> place & 1)
            total |= int(most) << place
        found[word] = total
    return found


def shared_words(query, pictures):
    """ASMK*: each picture's score; the query and the pictures are signs by word."""
    weights = {}
    for word in query:
        having = sum(word in picture for picture in pictures)
        weights[word] = math.log((len(pictures) + 1) / max(having, 1))
    size = math.sqrt(sum(weight**2 for weight in weights.values()))
    scores = []
    for picture in pictures:
        total = 0.0
        for word, signs in query.items():
            alike = cosine(signs, picture[word]) if word in picture else 0
            total += weights[word] * alike**3 if alike >= 0.1 else 0
        divisor = size * math.sqrt(len(picture))
        scores.append(total / divisor if divisor else 0.0)
    return scores
