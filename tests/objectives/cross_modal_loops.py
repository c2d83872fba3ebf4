"""The objectives across modalities as double loops, one anchor after the other.

Loaded by test_cross_modal_rules.py.
"""

import math

import torch


def mixed(rows):
    """As in cross_modal_worker.py."""
    return torch.stack([rows[:, k] for k in (3, 1, 4, 0, 2)], dim=1)


def unit(rows):
    return [row / row.norm() for row in rows]


def cosines(x, y):
    return [[a.dot(b) for b in unit(y)] for a in unit(x)]


def transposed(table):
    return [list(column) for column in zip(*table, strict=True)]


def logsum(values):
    return torch.stack([value.exp() for value in values]).sum().log()


def mean(values):
    return sum(values) / len(values)


def positives(matches, i):
    return [j for j in range(len(matches)) if matches[i][j] == "+"]


def negatives(matches, i):
    return [j for j in range(len(matches)) if matches[i][j] == "-"]


def cross_entropy(s, matches, i, tau, weights=None, further=()):
    kept = positives(matches, i) + negatives(matches, i)
    weigh = dict.fromkeys(positives(matches, i), 1.0) if weights is None else weights
    total = logsum([s[i][j] / tau for j in kept] + [each / tau for each in further])
    everything = sum(weigh[j] for j in weigh)
    return sum(weigh[j] / everything * (total - s[i][j] / tau) for j in weigh)


def clip(s, matches, tau, share=0.5):
    rows = range(len(s))
    there = mean([cross_entropy(s, matches, i, tau) for i in rows])
    back = mean([cross_entropy(transposed(s), transposed(matches), i, tau) for i in rows])
    return share * there + (1 - share) * back


def loop_convirt(x, y, m, more):
    return clip(cosines(x, y), m, 0.2, 0.75)


def loop_siglip(x, y, m, more):
    s, total = cosines(x, y), 0
    for i in range(len(s)):
        for j in positives(m, i) + negatives(m, i):
            sign = 1 if m[i][j] == "+" else -1
            total -= torch.log(1 / (1 + torch.exp(-sign * (4 * s[i][j] - 2))))
    return total / len(s)


def loop_decoupled(x, y, m, more, sigma=None):
    found = []
    for s, which in ((cosines(x, y), m), (transposed(cosines(x, y)), transposed(m))):
        anchors = [i for i in range(len(s)) if negatives(which, i)]
        own = {i: mean([s[i][p] for p in positives(which, i)]) for i in anchors}
        weights = dict.fromkeys(anchors, 1.0)
        if sigma:
            shares = {i: math.exp(own[i].item() / sigma) for i in anchors}
            weights = {i: 2 - len(anchors) * shares[i] / sum(shares.values()) for i in anchors}
        terms = [
            logsum([s[i][j] / 0.2 for j in negatives(which, i)]) - weights[i] * own[i] / 0.2
            for i in anchors
        ]
        found.append(mean(terms))
    return mean(found)


def loop_cwcl(x, y, m, more, weigh=lambda cosine: (1 + cosine) / 2, both=False):
    s, q = cosines(x, y), cosines(more.reference, more.reference)
    w = [[weigh(cosine.item()) for cosine in row] for row in q]

    def direction(s, m, weighted):
        terms = []
        for i in range(len(s)):
            weights = None
            if weighted:
                weights = dict.fromkeys(positives(m, i), 1.0) | {
                    j: w[i][j] for j in negatives(m, i)
                }
            terms.append(cross_entropy(s, m, i, 0.2, weights))
        return mean(terms)

    there, back = direction(s, m, True), direction(transposed(s), transposed(m), both)
    return (there + back) / 2


def loop_isogclr(x, y, m, more):
    """Two meetings, with u itself in place of its logarithm."""
    meetings = [(mixed(y).detach(), x.detach()), (x, y)]
    found = []
    for turn in (lambda table: table, transposed):
        which = turn(m)
        u, tau, momentum = {}, {}, {}
        for a, b in meetings:
            s, terms = turn(cosines(a, b)), []
            for i in [i for i in range(len(s)) if negatives(which, i)]:
                t = tau.setdefault(i, 0.25)
                own = mean([s[i][p] for p in positives(which, i)])
                h = [s[i][j] - own for j in negatives(which, i)]
                now = mean([math.exp(each.item() / t) for each in h])
                u[i] = 0.2 * u[i] + 0.8 * now if i in u else now
                p = [math.exp(each.item() / t) / u[i] for each in h]
                terms.append(mean([pj * each for pj, each in zip(p, h, strict=True)]))
                slope = math.log(u[i]) + 0.1
                slope -= mean([pj * each.item() / t for pj, each in zip(p, h, strict=True)])
                momentum[i] = 0.1 * momentum.get(i, 0) + 0.9 * min(max(slope, -5), 5)
                tau[i] = min(max(t - 0.01 * momentum[i], 0.005), 1)
        found.append(mean(terms))
    return mean(found)


def loop_gap(x, y, m, more):
    a, b, rows = unit(x), unit(y), range(len(x))

    def apart(p, q):
        return ((p - q) ** 2).sum()

    pairs = [(i, j) for i in rows for j in negatives(m, i)]

    def repulsion(p, q):
        return torch.log(mean([torch.exp(-2 * apart(p[i], q[j])) for i, j in pairs]))

    alignment = mean([mean([apart(a[i], b[p]) for p in positives(m, i)]) for i in rows])
    return alignment + (repulsion(a, a) + repulsion(b, b)) / 2 + repulsion(a, b)


def loop_smoothed(x, y, m, more):
    def direction(s, m):
        terms = []
        for i in range(len(s)):
            own, kept = positives(m, i), positives(m, i) + negatives(m, i)
            target = {j: 0.1 / len(kept) + (0.9 / len(own) if j in own else 0) for j in kept}
            terms.append(cross_entropy(s, m, i, 0.2, target))
        return mean(terms)

    values = []
    for image in (x, mixed(x)):
        for text in (y, y.flip(1)):
            s = cosines(image, text)
            values += [direction(s, m), direction(transposed(s), transposed(m))]
    return mean(values)


def loop_opposites(x, y, m, more):
    s, terms = cosines(x, y), []
    for i in range(len(s)):
        chosen = [o for o, there in zip(more.opposites[i], more.present[i], strict=True) if there]
        further = [unit(x)[i].dot(o / o.norm()) for o in chosen]
        there = cross_entropy(s, m, i, 0.2, further=further)
        back = cross_entropy(transposed(s), transposed(m), i, 0.2)
        terms.append(0.75 * there + 0.25 * back)
    return mean(terms)


def loop_within(x, y, m, more):
    def anchor(a, b, which, i):
        kept, own = [], []
        for j in positives(which, i) + negatives(which, i):
            met = [a[i].dot(b[j]) / 0.2] + ([] if j == i else [a[i].dot(a[j]) / 0.2])
            kept += met
            own += met if j in positives(which, i) else []
        return logsum(kept) - mean(own)

    rows, a, b = range(len(x)), unit(x), unit(y)
    there = mean([anchor(a, b, m, i) for i in rows])
    return (there + mean([anchor(b, a, transposed(m), i) for i in rows])) / 2


def loop_correlation(x, y, m, more):
    rows, total = range(len(x)), 0

    def standard(column):
        middle = mean(list(column))
        variance = mean([(value - middle) ** 2 for value in column])
        return [(value - middle) / (variance + 1e-5).sqrt() for value in column]

    a, b = [standard(column) for column in x.T], [standard(column) for column in y.T]
    for k in range(len(a)):
        for n in range(len(b)):
            c = mean([a[k][i] * b[n][i] for i in rows])
            total += (1 - c) ** 2 if k == n else 0.005 * c**2
    return total


def loop_regression(x, y, m, more):
    def miss(said, wanted):
        pairs = zip(unit(said), unit(wanted.detach()), strict=True)
        return mean([2 - 2 * p.dot(v) for p, v in pairs])

    return (miss(mixed(x), y) + miss(y.flip(1), x)) / 2


def loop_swapped(x, y, m, more):
    def codes(logits):
        q = [[math.exp(value.item() / 0.3) for value in row] for row in logits]
        for _ in range(3):
            sums = [sum(row[k] for row in q) for k in range(len(q[0]))]
            q = [[row[k] / sums[k] for k in range(len(row))] for row in q]
            q = [[value / sum(row) for value in row] for row in q]
        return q

    def surprise(q, logits):
        terms = []
        for share, row in zip(q, logits, strict=True):
            total = logsum([value / 0.2 for value in row])
            terms.append(
                sum(s * (total - value / 0.2) for s, value in zip(share, row, strict=True))
            )
        return mean(terms)

    return (surprise(codes(x), y) + surprise(codes(y), x)) / 2


LOOPS = {
    "convirt": loop_convirt,
    "siglip": loop_siglip,
    "siglip_chunked": loop_siglip,
    "decoupled": loop_decoupled,
    "decoupled_weighted": lambda *given: loop_decoupled(*given, sigma=0.5),
    "cwcl": loop_cwcl,
    "cwcl_both": lambda *given: loop_cwcl(
        *given, weigh=lambda cosine: math.exp((cosine - 1) / 0.5), both=True
    ),
    "isogclr": loop_isogclr,
    "contrastive_gap": loop_gap,
    "smoothed": loop_smoothed,
    "opposites": loop_opposites,
    "within": loop_within,
    "cross_correlation": loop_correlation,
    "regression": loop_regression,
    "swapped": loop_swapped,
}


def signs(codes):
    """ "+" positive, "-" negative, "" left out, told from the codes one combination at a time."""
    people, studies, texts = codes.tolist()
    rows = range(len(people))

    def sign(i, j):
        if studies[i] == studies[j]:
            return "+"
        return "" if people[i] == people[j] or texts[i] == texts[j] else "-"

    return [[sign(i, j) for j in rows] for i in rows]
