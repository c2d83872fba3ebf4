"""iSogCLR: every image and every text has a temperature of its own, learned as it is met again."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from medssl.errors import ObjectiveError
from medssl.objectives.cross_modal import Matches, check_pairs, check_share
from medssl.objectives.labels import check_positive
from medssl.objectives.pairs import masked_logsumexp, masked_mean, mean_of_kept
from medssl.objectives.rows import full_precision, unit_rows

LOSS = "loss"
"""Key of the total; every other key is one of its terms."""
_STEEPEST = 5.0
"""Most that one gradient of a temperature counts."""


class ISogCLR(nn.Module):
    r"""The loss of Qiu et al., ICML 2023 (arXiv 2305.11965), and its state.

    For each anchor i, $h_{ij} = s_{ij} - \bar s_i$ with $\bar s_i$ the mean of its positives and
    negatives $N_i$, robust optimisation asks for

    $$\min_{\tau_i} \; \tau_i \log \operatorname{E}_{j \in N_i} e^{h_{ij} / \tau_i} + \rho \tau_i$$

    A batch is too small a sample of that expectation, so u remembers it, as a moving average:

    $$u_i \leftarrow (1 - \gamma) u_i + \gamma \operatorname{mean}_{j \in N_i} e^{h_{ij} / \tau_i},
      \quad p_{ij} = \mathrm{sg}\, e^{h_{ij} / \tau_i} / u_i, \quad
      L = \operatorname{mean}_i \operatorname{mean}_{j \in N_i} p_{ij} h_{ij},$$
    $$G_i = \log u_i + \rho - \operatorname{mean}_j p_{ij} h_{ij} / \tau_i, \quad
      m_i \leftarrow (1 - \beta) m_i + \beta \operatorname{clip}(G_i, \pm 5), \quad
      \tau_i \leftarrow \operatorname{clip}(\tau_i - \eta m_i)$$

    for images and for texts, averaged. L is a surrogate, of which the gradient alone means
    something: watch `"dro"`, the mean of $\tau_i (\log u_i + \rho)$.

    From the paper: the above; ρ and η depend on the data, and public codes have ρ from 0.1 to 8.
    Ours: log u is kept instead of u and a running maximum, so that nothing can overflow; an item
    met for the first time has u of its batch; there are matches. In training mode a call updates
    the state of its items, which stands in persistent buffers, so that a resumed run goes on with
    the same temperatures. Rows are normalised here; computed in single precision (float64 stays).
    Across ranks, call it with gathered rows, codes and items: every rank then makes the same
    update.

    Args:
        size: Number of items of the training set, which are images with their texts.
        gamma: γ; at 1 nothing is remembered.
        beta: β.
        temperature: τ at first.
        bounds: Least and largest τ.
        rho: ρ.
        rate: η; at 0 temperatures stay.

    Raises:
        ObjectiveError: A setting is out of range.
    """

    def __init__(
        self,
        size: int,
        *,
        gamma: float = 0.8,
        beta: float = 0.9,
        temperature: float = 0.07,
        bounds: tuple[float, float] = (0.005, 1.0),
        rho: float = 0.1,
        rate: float = 0.01,
    ) -> None:
        super().__init__()
        check_positive("ISogCLR", size=size, gamma=gamma, least=bounds[0])
        check_share("ISogCLR", gamma=gamma, beta=beta)
        if not bounds[0] <= temperature <= bounds[1]:
            msg = f"ISogCLR: temperature {temperature} is not within its bounds {bounds}"
            raise ObjectiveError(msg)
        self.size, self.gamma, self.beta, self.bounds = size, gamma, beta, bounds
        self.rho, self.rate = rho, rate
        self.image_anchors = _Anchors(size, temperature)
        self.text_anchors = _Anchors(size, temperature)

    def forward(
        self,
        images: Float[Tensor, "batch dim"],
        texts: Float[Tensor, "batch dim"],
        matches: Matches,
        items: Int[Tensor, " batch"],
    ) -> dict[str, Float[Tensor, ""]]:
        """The surrogate loss of a batch; in training mode also the update of its items.

        Args:
            images: Projections of the images, of any length.
            texts: Projections of the texts.
            matches: From `find_matches`.
            items: Number of each row in the training set, from 0, the same in every epoch.

        Returns:
            The total under `"loss"`; `"dro"`, `"image_temperature"` and `"text_temperature"` to be
            logged, the latter two means over the batch, before the update.

        Raises:
            ObjectiveError: Shapes differ, the batch has a single row, or an item is unknown or
                comes twice.
        """
        check_pairs("ISogCLR", images, texts, matches, least=2)
        self._check_items(items, len(images))
        positive, negative = matches.positive, matches.negative
        with full_precision(images):
            similar = unit_rows(images) @ unit_rows(texts).T
            forward, values, image_tau = self._side(
                self.image_anchors, similar, positive, negative, items
            )
            backward, others, text_tau = self._side(
                self.text_anchors, similar.T, positive.T, negative.T, items
            )
        return {
            LOSS: (forward + backward) / 2,
            "dro": ((values + others) / 2).detach(),
            "image_temperature": image_tau,
            "text_temperature": text_tau,
        }

    def _side(
        self,
        state: _Anchors,
        similar: Float[Tensor, "batch batch"],
        positive: Bool[Tensor, "batch batch"],
        negative: Bool[Tensor, "batch batch"],
        items: Int[Tensor, " batch"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Surrogate, robust objective and mean temperature of one direction."""
        kept = negative.any(dim=1)
        gaps = similar - masked_mean(similar, positive)[:, None]
        with torch.no_grad():
            tau = state.tau[items].to(gaps.dtype)
            scaled = gaps / tau[:, None]
            counts = negative.sum(dim=1).clamp(min=1).to(gaps.dtype)
            batch = masked_logsumexp(scaled, negative) - counts.log()
            log_u = self._remembered(state.log_u[items].to(gaps.dtype), batch)
            # Masked before the exponential: without a negative log u is −∞, and p must not be NaN.
            p = (scaled - log_u[:, None]).masked_fill(~negative, -torch.inf).exp()
            slope = log_u + self.rho - masked_mean(p * scaled, negative)
            if self.training:
                self._update(state, items[kept], log_u[kept], slope[kept])
            value = mean_of_kept(tau * (log_u + self.rho), kept, gaps)
        return mean_of_kept(masked_mean(p * gaps, negative), kept, gaps), value, tau.mean()

    def _remembered(self, before: Tensor, batch: Tensor) -> Tensor:
        """Log of the moving average; the batch's own where an item was never met."""
        share = before.new_tensor([1 - self.gamma, self.gamma]).log()
        average = torch.logaddexp(before + share[0], batch + share[1])
        return torch.where(torch.isfinite(before), average, batch)

    def _update(self, state: _Anchors, items: Tensor, log_u: Tensor, slope: Tensor) -> None:
        m = (1 - self.beta) * state.m[items] + self.beta * slope.clamp(-_STEEPEST, _STEEPEST).to(
            state.m
        )
        state.log_u[items] = log_u.to(state.log_u)
        state.m[items] = m
        state.tau[items] = (state.tau[items] - self.rate * m).clamp(*self.bounds)

    def _check_items(self, items: Tensor, rows: int) -> None:
        if tuple(items.shape) != (rows,) or items.is_floating_point():
            msg = (
                f"ISogCLR: items are {items.dtype} of shape {tuple(items.shape)}; "
                f"give a whole number for each of the {rows} rows"
            )
            raise ObjectiveError(msg)
        unknown = int(((items < 0) | (items >= self.size)).sum())
        if unknown:
            msg = (
                f"ISogCLR: {unknown} item(s) are not among the {self.size} of the training set; "
                "number them as when it was built"
            )
            raise ObjectiveError(msg)
        ordered = items.sort().values
        if bool((ordered[1:] == ordered[:-1]).any()):
            msg = "ISogCLR: an item comes twice in a batch; draw items without replacement"
            raise ObjectiveError(msg)


class _Anchors(nn.Module):
    """What is remembered of the items of one modality."""

    log_u: Float[Tensor, " size"]
    """log u; −∞ until the item is met."""
    tau: Float[Tensor, " size"]
    m: Float[Tensor, " size"]

    def __init__(self, size: int, temperature: float) -> None:
        super().__init__()
        self.register_buffer("log_u", torch.full((size,), -torch.inf))
        self.register_buffer("tau", torch.full((size,), temperature))
        self.register_buffer("m", torch.zeros(size))
