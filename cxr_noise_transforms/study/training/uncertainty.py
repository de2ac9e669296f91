"""Learning several findings whose labels have weights, or a third class for what is uncertain."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy


class UncertainLabelLoss(nn.Module):
    """Mean cross-entropy of findings, each label with its weight: ``sum(w l) / sum(w)``.

    Of logits ``(B, L)``, ``l`` is the binary cross-entropy with the target, which may lie between
    0 and 1. Of ``(B, 3 L)``, it is the cross-entropy of three classes, absent, present and
    uncertain, next to each other for every finding.

    Shapes: logits ``(B, L)`` or ``(B, 3 L)``; label ``(B, 2, L)``, targets before weights, from
    :class:`~cxr_noise_transforms.study.films.ApplyPolicy`. A batch without weight has loss 0.

    Raises:
        ValueError: other shapes.

    Example:
        >>> import torch
        >>> label = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
        >>> round(UncertainLabelLoss()(torch.tensor([[0.0, 9.0]]), label).item(), 4)
        0.6931
    """

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """The loss."""
        targets, weights = label[:, 0], label[:, 1]
        findings = targets.shape[1]
        if logits.shape == targets.shape:
            losses = binary_cross_entropy_with_logits(logits, targets, reduction="none")
        elif logits.shape == (len(targets), 3 * findings):
            classes = logits.unflatten(1, (findings, 3)).movedim(2, 1)
            losses = cross_entropy(classes, targets.long(), reduction="none")
        else:
            raise ValueError(
                f"logits must be one or three per finding of {tuple(targets.shape)} labels, "
                f"got {tuple(logits.shape)}"
            )
        return (weights * losses).sum() / weights.sum().clamp(min=1e-8)


def finding_logits(logits: Tensor, findings: int) -> Tensor:
    """One logit per finding: of three classes that of ``p1 / (p0 + p1)``, which is ``z1 - z0``.

    Shapes: ``(B, L)``, which stays, or ``(B, 3 L)``, to ``(B, L)``.

    Example:
        >>> import torch
        >>> finding_logits(torch.tensor([[1.0, 3.0, 7.0]]), 1)
        tensor([[2.]])

    References:
        Irvin et al. 2019, arXiv:1901.07031 (probabilities of a network with a third class).
    """
    if logits.shape[1] == findings:
        return logits
    classes = logits.unflatten(1, (findings, 3))
    return classes[..., 1] - classes[..., 0]


class FindingLogits(nn.Module):
    """A network with one logit per finding, see :func:`finding_logits`."""

    def __init__(self, network: nn.Module, findings: int) -> None:
        super().__init__()
        self.network = network
        self.findings = findings

    def forward(self, image: Tensor) -> Tensor:
        """The logits ``(B, L)``."""
        return finding_logits(self.network(image), self.findings)
